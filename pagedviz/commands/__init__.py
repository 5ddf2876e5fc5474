"""One module per command. Each has ``add_arguments(parser)`` and ``run(arguments)``; its docstring is its help."""

from types import ModuleType

from pagedviz.commands import bench, demo, info, record, view

COMMANDS: dict[str, ModuleType] = {"demo": demo, "record": record, "view": view, "info": info, "bench": bench}
