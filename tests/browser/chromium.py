"""Which Chromium the tests and the measurements drive, and how it is started.

Debian's headless shell comes first, as with Playwright's own browsers: it has no window, no tabs and no pages of
its own, and needs less than half the time of a whole Chromium for the same page (`tests/js/test_page.py` and
`test_zoom.py`: 43 seconds of processor time in place of 93).
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PATH = next((path for path in map(shutil.which, _NAMES) if path), None)


def launch(playwright: Playwright) -> Browser:
    """The Chromium of the machine, or else Playwright's own; an error of Playwright's if there is neither."""
    return playwright.chromium.launch(executable_path=PATH, args=ARGUMENTS)
