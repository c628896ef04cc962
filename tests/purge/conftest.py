"""The management API as its own tests have it."""

from __future__ import annotations

from tests.admin_api.conftest import account, catalogs, plane, settings, upstream

__all__ = ["account", "catalogs", "plane", "settings", "upstream"]
