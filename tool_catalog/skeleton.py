"""The first records of an API without an OpenAPI document: they compile as drafts, and each text to write is marked."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from tool_catalog.atomic_write import write_atomically
from tool_catalog.folders import INTEGRATION_FILE, Folder
from tool_catalog.records import SLUG

INTEGRATION = """\
integration: {name}
label: {label}
base_url: {base_url}
auth: {{scheme: bearer, value: "{{api_key}}"}}
credentials:
  api_key: {{description: "Key that the API expects as a bearer token.", secret: true}}
# probe: {{request: GET /me}}   # a harmless request that proves a credential
instructions: >-
  DRAFT: What the API is for, and which tool to use for what; hosts show the first 512 characters to their models.
"""

ITEMS = """\
# Rename "items" to what the API calls its things, and the file with it.
resource: items
tags: [items]
schemas:
  item:
    type: object
    properties:
      id: {type: string, description: Id of the item.}
      name: {type: string, description: Name of the item.}
methods:
  list:
    title: "DRAFT: List items"
    request: GET /items
    description: "DRAFT: What is listed and in which order; when to use it; what is returned, and what to do next."
    query_schema:
      type: object
      properties:
        name: {type: string, description: 'DRAFT: Only items of this name, e.g. "box". Default all.'}
    response_schema:
      type: object
      properties:
        items: {type: array, items: {$ref: "#/schemas/item"}}
    result: {items: items}
    example:
      arguments: {name: box}
  get:
    title: "DRAFT: Get an item"
    request: GET /items/{id}
    description: "DRAFT: What is returned for one id, where the id comes from, and what is missing in it."
    path_schema:
      type: object
      properties:
        id: {type: string, description: 'DRAFT: Id of the item, e.g. "it_1".'}
      required: [id]
    response_schema: {$ref: "#/schemas/item"}
    example:
      arguments: {id: it_1}
"""


class CannotStart(Exception):
    """Nothing was written; the message says why."""


def write(folder: Folder, name: str, base_url: str) -> list[Path]:
    """Write the records of a new integration, and return the files. Raises CannotStart."""
    if not re.fullmatch(SLUG, name):
        raise CannotStart(f'"{name}" is not an integration name; use lower-case letters, digits and single "_" or "-"')
    parts = urlsplit(base_url)
    if parts.scheme != "https" or not parts.hostname:
        raise CannotStart(f'"{base_url}" is not a base URL; give one that starts with https:// and has a host')
    target = folder.records / name
    if target.exists():
        raise CannotStart(f"{target} exists already; edit its files, or choose another name")
    label = name.replace("_", " ").replace("-", " ").capitalize()
    files = {INTEGRATION_FILE: INTEGRATION.format(name=name, label=label, base_url=base_url), "items.yaml": ITEMS}
    try:
        for filename, text in files.items():
            write_atomically(target / filename, text.encode())
    except OSError as error:
        raise CannotStart(f"{target} cannot be written ({error.strerror})") from None
    return [target / filename for filename in files]
