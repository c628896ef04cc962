"""The embedded memory engine: an upstream that speaks the Mem0 Platform API on one SQLite file.

Rule of the room: it imports nothing of ours. `local`, which runs it, imports `app` and `settings` of it; the command
line, which exports and imports its file and tells what is wrong with it, `jsonl`, `database` and `settings`. To the
rest of the product it is an upstream like any other, over HTTP.
"""
