"""What plotly figures share: checked arguments, literal text, the template, titles, a word where nothing is."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING, Any

from pagedviz.errors import ConfigError
from pagedviz.figures.words import plain
from pagedviz.trace import State, Trace

if TYPE_CHECKING:
    import plotly.graph_objects as go

INK = "#1f2328"
"""Of marks on colours; with a white edge it is seen on any ground."""

EDGE = {"width": 1, "color": "rgba(127,127,127,0.6)"}
"""Of bars that touch, on a light ground and on a dark one."""

_LONGEST = 200
"""Characters of a title."""


def pale(colour: str) -> str:
    """A colour of the theme, nearly transparent: free slots are the ground."""
    red, green, blue = (int(colour[index : index + 2], 16) for index in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.2)"


def need_trace(value: object) -> Trace:
    """The value, if it is a trace.

    Raises:
        ConfigError: it is something else.
    """
    if not isinstance(value, Trace):
        hint = ": trace.state_at(step) makes one state of a trace" if isinstance(value, State) else ""
        raise ConfigError(f"a pagedviz.Trace is needed here, not {_short(value)}{hint}")
    return value


def need_state(value: object) -> State:
    """The value, if it is a state.

    Raises:
        ConfigError: it is something else.
    """
    if not isinstance(value, State):
        hint = ": take trace.state_at(step)" if isinstance(value, Trace) else ""
        raise ConfigError(f"a pagedviz.trace.State is needed here, not {_short(value)}{hint}")
    return value


def need_tier(tier: object, state: State) -> str:
    """The tier, if there can be one of that name.

    Raises:
        ConfigError: there is none.
    """
    return need_choice("tier", tier, dict.fromkeys(("device", "host", *state.num_blocks)))


def need_choice(name: str, value: object, choices: Iterable[str]) -> str:
    """The value, if it is one of the choices.

    Raises:
        ConfigError: it is none of them.
    """
    valid = list(choices)
    if not isinstance(value, str) or value not in valid:
        raise ConfigError(f"{name} is {value!r}; it can be {', '.join(map(repr, valid))}")
    return value


def _short(value: object) -> str:
    said = repr(value)
    return f"{type(value).__name__} {said}" if len(said) <= 60 else f"a {type(value).__name__}"


def literal(text: str, limit: int = 60) -> str:
    """Text that plotly shows as it is, not longer than ``limit``: it reads tags, entities, and TeX between dollars.

    Whatever comes from a trace or a person goes through here: names, reasons, what a model wrote.
    """
    return escape(plain(text, limit), quote=False).replace("$", "&#36;")  # it knows no &quot;


def finish(
    figure: go.Figure, title: str, x: str, y: str, *, below: str = "", empty: str = "", **layout: Any
) -> go.Figure:
    """Title and axes; ``empty`` is what the figure says instead of data. Templates follow plotly's default.

    plotly's own default template is replaced by its white one; whoever chose another one gets that. A line in
    small print can stand ``below`` the title. Texts are shown as they are.
    """
    import plotly.io as pio

    if pio.templates.default == "plotly":
        figure.update_layout(template="plotly_white")
    title = literal(title, _LONGEST) + (f"<br><sub>{literal(below, _LONGEST)}</sub>" if below else "")
    figure.update_layout(title=title, xaxis_title=literal(x, _LONGEST), yaxis_title=literal(y, _LONGEST), **layout)
    if empty:
        figure.add_annotation(
            text=literal(empty, _LONGEST),
            x=0.5,
            y=0.5,
            xref="paper",
            yref="paper",
            showarrow=False,
            font={"size": 16},
        )
    return figure
