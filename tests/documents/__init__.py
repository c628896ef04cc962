"""Public OpenAPI documents, fetched from the packages in which they are published, and what the importer makes of them.

Rule of the room: a document is never copied into this repository. A package has a fixed version and a digest.
"""
