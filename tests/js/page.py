"""A page with the dashboard in it and a port of its own: what Python would send, replayed by hand or by a timer.

The page gets the bundle, the stylesheet and the lines of a trace; ``window.harness`` drives it from Playwright.
"""

from __future__ import annotations

import json
from pathlib import Path

from pagedviz.browser.bundle import bundle, stylesheet

_SCRIPT = Path(__file__).with_name("harness.js").read_text(encoding="utf-8")


def page(trace: bytes, *, dark: bool = False, host: bool = True) -> str:
    """The page as HTML. ``host`` gives it JupyterLab's CSS variables; without, the browser's colours count."""
    variables = (
        "--jp-layout-color1:#111;--jp-ui-font-color1:rgba(255,255,255,1);"
        if dark
        else "--jp-layout-color1:#fff;--jp-ui-font-color1:rgba(0,0,0,0.87);"
    )
    code = bundle().replace("</script", "<\\/script")
    data = json.dumps(trace.decode().splitlines()).replace("<", "\\u003c")
    return (
        "<!doctype html><meta charset=utf-8><title>pagedviz harness</title>"
        f"<style>:root{{color-scheme:{'dark' if dark else 'light'}}}body{{margin:0;{variables if host else ''}}}"
        f"{stylesheet()}</style>"
        f"<body data-jp-theme-light={'false' if dark else 'true'}><div id=here></div>"
        f"<script type=application/json id=trace>{data}</script>"
        f"<script type=text/plain id=bundle>{code}</script>"
        f"<script type=module>{_SCRIPT}</script>"
    )
