"""Publish the deployment to buckets, and print links on which anybody deploys it by a click.

    make launch-stack BUCKET=NAME REGION=REGION [ARGS="Parameter=value ... --stack NAME --private"]

BUCKET    an S3 bucket that is there, in the region. With several regions, separated by spaces, {region} in the name
          stands for each: a function's code must be in the region of its stack.
REGION    where the links deploy to.
Parameter the link fills it in; whoever clicks may change it.
--stack   the name of the stack that the link suggests (default: postern- and the Environment, so postern-dev).
--private the bucket is not public: the links work for those who may read it.

Wrong words, a bucket that is missing, elsewhere or not public, are refused before anything is built. Names of objects
have the version and a digest, and no object is ever replaced: a link deploys what it deployed on the first day. The
links are also in launch-stack.md, in the folder that --into names (default: dist). Exit code 2 for a refusal, and 1 for
a failure.
"""

from __future__ import annotations

import argparse
import copy
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from infra import packaged, template
from infra.environments import Refused, broken_rules, wrong
from infra.template import ROOT

PREFIX = "postern"
"""Folder of all objects in a bucket."""

REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]")
STACK = re.compile(r"[a-zA-Z][a-zA-Z0-9-]{0,127}")

CONSOLES = {
    "aws": "console.aws.amazon.com",
    "aws-us-gov": "console.amazonaws-us-gov.com",
    "aws-cn": "console.amazonaws.cn",
}
"""Host of the console of each partition, after the region."""

READABLE = """\
{bucket} is not public, so a link would work for nobody else. Give it the policy
  {{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
    "Resource": "arn:{partition}:s3:::{bucket}/{prefix}/*"}}]}}
or pass --private: the link then works for those who may read the bucket"""


class Failed(Exception):
    """An object could not be published; the message says which, and why."""


