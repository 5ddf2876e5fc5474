"""Answer three prompts at once through paged memory, and keep the trace, a picture and an executed notebook."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pagedviz.commands.options import add_engine_arguments, loading, make_engine, show, show_memory
from pagedviz.commands.output import console, working
from pagedviz.errors import ConfigError
from pagedviz.files import write

if TYPE_CHECKING:
    from pagedviz.engine import Engine, RequestOutput, SamplingParams

QUESTIONS = (
    "What does an operating system do when memory is full?",
    "Why is the sky blue?",
    "Write a short poem about a page table.",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--out", default="out", help="folder for what the demo writes")
    parser.add_argument("--max-tokens", type=int, default=96, help="tokens to generate per question, at most")
    parser.add_argument("--notebook", default=None, help="a notebook to execute as well (needs the lab extra)")
    add_engine_arguments(parser, num_device_blocks=64)  # small enough to see single blocks


def run(arguments: argparse.Namespace) -> None:
    """Generate with progress, then print texts, memory and files."""
    from pagedviz.figures.picture.picture import picture_of
    from pagedviz.trace import last_step_in_use, record

    out = Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    if arguments.notebook and not Path(arguments.notebook).is_file():
        raise ConfigError(f"--notebook {arguments.notebook!r}: there is no such file")
    with loading():
        from pagedviz.engine import SamplingParams

        params = SamplingParams(max_tokens=arguments.max_tokens, temperature=0.0)
        engine = make_engine(arguments)
    with record(engine) as recording:
        outputs = _generate(engine, params)
    engine.audit()
    trace = recording.trace
    trace.save(out / "demo.pvtrace")
    state = trace.state_at(last_step_in_use(trace))
    write(out / "demo.svg", picture_of(trace, state).encode(), "picture")
    for question, output in zip(QUESTIONS, outputs, strict=True):
        show(f"\n{question}\n", output.outputs[0].text, bold=1)
    show("")
    show_memory(state, trace)
    show("")
    written = {"trace": out / "demo.pvtrace", f"picture of memory after step {state.step}": out / "demo.svg"}
    if arguments.notebook:
        with working("executing the notebook"):
            written["executed notebook"] = execute(Path(arguments.notebook), out)
    for what, path in written.items():
        show(f"{what}: {path}")


def _generate(engine: Engine, params: SamplingParams) -> list[RequestOutput]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    latest: dict[str, RequestOutput] = {}
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console()) as progress:
        bars: dict[str, Any] = {}
        prompts = [_as_asked(engine, question) for question in QUESTIONS]
        for output in engine.stream(prompts, params):
            latest[output.request_id] = output
            if output.request_id not in bars:
                about = QUESTIONS[len(bars)][:40]
                bars[output.request_id] = progress.add_task(about, total=params.max_tokens, note="")
            used = engine.stats()["kv_cache_usage_perc"]
            ended = output.outputs[0].finish_reason
            progress.update(
                bars[output.request_id],
                completed=len(output.outputs[0].token_ids),
                note=f"ended: {ended}" if ended else f"{used:.0%} of blocks in use",
            )
    return [latest[request_id] for request_id in bars]


def _as_asked(engine: Engine, question: str) -> str | list[dict[str, str]]:
    """The question as a message, if the model has a chat template."""
    if not getattr(engine.tokenizer, "chat_template", None):
        return question
    return [{"role": "user", "content": question}]


def execute(notebook: Path, out: Path) -> Path:
    """Execute a notebook as ``jupyter execute`` would; returns where the executed copy is."""
    import nbformat
    from nbclient import NotebookClient

    content = nbformat.read(notebook, as_version=4)
    client = NotebookClient(content, timeout=600, resources={"metadata": {"path": str(notebook.parent)}})
    # The kernel warns that its sockets are not encrypted. They are on this machine, and nobody else is to connect.
    client.extra_arguments = ["--log-level=ERROR"]
    client.execute()
    target = out / notebook.name
    write(target, nbformat.writes(content).encode() + b"\n", "notebook")
    return target
