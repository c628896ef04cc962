"""The embedded memory engine: an upstream that speaks the Mem0 Platform API on one SQLite file.

Rule of the room: it imports nothing of ours, and nothing of ours imports more of it than
`app.create_app`, `settings.EngineSettings` and `jsonl.export_jsonl` / `jsonl.import_jsonl`.
It is an upstream like any other: the rest of the product talks to it over HTTP.
"""
