"""Where records live: one Protocol (`store.py`), one file per implementation, the layout in README.md.

Rule of the room: imports the standard library and its own driver; knows keys and bodies, never what they mean.
"""
