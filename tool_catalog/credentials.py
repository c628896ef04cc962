"""How a credential is attached: the rules of the gate for `auth` and `credentials`, and the compiled form."""

from __future__ import annotations

import re
from collections.abc import Collection

from tool_catalog.catalog import Json
from tool_catalog.gate import Gate
from tool_catalog.records import AuthRecord, Records
from tool_catalog.schemas import Place

Schema = dict[str, Json]

_TEMPLATE_FIELD = re.compile(r"\{([a-z0-9_]+)\}")


def compile_auth(auth: AuthRecord) -> Schema:
    """The entry that `request_template.Auth` is read from."""
    return {key: value for key, value in auth.model_dump(exclude_defaults=True).items() if value}


def check_credentials(records: Records, gate: Gate) -> None:
    """Each `auth` takes fields that are described, each field is used, and one of them is secret."""
    root, credentials = Place(records.source, ()), records.integration.credentials
    fields = _attached(records.integration.auth, credentials, root.at("auth"), gate)
    for resource in records.resources:
        for method, record in resource.record.methods.items():
            if record.auth is not None:
                place = Place(resource.source, ("methods", method, "auth"))
                fields |= _attached(record.auth, credentials, place, gate)
    for name in sorted(set(credentials) - fields) if records.complete else ():
        gate.report(root.at("credentials", name), 'is used nowhere under "auth"')
    if fields and not any(field.secret for field in credentials.values()):
        gate.report(root.at("credentials"), "no field is marked secret: true")


def _attached(auth: AuthRecord, known: Collection[str], place: Place, gate: Gate) -> set[str]:
    """Check how a credential is attached; returns the fields of the credential that it takes."""
    needs = {
        "header": ("name", "value"),
        "query": ("name", "value"),
        "cookie": ("name", "value"),
        "bearer": ("value",),
        "basic": ("username", "password"),
        "none": (),
    }[auth.scheme]
    fields = set()
    for key in ("name", "value", "username", "password"):
        template = getattr(auth, key)
        fields |= set(_TEMPLATE_FIELD.findall(template))
        if key in needs and not template and key != "password":
            gate.report(place, f'scheme "{auth.scheme}" needs "{key}"')
        elif key not in needs and template:
            gate.report(place.at(key), f'scheme "{auth.scheme}" does not use it')
    for name in sorted(fields - set(known)):
        gate.report(place, f'"{{{name}}}" is not described under "credentials"')
    for index, other in enumerate(auth.also):
        fields |= _attached(other, known, place.at("also", index), gate)
    return fields
