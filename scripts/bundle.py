#!/usr/bin/env python
"""Write the minified dashboard to ``pagedviz/browser/dist``; see ``pagedviz/browser/bundle.py``."""

import minify  # tdewolff-minify

from pagedviz.browser.bundle import DIST, script_source, stamp, style_source

SOURCES = {
    "dashboard.js": ("application/javascript", script_source()),
    "dashboard.css": ("text/css", style_source()),
}

DIST.mkdir(exist_ok=True)
for name, (kind, source) in SOURCES.items():
    (DIST / name).write_text(stamp(source) + minify.string(kind, source) + "\n", encoding="utf-8")
