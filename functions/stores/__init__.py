"""Where records live: one contract (`store.py`), SQLite or DynamoDB behind it, the files and the table in README.md.

Rule of the room: imports the standard library, its own driver and `gateway.json_text`; knows keys and bodies, never
what they mean.
"""
