"""The errors of this room."""

from __future__ import annotations


class LocalError(Exception):
    """The local endpoint cannot start. The message says why and what to do."""


class Occupied(LocalError):
    """Another endpoint uses the state folder."""
