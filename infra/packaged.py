"""The deployment as files that anybody can deploy: plain CloudFormation, and an archive for each function.

    python -m infra.packaged [FOLDER]     (default: dist/package)

Builds the functions, or takes them from POSTERN_BUILD, and writes FOLDER/template.json and FOLDER/*.zip. An archive has
its digest in its name, and equal builds give equal archives. In the template, the code of a function is the name of its
archive, as `aws cloudformation package` expects it. infra/launch_stack.py and infra/cdk begin from these files.

The template is template.yaml, expanded by the translator of SAM. So a stack needs neither a macro nor the right to
expand one. It has no published versions, because a plain template cannot publish one when a parameter changes. The
parameters Canary, SnapStart and Revision are left out with them; they belong to infra/deploy.sh.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra import template
from infra.template import ROOT

Json = Any

FUNCTIONS = tuple(
    name for name, entry in template.load()["Resources"].items() if entry["Type"] == "AWS::Serverless::Function"
)
"""The functions of template.yaml, each a folder of a build."""

LEFT_OUT = ("Canary", "SnapStart", "Revision")
"""Parameters that concern published versions."""

OF_VERSIONS = ("AutoPublishAlias", "AutoPublishCodeSha256", "DeploymentPreference", "SnapStart")
"""Properties of functions that concern published versions."""

DIGEST_CHARACTERS = 16
"""Of a SHA-256 in a name: 64 bits, enough to tell the builds of a project apart."""

MAX_TEMPLATE_BYTES = 1_000_000
"""Size of a template that CloudFormation reads from S3."""

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every file in an archive, the earliest that the format has."""

TRANSLATE = """
import json, sys
from samtranslator.translator.transform import transform
class NoManagedPolicies:
    def load(self):
        return {}
json.dump(transform(json.load(sys.stdin), {}, NoManagedPolicies()), sys.stdout)
"""
"""Runs in the environment of SAM. Roles of the template are its own, so no managed policy is looked up."""


class PackageError(Exception):
    """The package cannot be made. The message says why."""


@dataclass(frozen=True, slots=True)
class Package:
    """`template` is plain CloudFormation, `archives` are the files that its functions name."""

    version: str
    template: Json
    archives: tuple[Path, ...]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the package and return the exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        made = make(Path(*words) if words else ROOT / "dist" / "package")
    except PackageError as error:
        print(f"infra/packaged.py: {error}", file=sys.stderr)
        return 1
    for path in made.archives:
        print(f"{path.stat().st_size:>12,} {path}")
    return 0


def make(folder: Path) -> Package:
    """Build, and write the package into the folder. Raises PackageError."""
    ready = os.environ.get("POSTERN_BUILD")
    build = Path(ready or ROOT / ".aws-sam" / "build")
    tools = [str(ROOT / "infra" / "aws-tools.sh"), "sam"]
    if subprocess.run(tools if ready else [str(ROOT / "infra" / "build.sh"), str(build)], check=False).returncode:
        raise PackageError("the build failed (see above)")
    folder.mkdir(parents=True, exist_ok=True)
    for old in (*folder.glob("*.zip"), *folder.glob("template.json")):
        old.unlink()
    archives = tuple(archive(build / function, folder) for function in FUNCTIONS)
    code = {function: path.name for function, path in zip(FUNCTIONS, archives, strict=True)}
    made = Package(version(), plain(code), archives)
    text = as_text(made.template)
    if len(text.encode()) > MAX_TEMPLATE_BYTES:
        raise PackageError(f"the template has {len(text.encode()):,} bytes; valid: at most {MAX_TEMPLATE_BYTES:,}")
    (folder / "template.json").write_text(text, "utf-8")
    return made


def version() -> str:
    """The version of Postern."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])


def archive(source: Path, folder: Path) -> Path:
    """Write the archive of a function into the folder. Raises PackageError."""
    if not source.is_dir():
        raise PackageError(f"{source} is not there; make build, or name a build in POSTERN_BUILD")
    unfinished = folder / f"{source.name}.zip"
    with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as target:
        for path in sorted(source.rglob("*")):
            if path.is_file():
                entry = zipfile.ZipInfo(path.relative_to(source).as_posix(), EPOCH)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o100644 << 16
                target.writestr(entry, path.read_bytes())
    return unfinished.rename(folder / f"{source.name}-{digest(unfinished.read_bytes())}.zip")


def digest(content: bytes) -> str:
    """What tells this content from every other, for a name."""
    return hashlib.sha256(content).hexdigest()[:DIGEST_CHARACTERS]


def as_text(document: Json) -> str:
    """A template as text: equal templates give equal texts."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True) + "\n"


def plain(code: dict[str, Json]) -> Json:
    """template.yaml as plain CloudFormation, with this code for each function. Raises PackageError."""
    source = copy.deepcopy(template.load())
    for name in LEFT_OUT:
        del source["Parameters"][name]
    groups = source["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    groups[:] = [group for group in groups if not set(group["Parameters"]) <= set(LEFT_OUT)]
    del source["Conditions"]["HasSnapStart"]
    del source["Globals"]["Function"]["CodeUri"]
    for function in FUNCTIONS:
        properties = source["Resources"][function]["Properties"]
        for name in OF_VERSIONS:
            properties.pop(name, None)
        properties["CodeUri"] = {"Bucket": "-", "Key": "-"}
    for resource in source["Resources"].values():
        resource.pop("Metadata", None)  # for the linters of template.yaml
    command = [str(ROOT / ".cache" / "aws" / "sam" / "bin" / "python"), "-c", TRANSLATE]
    region = {"AWS_DEFAULT_REGION": "us-east-1"}  # the translator asks for one; the template is for every region
    done = subprocess.run(
        command, input=json.dumps(source), env={**os.environ, **region}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise PackageError(f"SAM cannot expand the template: {done.stderr.strip().splitlines()[-1]}")
    made = json.loads(done.stdout)
    for function in FUNCTIONS:
        made["Resources"][function]["Properties"]["Code"] = code[function]
    return made


if __name__ == "__main__":
    sys.exit(main())
