"""Writing SVG: escaped elements and the few shapes that the picture is made of. Knows nothing of memory."""

from __future__ import annotations

from html import escape

from pagedviz.figures.words import plain

INK, MUTED, LINE, PANEL = "#1f2328", "#59636e", "#d1d9e0", "#f6f8fa"


def element(name: str, *children: str, **attributes: object) -> str:
    """One element; ``_`` in an attribute's name becomes ``-``. Children are SVG, not text."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(number(value))}"' for key, value in attributes.items()
    )
    return f"<{name}{written}>{''.join(children)}</{name}>" if children else f"<{name}{written}/>"


def number(value: object) -> str:
    """Attribute values, floats cut to a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)


def text(x: float, y: float, content: str, **attributes: object) -> str:
    """Text, whatever is in it."""
    return element("text", escape(plain(content, 200)), x=float(x), y=float(y), **attributes)


def title(content: str) -> str:
    """What a browser shows when the pointer rests on the element around it."""
    return element("title", escape(plain(content, 400)))


def rect(x: float, y: float, width: float, height: float, **attributes: object) -> str:
    """A rectangle."""
    return element("rect", x=float(x), y=float(y), width=float(width), height=float(height), **attributes)


def box(x: float, y: float, width: float, height: float) -> str:
    """A rectangle as a part of a path, so that thousands of them are one element."""
    w = number(float(width))
    return f"M{number(float(x))} {number(float(y))}h{w}v{number(float(height))}h-{w}z"


def ink_on(colour: str) -> str:
    """Dark or white, whichever can be read on the colour ``#rrggbb`` (WCAG relative luminance)."""
    parts = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return INK if luminance > 0.2 else "#ffffff"
