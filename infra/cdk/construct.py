"""The construct: a package of `make package`, with its parameters as keywords and its outputs as attributes."""

from __future__ import annotations

import difflib
import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict, Unpack

from aws_cdk import Token
from aws_cdk.aws_lambda import CfnFunction
from aws_cdk.aws_s3_assets import Asset
from aws_cdk.aws_secretsmanager import ISecret, Secret
from aws_cdk.cloudformation_include import CfnInclude
from constructs import Construct

Json = Any


class Parameters(TypedDict, total=False):
    """The parameters of the template: `memory_megabytes` is MemoryMegabytes. What is left out has its default there.

    docs/deploy.md describes each.
    """

    environment: str
    durable: bool
    existing_table: str
    control_plane: bool
    domain_name: str
    certificate_arn: str
    edge_locations: bool
    web_acl_arn: str
    management_networks: Sequence[str]
    call_timeout_seconds: int
    function_timeout_seconds: int
    memory_megabytes: int
    mcp_endpoint_concurrency: int
    admin_api_concurrency: int
    allowed_origins: Sequence[str]
    allowed_hosts: Sequence[str]
    base_path: str
    openai_apps_challenge: str
    management_url: str
    mcp_origin: str
    oidc_issuer: str
    oidc_client_id: str
    oidc_client_secret_id: str
    oidc_people: Sequence[str]
    log_level: str
    log_retention_days: int
    webhook_url: str
    trace_endpoint: str
    trace_headers_secret_id: str
    trace_sampler: str
    trace_ratio: float
    trace_upstreams: Sequence[str]
    alarm_email: str
    refused_requests_threshold: int
    slow_milliseconds: int


class Postern(Construct):  # type: ignore[misc]  # the library is in the environment of its users, and not in ours
    """A whole Postern deployment in the stack of `scope`, which can have one.

    `package` is the folder that `make package` or a release made. Resources keep the names of the template. Raises
    ValueError for a value that CloudFormation would refuse.

    `mcp_url`          the start of every minted URL
    `table_name`       the name of the DynamoDB table
    `admin_url`        the origin of the management API; None without a control plane, like the next one
    `root_api_token`   the secret that holds the root API token
    `template`         the included template, for whatever else a stack needs of it
    """

    mcp_url: str
    table_name: str
    admin_url: str | None = None
    root_api_token: ISecret | None = None
    template: CfnInclude

    def __init__(self, scope: Construct, id: str, *, package: str | Path, **parameters: Unpack[Parameters]) -> None:
        super().__init__(scope, id)
        folder = Path(package)
        try:
            document = json.loads((folder / "template.json").read_text("utf-8"))
        except OSError:
            raise ValueError(f"{folder} has no template.json; name the folder that make package has written") from None
        values = values_of(document, {"control_plane": True, **parameters})  # decides what the attributes are
        del document["Metadata"]["AWS::CloudFormation::Interface"]  # how the console asks for parameters
        archives = {
            name: resource["Properties"]["Code"]
            for name, resource in document["Resources"].items()
            if resource["Type"] == "AWS::Lambda::Function"
        }
        for name, archive in archives.items():
            document["Resources"][name]["Properties"]["Code"] = {"S3Bucket": "-", "S3Key": archive}
        with tempfile.TemporaryDirectory() as temporary:
            path = Path(temporary, "template.json")
            path.write_text(json.dumps(document), "utf-8")
            self.template = CfnInclude(self, "Template", template_file=str(path), parameters=values)
        for name, archive in archives.items():
            asset = Asset(self, f"{name}Code", path=str(folder / archive))
            code = CfnFunction.CodeProperty(s3_bucket=asset.s3_bucket_name, s3_key=asset.s3_object_key)
            self.template.get_resource(name).code = code
        self.mcp_url = self._output("McpUrl")
        self.table_name = self._output("Table")
        if values["ControlPlane"] == "true":
            self.admin_url = self._output("AdminUrl")
            secret = self._output("RootApiTokenSecret")
            self.root_api_token = Secret.from_secret_complete_arn(self, "RootApiToken", secret)

    def _output(self, name: str) -> str:
        return str(Token.as_string(self.template.get_output(name).value))


def values_of(document: Json, parameters: Mapping[str, Any]) -> dict[str, str]:
    """The parameters as CloudFormation takes them. Raises ValueError with everything that is wrong."""
    known = Parameters.__annotations__
    values, problems = {}, []
    decides = set(_references([document.get("Conditions"), document.get("Rules")]))
    for keyword, value in parameters.items():
        if keyword not in known:
            near = difflib.get_close_matches(keyword, known, 1)
            problems.append(f'unknown parameter "{keyword}"' + (f'; did you mean "{near[0]}"?' if near else ""))
            continue
        name = keyword.title().replace("_", "")
        values[name] = _text(value)
        if Token.is_unresolved(values[name]):
            if name in decides:
                problems.append(f"{keyword} decides what the stack has, so its value must be known at synthesis")
        else:
            problems += _problems(keyword, values[name], document["Parameters"][name])
    if problems:
        raise ValueError("; ".join(problems))
    return values


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | int | float) else ",".join(value)


def _problems(keyword: str, value: str, rule: Json) -> list[str]:
    """What CloudFormation would refuse in a parameter; it does not see one whose value is in the template."""
    if "AllowedValues" in rule and value not in map(str, rule["AllowedValues"]):
        return [f'{keyword} is "{value}"; valid: {", ".join(map(str, rule["AllowedValues"]))}']
    if "AllowedPattern" in rule and not re.fullmatch(rule["AllowedPattern"], value):
        return [f'{keyword} is "{value}"; it must be {rule["ConstraintDescription"]}']
    if rule["Type"] == "Number":
        least, most = rule.get("MinValue", -1), rule.get("MaxValue", 2**31)
        if not re.fullmatch("-?[0-9]+", value) or not least <= int(value) <= most:
            return [f'{keyword} is "{value}"; valid: a whole number from {least} to {most}']
    return []


def _references(part: Json) -> list[str]:
    """The names that a part of a template refers to."""
    if isinstance(part, dict):
        own = [part["Ref"]] if isinstance(part.get("Ref"), str) else []
        return own + [name for entry in part.values() for name in _references(entry)]
    return [name for entry in part for name in _references(entry)] if isinstance(part, list) else []
