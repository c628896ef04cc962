"""The lines that an import proposes for pins, uncommented: the records compile, and the pins hold."""

from __future__ import annotations

import copy
from pathlib import Path

from functions.gateway import selection
from functions.gateway.grants import ServerConfig
from tests.tool_catalog.openapi.conftest import Import
from tool_catalog import building, catalog, compiled_file
from tool_catalog.compiled_document import to_bytes
from tool_catalog.openapi.document import read

INPUTS = Path(__file__).parent / "inputs"


def test_records_compile_with_every_proposed_line_uncommented_where_methods_take_some_of_the_ids(
    imports: Import, into: Path
) -> None:
    data = read(INPUTS / "op_security.yaml").data
    taken = {
        "/parcels": ("team_id", "account_id"),
        "/depots": ("team_id", "account_id", "tax_id"),
        "/admin": ("team_id",),
    }
    for path, names in taken.items():
        data["paths"][path]["get"]["parameters"] = [
            {"name": name, "in": "query", "description": f"The {name} of them.", "schema": {"type": "string"}}
            for name in names
        ]
    made = copy.deepcopy(data["paths"]["/parcels"]["get"])
    numbered = {"type": "object", "properties": {"tax_id": {"type": "integer", "description": "Number of the tax."}}}
    made |= {
        "operationId": "createAccount",
        "parameters": made["parameters"][1:],
        "requestBody": {"content": {"application/json": {"schema": numbered}}},
    }
    data["paths"] |= {
        "/accounts": {"post": made},
        "/taxes": {"get": data["paths"]["/depots"]["get"] | {"operationId": "t"}},
    }
    imports(data)
    folder = into / "parcels"
    assert "# pinnable: [account_id, team_id]\n" in (folder / "integration.yaml").read_text()
    for file in folder.glob("*.yaml"):
        file.write_text(file.read_text().replace("# pinnable:", "pinnable:").replace("# pin:", "pin:"))
    built, problems = building.build(folder)
    assert problems == []
    loaded = compiled_file.read(to_bytes(built or {}), "parcels.json")
    ids = [tool.pin.ids for tool in loaded.tools.values() if isinstance(tool.pin, catalog.PinArguments)]
    assert sorted(ids) == [("account_id",), *[("account_id", "team_id")] * 3, ("team_id",)]
    both = ServerConfig(pins={"team_id": "t_1", "account_id": "a_1"})
    one = ServerConfig(pins={"account_id": "a_1"})
    assert {tool.resource for tool in selection.visible(loaded, both)} == {"parcels", "depots", "taxes"}
    assert {tool.resource for tool in selection.visible(loaded, one)} == {"parcels", "depots", "taxes", "accounts"}
