"""Whole jobs as a model does them, replayed by a script that reads nothing but the answers."""
