"""Integrated accounts."""
