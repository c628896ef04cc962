"""`make launch-stack` on the stand-ins: what it refuses, what it publishes, and the stack that comes of a link."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from infra import packaged
from tests.aws import standins
from tests.aws.conftest import Built, run
from tests.infra.template import load
from tests.mcp_endpoint.endpoint import legacy
from tests.patience import STUCK_SECONDS

pytestmark = pytest.mark.aws

REGIONS = ("eu-central-1", "us-east-1")


class Publisher:
    """Somebody with buckets on a stand-in, and the command in front of them."""

    def __init__(self, endpoint: str, build: Path, folder: Path) -> None:
        self.endpoint = endpoint
        self.build = build
        self.folder = folder

    def s3(self, region: str) -> Any:
        return standins.client("s3", self.endpoint, region=region)

    def bucket(self, name: str, region: str, *, public: str = "") -> None:
        """A new bucket, in which everybody may read the objects whose keys begin with `public`."""
        where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        self.s3(region).create_bucket(Bucket=name, **where)
        if public:
            objects = f"arn:aws:s3:::{name}/{public}*"
            statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": objects}
            policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
            self.s3(region).put_bucket_policy(Bucket=name, Policy=policy)

    def objects(self, name: str, region: str) -> dict[str, str]:
        """Key -> ETag."""
        return {one["Key"]: one["ETag"] for one in self.s3(region).list_objects_v2(Bucket=name).get("Contents", ())}

    def read(self, region: str, key: str) -> bytes:
        """An object of the bucket links-REGION."""
        content: bytes = self.s3(region).get_object(Bucket=f"links-{region}", Key=key)["Body"].read()
        return content

    def publish(self, *words: str) -> subprocess.CompletedProcess[str]:
        variables = {"AWS_ENDPOINT_URL": self.endpoint, "POSTERN_BUILD": str(self.build), **standins.CREDENTIALS}
        command = [".venv/bin/python", "-m", "infra.launch_stack", *words, "--into", str(self.folder)]
        return run(*command, **variables)


def template_url(link: str) -> str:
    """Where a link takes its template from."""
    return parse_qs(urlsplit(link).fragment.partition("?")[2])["templateURL"][0]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build whose functions have a file each, for what does not run them."""
    folder = tmp_path_factory.mktemp("build")
    for function in packaged.FUNCTIONS:
        (folder / function).mkdir()
        (folder / function / "handler.py").write_text(f"NAME = {function!r}\n")
    return folder


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["refusing-none", "eu-central-1"], "the bucket refusing-none does not exist; make it in eu-central-1"),
        (["refusing-private", "eu-central-1"], "refusing-private is not public, so a link would work for nobody else."),
        (["refusing-private", "eu-west-1"], "the bucket refusing-private is in eu-central-1, and not in eu-west-1"),
        (["refusing-private", "eu-central-1", "Durable=yes"], 'Durable is "yes"; valid: true, false'),
        (["refusing-private", "eu-central-1", "--stack", "1"], '"1" cannot be the name of a stack'),
    ],
    ids=["missing", "private", "elsewhere", "parameter", "stack"],
)
def test_what_cannot_work_is_refused_before_anything_is_built(tmp_path: Path, words: list[str], problem: str) -> None:
    publisher = Publisher(standins.moto(), Path("/nowhere"), tmp_path)  # without this build, it fails otherwise
    if "refusing-private" not in {one["Name"] for one in publisher.s3("eu-central-1").list_buckets()["Buckets"]}:
        publisher.bucket("refusing-private", "eu-central-1")
    done = publisher.publish(*words)
    assert done.returncode == 2, done.stdout + done.stderr
    assert problem in done.stderr
    assert publisher.objects("refusing-private", "eu-central-1") == {}
    assert list(publisher.folder.iterdir()) == []


@dataclass(frozen=True)
class Published:
    """What the command has put into a bucket in each of REGIONS. `links` are by region."""

    publisher: Publisher
    printed: str
    links: dict[str, str]

    def template(self, region: str) -> bytes:
        return self.publisher.read(region, template_url(self.links[region]).partition(".amazonaws.com/")[2])


WORDS = ("links-{region}", " ".join(REGIONS), "AlarmEmail=ops@example.com", "--stack", "postern-try")


