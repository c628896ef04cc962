"""An OpenAPI file becomes draft records. A later version of the file updates them without losing hand edits.

Rule of the room: it reads one local file, never a network, and writes only `records/<integration>/`. `inference.py`
decides what an operation is called, and `drafts.py` decides what its method says. The compiler's gate alone decides
whether a draft is good enough: nothing here invents a text in order to pass it.
"""
