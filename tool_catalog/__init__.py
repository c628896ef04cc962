"""What an agent may call, and how that is made: documentation records in, frozen catalogues out.

Rule of the room: never imports `functions`. `functions` may import `tool_catalog.catalog` and nothing else from here.
"""