@pytest.fixture(scope="module")
def published(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Published:
    publisher = Publisher(standins.moto(), small, tmp_path_factory.mktemp("published"))
    for region in REGIONS:
        publisher.bucket(f"links-{region}", region, public="postern/")
    done = publisher.publish(*WORDS)
    assert done.returncode == 0, done.stderr
    return Published(publisher, done.stdout, dict(line.split("  ") for line in done.stdout.splitlines()))


@pytest.mark.parametrize("region", REGIONS)
def test_a_link_names_its_template_and_that_names_its_code_by_version_and_digest(
    published: Published, region: str
) -> None:
    assert list(published.links) == list(REGIONS)
    link = published.links[region]
    assert f"| {region} | [Launch stack]({link}) |" in (published.publisher.folder / "launch-stack.md").read_text()
    assert "stackName=postern-try&param_AlarmEmail=ops%40example.com" in link
    body = published.template(region)
    place = f"https://links-{region}.s3.{region}.amazonaws.com/postern/{packaged.version()}"
    assert template_url(link) == f"{place}/template-{packaged.digest(body)}.json"
    assert len(body) < packaged.MAX_TEMPLATE_BYTES
    for function in packaged.FUNCTIONS:
        code = json.loads(body)["Resources"][function]["Properties"]["Code"]
        assert code["S3Bucket"] == f"links-{region}"
        archive = published.publisher.read(region, code["S3Key"])
        assert code["S3Key"] == f"postern/{packaged.version()}/{function}-{packaged.digest(archive)}.zip"
    assert len(published.publisher.objects(f"links-{region}", region)) == 1 + len(packaged.FUNCTIONS)


def test_what_is_published_stays_whatever_is_published_later(published: Published) -> None:
    publisher = published.publisher
    key = next(key for key in publisher.objects("links-us-east-1", "us-east-1") if "/Purge-" in key)
    publisher.s3("us-east-1").put_object(Bucket="links-us-east-1", Key=f"{key}.other", Body=b"another")
    before = publisher.objects("links-us-east-1", "us-east-1")
    again = publisher.publish(*WORDS)
    assert (again.returncode, again.stdout) == (0, published.printed), again.stderr
    assert publisher.objects("links-us-east-1", "us-east-1") == before


def test_the_template_passes_the_linter_and_has_nothing_that_a_click_cannot_make(
    published: Published, tmp_path: Path
) -> None:
    path = tmp_path / "template.json"
    path.write_bytes(published.template("us-east-1"))
    linted = run(str(standins.tool("standins/bin/cfn-lint")), str(path))
    assert linted.returncode == 0, linted.stdout
    source, document = load(), json.loads(path.read_text())
    assert "Transform" not in document
    assert set(source["Parameters"]) - set(document["Parameters"]) == set(packaged.LEFT_OUT)
    assert set(source["Resources"]) <= set(document["Resources"])
    assert set(source["Outputs"]) == set(document["Outputs"])
    kinds = {resource["Type"] for resource in document["Resources"].values()}
    assert not {kind for kind in kinds if "Serverless" in kind or "Version" in kind or "Alias" in kind}


def test_a_link_that_nobody_could_follow_is_not_printed(small: Path, tmp_path: Path) -> None:
    publisher = Publisher(standins.moto(), small, tmp_path)
    publisher.bucket("half-public", "us-east-1", public="images/")
    done = publisher.publish("half-public", "us-east-1")
    assert done.returncode == 1
    assert "is there, but somebody without credentials cannot read it" in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "launch-stack.md").exists()


def test_a_stack_of_a_link_serves_and_obeys_a_changed_parameter(built: Built, tmp_path: Path) -> None:
    publisher = Publisher(standins.start_ministack(), built.folder, tmp_path)
    publisher.bucket("clicked", standins.REGION)
    done = publisher.publish("clicked", standins.REGION, "--private")
    assert done.returncode == 0, done.stderr
    [link] = [line.split("  ")[1] for line in done.stdout.splitlines()]
    key = template_url(link).partition(".amazonaws.com/")[2]
    stacks = standins.client("cloudformation", publisher.endpoint)
    address = f"{publisher.endpoint}/clicked/{key}"  # where the stand-in has the object
    stacks.create_stack(StackName="postern-dev", TemplateURL=address, Capabilities=["CAPABILITY_IAM"])
    outputs = wait_for_outputs(stacks)
    for origins, status in (("", 403), ("https://chat.example", 200)):
        changed = [{"ParameterKey": "AllowedOrigins", "ParameterValue": origins}]
        stacks.update_stack(
            StackName="postern-dev", UsePreviousTemplate=True, Parameters=changed, Capabilities=["CAPABILITY_IAM"]
        )
        outputs = wait_for_outputs(stacks)
        host = outputs["McpUrl"].removeprefix("https://").partition(".")[0]
        request = legacy("tools/list")
        url = f"{publisher.endpoint}/_aws/lambda-url/{host}/mcp/{'0' * 43}"
        headers = {**dict(request.lines), "origin": "https://chat.example"}
        answer = httpx.post(url, headers=headers, content=request.body, timeout=STUCK_SECONDS)
        assert answer.status_code == status, answer.text
    assert "This MCP URL is unknown, revoked or expired" in answer.text
    assert "secretsmanager get-secret-value" in outputs["NextCommand"]


def wait_for_outputs(stacks: Any) -> dict[str, str]:
    """The outputs of the stack, when it is complete."""
    while True:
        [stack] = stacks.describe_stacks(StackName="postern-dev")["Stacks"]
        if not stack["StackStatus"].endswith("_IN_PROGRESS"):
            break
    assert stack["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE"), stack
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