@dataclass(frozen=True, slots=True)
class Place:
    """A bucket in a region. `s3` is a client there."""

    region: str
    bucket: str
    s3: Any

    @property
    def partition(self) -> str:
        """Of the region: aws, aws-cn or aws-us-gov."""
        return str(self.s3.meta.partition)

    def url(self, key: str) -> str:
        """The address of an object, in the form that CloudFormation takes."""
        host = "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"
        return f"https://{self.bucket}.s3.{self.region}.{host}/{quote(key)}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Publish and return the exit code."""
    from botocore.exceptions import BotoCoreError, ClientError

    parser = argparse.ArgumentParser(
        prog="make launch-stack", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bucket")
    parser.add_argument("regions")
    parser.add_argument("parameters", nargs="*", metavar="Parameter=value")
    parser.add_argument("--stack")
    parser.add_argument("--private", action="store_true")
    parser.add_argument("--into", type=Path, default=ROOT / "dist", metavar="FOLDER")
    options = parser.parse_intermixed_args(arguments)
    try:
        parameters = read_parameters(options.parameters)
        stack = options.stack or f"postern-{parameters.get('Environment', 'dev')}"
        if not STACK.fullmatch(stack):
            raise Refused(f'"{stack}" cannot be the name of a stack: 1 to 128 letters, digits and dashes')
        places = read_places(options.bucket, options.regions.split())
        problems = [problem for place in places for problem in unusable(place, private=options.private)]
        if problems:
            raise Refused(*problems)
        package = packaged.make(options.into / "package")
        links = {place.region: publish(place, package, stack, parameters, options.private) for place in places}
    except Refused as refused:
        for problem in refused.problems:
            print(f"make launch-stack: {problem}", file=sys.stderr)
        return 2
    except (Failed, packaged.PackageError, BotoCoreError, ClientError) as failed:
        print(f"make launch-stack: {failed}", file=sys.stderr)
        return 1
    (options.into / "launch-stack.md").write_text(page(package.version, links), "utf-8")
    for region, link in links.items():
        print(f"{region}  {link}")
    return 0


def read_parameters(words: Sequence[str]) -> dict[str, str]:
    """The parameters that a link fills in. Raises Refused with everything that is wrong."""
    problems = [f'"{word}" is not Parameter=value' for word in words if not re.match(r"[^=]+=", word)]
    parameters = dict(word.split("=", 1) for word in words if re.match(r"[^=]+=", word))
    for name, value in parameters.items():
        if name in packaged.LEFT_OUT:
            problems.append(f"{name} belongs to infra/deploy.sh: a stack of a link has no published versions")
        else:
            problems += wrong(name, value)
    if not problems:
        defaults = {name: str(entry["Default"]) for name, entry in template.load()["Parameters"].items()}
        problems += broken_rules({**defaults, **parameters})
    if problems:
        raise Refused(*problems)
    return parameters


def read_places(bucket: str, regions: Sequence[str]) -> list[Place]:
    """The buckets, with a client for each. Raises Refused."""
    import boto3

    unknown = [region for region in regions if not REGION.fullmatch(region)]
    if unknown or not regions:
        raise Refused(f"{', '.join(unknown) or 'none'}: name AWS regions, e.g. eu-central-1")
    if not bucket:
        raise Refused("name a bucket: make launch-stack BUCKET=NAME REGION=eu-central-1")
    if len(set(regions)) > 1 and "{region}" not in bucket:
        raise Refused(f"several regions need a bucket each: write e.g. BUCKET={bucket}-{{region}}")
    names = {region: bucket.replace("{region}", region) for region in regions}
    return [Place(region, name, boto3.client("s3", region_name=region)) for region, name in names.items()]


def unusable(place: Place, *, private: bool) -> Iterator[str]:
    """Why a link to the bucket could not work."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        found = place.s3.head_bucket(Bucket=place.bucket)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "404":
            yield f"the bucket {place.bucket} does not exist; make it in {place.region}"
        elif code in ("301", "400"):
            yield f"the bucket {place.bucket} is not in {place.region}, where the stack's functions read their code"
        else:
            yield f"the bucket {place.bucket} cannot be used: {error}"
        return
    except BotoCoreError as error:
        yield f"the bucket {place.bucket} cannot be used: {error}"
        return
    if found["BucketRegion"] != place.region:
        yield (
            f"the bucket {place.bucket} is in {found['BucketRegion']}, and not in {place.region}, where the stack's "
            "functions read their code"
        )
    if not private and not _is_public(place):
        yield READABLE.format(bucket=place.bucket, partition=place.partition, prefix=PREFIX)


def _is_public(place: Place) -> bool:
    from botocore.exceptions import ClientError

    try:
        status = place.s3.get_bucket_policy_status(Bucket=place.bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchBucketPolicy":
            return False
        raise
    return bool(status["PolicyStatus"].get("IsPublic"))


def publish(place: Place, package: packaged.Package, stack: str, parameters: Mapping[str, str], private: bool) -> str:
    """Upload the archives and the template; returns the link. Raises Failed."""
    folder = f"{PREFIX}/{package.version}"
    document = copy.deepcopy(package.template)
    for function, path in zip(packaged.FUNCTIONS, package.archives, strict=True):
        key = f"{folder}/{path.name}"
        _put(place, key, path.read_bytes(), "application/zip")
        document["Resources"][function]["Properties"]["Code"] = {"S3Bucket": place.bucket, "S3Key": key}
    text = packaged.as_text(document).encode()
    key = f"{folder}/template-{packaged.digest(text)}.json"
    _put(place, key, text, "application/json")
    if not private:
        _read_by_anybody(place, key)
    return link(place, key, stack, parameters)


def _put(place: Place, key: str, content: bytes, kind: str) -> None:
    """Write an object, unless it is there: its name has its digest."""
    from botocore.exceptions import ClientError

    try:
        place.s3.put_object(
            Bucket=place.bucket, Key=key, Body=content, ContentType=kind, IfNoneMatch="*", ChecksumAlgorithm="SHA256"
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "PreconditionFailed":
            raise Failed(f"{place.bucket}/{key} cannot be written: {error}") from error
    print(f"{place.region}: {place.bucket}/{key}", file=sys.stderr)


def _read_by_anybody(place: Place, key: str) -> None:
    """Raises Failed where somebody without credentials cannot read the object."""
    import boto3
    from botocore import UNSIGNED
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        anybody = boto3.client("s3", region_name=place.region, config=Config(signature_version=UNSIGNED))
        anybody.get_object(Bucket=place.bucket, Key=key, Range="bytes=0-0")["Body"].close()
    except (BotoCoreError, ClientError) as error:
        raise Failed(
            f"{place.bucket}/{key} is there, but somebody without credentials cannot read it ({error}); look at the "
            "bucket's policy and at its block of public access"
        ) from error


def link(place: Place, key: str, stack: str, parameters: Mapping[str, str]) -> str:
    """The address of the console's page that makes a stack of this template."""
    filled = {f"param_{name}": value for name, value in parameters.items()}
    words = urlencode({"templateURL": place.url(key), "stackName": stack, **filled}, quote_via=quote, safe="")
    host = f"{place.region}.{CONSOLES[place.partition]}"
    return f"https://{host}/cloudformation/home?region={place.region}#/stacks/create/review?{words}"


def page(version: str, links: Mapping[str, str]) -> str:
    """The links as Markdown, for a release or a page."""
    rows = "\n".join(f"| {region} | [Launch stack]({address}) |" for region, address in links.items())
    return f"# Postern {version}: launch a stack\n\n| region | |\n|---|---|\n{rows}\n"


if __name__ == "__main__":
    sys.exit(main())
