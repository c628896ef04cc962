"""The words of `make launch-stack`, and the links that it makes."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from infra import launch_stack, packaged
from infra.environments import Refused
from tests.infra import template


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["Durable"], '"Durable" is not Parameter=value'),
        (["Durabel=true"], 'unknown parameter "Durabel"; did you mean "Durable"?'),
        (["Durable=yes"], 'Durable is "yes"; valid: true, false'),
        (["Canary=false"], "Canary belongs to infra/deploy.sh: a stack of a link has no published versions"),
        (["DomainName=a.example"], "DomainName and CertificateArn belong together; set both or neither."),
        (["MemoryMegabytes=1"], 'MemoryMegabytes is "1"; valid: a whole number from 256 to 10240'),
    ],
)
def test_a_wrong_parameter_is_refused(words: list[str], problem: str) -> None:
    with pytest.raises(Refused) as refused:
        launch_stack.read_parameters(words)
    assert list(refused.value.problems) == [problem]


@pytest.mark.parametrize(
    ("bucket", "regions", "problem"),
    [
        ("", ["eu-central-1"], "name a bucket: make launch-stack BUCKET=NAME REGION=eu-central-1"),
        ("b", [], "none: name AWS regions, e.g. eu-central-1"),
        ("b", ["Frankfurt", "eu-central-1"], "Frankfurt: name AWS regions, e.g. eu-central-1"),
        ("b", ["us-east-1", "us-east-2"], "several regions need a bucket each: write e.g. BUCKET=b-{region}"),
    ],
)
def test_wrong_places_are_refused(bucket: str, regions: list[str], problem: str) -> None:
    with pytest.raises(Refused) as refused:
        launch_stack.read_places(bucket, regions)
    assert list(refused.value.problems) == [problem]


@pytest.mark.parametrize(
    ("region", "host", "storage"),
    [
        ("eu-central-1", "eu-central-1.console.aws.amazon.com", "amazonaws.com"),
        ("us-gov-west-1", "us-gov-west-1.console.amazonaws-us-gov.com", "amazonaws.com"),
        ("cn-north-1", "cn-north-1.console.amazonaws.cn", "amazonaws.com.cn"),
    ],
)
def test_a_link_names_the_template_the_stack_and_the_parameters(region: str, host: str, storage: str) -> None:
    [place] = launch_stack.read_places("acme-{region}", [region])
    address = launch_stack.link(place, "postern/1.2.3/template-0123.json", "postern-dev", {"AlarmEmail": "a+b@c.d"})
    place.s3.close()
    parts = urlsplit(address)
    assert (parts.scheme, parts.netloc, parts.query) == ("https", host, f"region={region}")
    path, _, words = parts.fragment.partition("?")
    assert path == "/stacks/create/review"
    assert parse_qs(words) == {
        "templateURL": [f"https://acme-{region}.s3.{region}.{storage}/postern/1.2.3/template-0123.json"],
        "stackName": ["postern-dev"],
        "param_AlarmEmail": ["a+b@c.d"],
    }


def test_every_parameter_is_in_one_group_of_the_console() -> None:
    document = template.load()
    groups = document["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    listed = [name for group in groups for name in group["Parameters"]]
    assert sorted(listed) == sorted(document["Parameters"])
    assert set(packaged.LEFT_OUT) == set(groups[-1]["Parameters"])


def test_equal_folders_make_equal_archives_and_others_do_not(tmp_path: Path) -> None:
    made = []
    for number, (text, seconds) in enumerate([("a = 1\n", 10**9), ("a = 1\n", 10**9 + 7), ("a = 2\n", 10**9)]):
        source, target = tmp_path / str(number) / "Purge", tmp_path / f"archives {number}"
        source.mkdir(parents=True)
        target.mkdir()
        (source / "a.py").write_text(text)
        os.utime(source / "a.py", (seconds, seconds))
        made.append(packaged.archive(source, target))
    first, second, third = made
    assert (first.name, first.read_bytes()) == (second.name, second.read_bytes())
    assert first.name != third.name
    with zipfile.ZipFile(first) as content:
        assert content.namelist() == ["a.py"]


def test_a_build_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(packaged.PackageError, match="Purge is not there; make build, or name a build in POSTERN_BUILD"):
        packaged.archive(tmp_path / "Purge", tmp_path)
