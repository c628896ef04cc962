"""An emulator of Mem0's API on one SQLite file: the upstream that ships with Postern, for a laptop, CI and tests.

Postern treats it like any other upstream and reaches it over HTTP only. It is not Postern's own memory.

Rules of the room:
- It imports nothing else of ours. `local` may import `app` and `settings`, to run it. The command line may import
  `storage` and `settings`, to export, import and report problems.
- Its parts stand in one order, and each imports only parts before it: `storage`, `core`, `search`, `work`,
  `resources`, then `engine` and `app`. `settings`, `times`, `words` and `json_text` come before all of them.
"""
