"""``python -m pagedviz``: the command line."""

import sys

from pagedviz.cli import main

sys.exit(main())
