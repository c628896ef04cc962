"""The log of recent calls."""
