"""The example project is run by its tests, in a process of its own."""

from __future__ import annotations

collect_ignore = ["example_project"]
