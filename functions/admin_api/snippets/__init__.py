"""Snippets: what to paste into each client. Nothing here reads or writes the store."""
