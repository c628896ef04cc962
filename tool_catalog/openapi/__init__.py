"""Someone's OpenAPI file -> draft records, and again on every later version of the file without losing hand edits.

Rule of the room: reads one local file and never a network; writes nothing but `records/<integration>/`. What an
operation is called is decided in `inference.py`, what its record says in `drafts.py`, and whether it is good enough by
the compiler's gate alone: nothing here makes up a text in order to pass it.
"""
