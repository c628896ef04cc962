"""The management API as its own tests have it."""

from __future__ import annotations

from tests.admin_api.conftest import account, plane, settings, upstream

__all__ = ["account", "plane", "settings", "upstream"]
