"""The construct of infra/cdk, built and installed as somebody else would, and really synthesized by AWS CDK."""

from __future__ import annotations

import json
import os
import re
import subprocess
import textwrap
import zipfile
from pathlib import Path
from typing import Any

import pytest

from infra import packaged
from tests.aws import standins
from tests.infra import wheels
from tests.infra.template import ROOT

pytestmark = pytest.mark.aws

SECONDS = 600
"""Longest wait for a synthesis, which takes some 10 s on an idle machine: the test fails then."""


class Project:
    """Somebody's CDK project: the installed construct, and a package of `make package`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.wheel = wheels.build(ROOT / "infra" / "cdk", folder / "wheel")
        wheels.pip("install", "--quiet", "--no-index", "--no-deps", "--target", str(folder / "site"), str(self.wheel))

    def run(self, program: str) -> str:
        """What a program prints that uses the construct."""
        environment = {"PYTHONPATH": str(self.folder / "site"), "CDK_OUTDIR": str(self.folder / "cdk.out")}
        plain = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "PYTHONWARNINGS": "ignore"}
        done = subprocess.run(
            [str(standins.tool("cdk/bin/python")), "-c", program],
            cwd=self.folder,
            env={**plain, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    standins.tool("cdk/bin/python")
    folder = tmp_path_factory.mktemp("project")
    build = folder / "build"
    for function in packaged.FUNCTIONS:
        (build / function).mkdir(parents=True)
        (build / function / "handler.py").write_text(f"NAME = {function!r}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POSTERN_BUILD", str(build))
        packaged.make(folder / "package")
    return Project(folder)


@pytest.fixture(scope="module")
def synthesized(project: Project) -> Any:
    """What the example of the construct's page becomes."""
    page = (ROOT / "infra" / "cdk" / "README.md").read_text("utf-8")
    project.run(page.partition("```python\n")[2].partition("```")[0])
    return json.loads((project.folder / "cdk.out" / "Postern.template.json").read_text())


