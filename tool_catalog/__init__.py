"""What an agent may call, and how that is made: documentation records in, frozen catalogues out.

Rule of the room: of `functions` it imports only `gateway.json_text` and `gateway.wording`, which import no room, and
`catalog.py` imports nothing of ours but `gateway.value_classes`, and `compiled_file.py` only `catalog.py`. `functions`
may import these two, and `functions.local` also `folders` and `live`.
"""
