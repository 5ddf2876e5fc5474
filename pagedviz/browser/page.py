"""The page of a recorded run: one HTML file with dashboard, stylesheet and trace, for a browser without network.

It decides what is in the file and what the file may do: its policy admits one script and one stylesheet, by
their hashes, and nothing else. What the page does is in ``html/page.js``. It needs no anywidget, so
that a trace can be written as a page where there is no notebook.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from string import Template

from pagedviz.browser.bundle import HOME, bundle, stylesheet

_IMPORT = re.compile(r'^import \{[^}]*\} from "\.\./index\.js";\n', re.MULTILINE)
_LONGEST_TITLE = 80
_JOINER = "\u200d"


def page(trace: bytes, model: str, message: str = "") -> bytes:
    """The page that shows a trace.

    Args:
        trace: the bytes of its file, packed with gzip.
        model: what the window is called after.
        message: a sentence for the person, shown beside the run.
    """
    style, script = _style(), _script()
    text = Template(_read("page.html")).substitute(
        policy=_policy(style, script),
        title=html.escape(f"{_plain(model, _LONGEST_TITLE)} \u00b7 pagedviz"),
        style=style,
        message=html.escape(_plain(message, 1000)),
        trace=base64.b64encode(trace).decode(),
        script=script,
    )
    return text.encode()


def _read(name: str) -> str:
    return (HOME / "html" / name).read_text(encoding="utf-8")


def _style() -> str:
    return _read("page.css") + stylesheet()


def _script() -> str:
    """The bundle, and behind it the page's own script, in a block so that its names are its own."""
    return f"{bundle()}\n{{\n{_IMPORT.sub('', _read('page.js'))}}}\n"


def _policy(style: str, script: str) -> str:
    """The Content-Security-Policy: nothing is loaded, nothing is sent, and no text is taken for HTML or code."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {_hash(script)}",
            f"style-src {_hash(style)}",
            "img-src data:",  # the empty icon, without which a browser asks the server for one
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _plain(text: str, most: int) -> str:
    """Text of others without control characters, and not longer than a line bears."""
    clean = "".join(c if c.isprintable() or c == _JOINER else "\ufffd" for c in text[: most + 1])
    return clean if len(clean) <= most else f"{clean[: most - 1]}\u2026"
