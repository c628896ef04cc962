"""`python -m functions.cli`: the command line without its entry point."""

from __future__ import annotations

import sys

from functions.cli import main

sys.exit(main())