def test_the_wheel_holds_the_construct_and_its_types(project: Project) -> None:
    with zipfile.ZipFile(project.wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == {"postern_cdk/__init__.py", "postern_cdk/construct.py", "postern_cdk/py.typed"}
    stated = wheels.stated(project.wheel)
    assert stated.get_all("Requires-Dist") == ["aws-cdk-lib>=2.150", "constructs>=10.3"]


def test_the_stack_has_what_the_template_has(project: Project, synthesized: Any) -> None:
    package = json.loads((project.folder / "package" / "template.json").read_text())
    assert set(synthesized["Resources"]) - set(package["Resources"]) <= {"CDKMetadata"}
    given = {"Environment": "prod", "Durable": "true", "AlarmEmail": "ops@example.com", "McpEndpointConcurrency": "200"}
    given |= {"AllowedOrigins": "web-hosts,https://agents.example.com", "ControlPlane": "true"}
    assert set(package["Parameters"]) - set(synthesized["Parameters"]) == set(given)
    for name, resource in package["Resources"].items():
        expected = substituted(resource, given)
        actual = synthesized["Resources"][name]
        if name in packaged.FUNCTIONS:
            archive = expected["Properties"].pop("Code")
            code = actual["Properties"].pop("Code")
            assert (project.folder / "package" / archive).is_file()
            assert "assets" in json.dumps(code["S3Bucket"])
        actual.pop("Metadata", None)
        if isinstance(expected.get("DependsOn"), str):
            expected["DependsOn"] = [expected["DependsOn"]]
        assert actual == expected, name
    assert synthesized["Outputs"]["TokenToRead"]["Value"] == {"Ref": "RootApiToken"}


def substituted(value: Any, given: dict[str, str]) -> Any:
    """A part of a template with values in place of parameters."""
    if isinstance(value, dict):
        if value.keys() == {"Ref"} and value["Ref"] in given:
            return given[value["Ref"]]
        return {key: substituted(entry, given) for key, entry in value.items()}
    if isinstance(value, list):
        return [substituted(entry, given) for entry in value]
    if isinstance(value, str):
        return re.sub(r"\$\{(\w+)\}", lambda found: given.get(found[1], found[0]), value)
    return value


def test_the_code_of_each_function_is_an_asset_of_its_archive(project: Project, synthesized: Any) -> None:
    assets = json.loads((project.folder / "cdk.out" / "Postern.assets.json").read_text())["files"]
    sources = {entry["source"]["path"] for entry in assets.values() if entry["source"]["path"].endswith(".zip")}
    contents = {(project.folder / "cdk.out" / source).read_bytes() for source in sources}
    assert contents == {path.read_bytes() for path in (project.folder / "package").glob("*.zip")}
    assert len(contents) == len(packaged.FUNCTIONS)


def test_the_synthesized_template_passes_the_linter(project: Project, synthesized: Any) -> None:
    path = project.folder / "cdk.out" / "Postern.template.json"
    # A parameter that is given makes its conditions constant; two of these rules say so, and one does not see it. The
    # template ignores the last rule, too.
    ignored = ["--ignore-checks", "W8003", "W1028", "W1001", "W1030"]
    linted = subprocess.run(
        [str(standins.tool("standins/bin/cfn-lint")), *ignored, "--", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert linted.returncode == 0, linted.stdout


CASES = """
import json
from aws_cdk import App, CfnParameter, Stack, Token
from postern_cdk import Parameters, Postern

def tried(**parameters):
    stack = Stack(App(), "Tried")
    later = CfnParameter(stack, "Later").value_as_string
    parameters = {key: later if value == "LATER" else value for key, value in parameters.items()}
    try:
        made = Postern(stack, "Postern", **{"package": "package", **parameters})
    except ValueError as error:
        return str(error)
    return [made.admin_url is None, made.root_api_token is None, Token.is_unresolved(made.mcp_url)]

print(json.dumps({
    "keywords": sorted(Parameters.__annotations__),
    "whole": tried(),
    "further region": tried(control_plane=False, existing_table="postern-Table-1"),
    "package": tried(package="elsewhere"),
    "unknown": tried(durabel=True),
    "canary": tried(canary=True),
    "choice": tried(log_level="LOUD"),
    "pattern": tried(certificate_arn="arn:aws:acm:eu-central-1:1:certificate/1"),
    "number": tried(memory_megabytes=1),
    "several": tried(memory_megabytes=1, log_retention_days=2),
    "decides": tried(webhook_url="LATER"),
    "later": tried(management_url="LATER"),
}))
"""


def test_a_wrong_keyword_or_value_is_refused_at_synthesis(project: Project) -> None:
    found = json.loads(project.run(textwrap.dedent(CASES)).splitlines()[-1])
    package = json.loads((project.folder / "package" / "template.json").read_text())
    assert {name.title().replace("_", "") for name in found.pop("keywords")} == set(package["Parameters"])
    days = ", ".join(map(str, package["Parameters"]["LogRetentionDays"]["AllowedValues"]))
    certificate = "the ARN of an ACM certificate in us-east-1, where CloudFront looks for it; or empty."
    memory = 'memory_megabytes is "1"; valid: a whole number from 256 to 10240'
    assert found == {
        "whole": [False, False, True],
        "further region": [True, True, True],
        "later": [False, False, True],
        "package": "elsewhere has no template.json; name the folder that make package has written",
        "unknown": 'unknown parameter "durabel"; did you mean "durable"?',
        "canary": 'unknown parameter "canary"',
        "choice": 'log_level is "LOUD"; valid: DEBUG, INFO, WARNING, ERROR',
        "pattern": f'certificate_arn is "arn:aws:acm:eu-central-1:1:certificate/1"; it must be {certificate}',
        "number": memory,
        "several": f'{memory}; log_retention_days is "2"; valid: {days}',
        "decides": "webhook_url decides what the stack has, so its value must be known at synthesis",
    }
