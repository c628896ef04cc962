"""Where items are stored: one contract (`store.py`), with SQLite or DynamoDB behind it. README.md describes the table.

Rule of the room: it imports the standard library, its driver and `gateway.json_text`. It knows keys and bodies, and
never what they mean.
"""
