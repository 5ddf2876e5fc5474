#!/usr/bin/env python
"""Write the minified dashboard to ``pagedviz/widgets/dist``; see ``pagedviz/widgets/bundle.py``."""

import minify  # tdewolff-minify

from pagedviz.widgets.bundle import DIST, STATIC, link, stamp

SOURCES = {
    "dashboard.js": ("application/javascript", link()),
    "dashboard.css": ("text/css", (STATIC / "dashboard.css").read_text(encoding="utf-8")),
}

DIST.mkdir(exist_ok=True)
for name, (kind, source) in SOURCES.items():
    (DIST / name).write_text(stamp(source) + minify.string(kind, source) + "\n", encoding="utf-8")
