"""What an agent may call, and how that is made: documentation records in, frozen catalogues out.

Rule of the room: of `functions` it imports only `gateway.json_text` and `gateway.wording`, which import no room, and
`catalog.py` imports nothing of ours. `functions` may import `tool_catalog.catalog`, and `functions.local` also
`folders` and `live`.
"""
