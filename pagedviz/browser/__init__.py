"""What runs in the page: the dashboard's JavaScript and CSS, and what makes one text of them for a host.

``run/`` is what a run means, ``live/`` how its news arrive and when they are drawn, ``kit/`` what panels share,
``panels/`` a folder each, ``bar/`` what stands above and below the panels, ``words/`` all that is said, ``html/``
the page of a recorded run. The Python here needs the standard library and ``trace/file.py`` only.
"""
