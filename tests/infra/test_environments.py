"""What is refused before anything is built or uploaded, and why."""

from __future__ import annotations

from typing import Any

import pytest

from infra import environments, preflight
from infra.environments import Refused, broken_rules, read


def problems(name: str, *overrides: str) -> list[str]:
    with pytest.raises(Refused) as caught:
        read(name, overrides)
    return list(caught.value.problems)


def test_an_environment_has_a_stack_of_its_name_and_its_own_parameters() -> None:
    dev, prod, run = read("dev"), read("prod", ["AlarmEmail=ops@example.com"]), read("ephemeral-ci-1")
    assert [one.stack for one in (dev, prod, run)] == ["postern-dev", "postern-prod", "postern-ephemeral-ci-1"]
    assert [one.asks for one in (dev, prod, run)] == [False, True, False]
    assert [one.is_protected for one in (dev, read("staging"), prod, run)] == [False, True, True, False]
    assert (prod.parameters["Durable"], prod.parameters["AlarmEmail"]) == ("true", "ops@example.com")
    assert run.parameters["Environment"] == "ephemeral-ci-1"
    assert int(prod.parameters["McpEndpointConcurrency"]) > 0, "a flood of prod has a limit"


@pytest.mark.parametrize(
    "name", ["ephemeral-", "ephemeral-A", "ephemeral-a_b", "ephemeral-" + "x" * 21, "ephemeral-x-"]
)
def test_a_name_that_no_resource_may_have_is_refused(name: str) -> None:
    [problem] = problems(name)
    assert problem.startswith(f'"{name}" cannot be the name of an environment: 1 to 30 lower-case letters')


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("Durable", '"Durable" is not Parameter=value'),
        ("=x", '"=x" is not Parameter=value'),
        ("Durabel=true", 'unknown parameter "Durabel"; did you mean "Durable"?'),
        ("Durable=yes", 'Durable is "yes"; valid: true, false'),
        ("MemoryMegabytes=12", 'MemoryMegabytes is "12"; valid: a whole number from 256 to 10240'),
        ("MemoryMegabytes=much", 'MemoryMegabytes is "much"; valid: a whole number from 256 to 10240'),
        ("LogRetentionDays=8", 'LogRetentionDays is "8"; valid: 1, 3, 5, 7,'),
        ("WebhookUrl=http://example.com", 'WebhookUrl is "http://example.com"; it must be an https URL, or empty.'),
    ],
)
def test_a_parameter_that_cloudformation_would_refuse_is_refused_here(override: str, said: str) -> None:
    [problem] = problems("dev", override)
    assert problem.startswith(said)


def test_every_problem_is_named_at_once() -> None:
    assert len(problems("dev", "Durable=yes", "Canary=maybe", "Nothing=1")) == 3


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({}, None),
        ({"FunctionTimeoutSeconds": "900"}, None),
        ({"FunctionTimeoutSeconds": "60", "EdgeLocations": "true"}, None),
        ({"FunctionTimeoutSeconds": "61", "EdgeLocations": "true"}, "FunctionTimeoutSeconds is at most 60"),
        ({"DomainName": "mcp.example.com"}, "DomainName and CertificateArn belong together"),
        ({"ControlPlane": "false"}, "ControlPlane=false needs ExistingTable"),
        ({"ControlPlane": "false", "ExistingTable": "postern"}, None),
    ],
)
def test_the_rules_of_the_template_are_evaluated_as_cloudformation_does(
    parameters: dict[str, str], said: str | None
) -> None:
    found = broken_rules(read("dev").effective(parameters))
    assert [problem.startswith(said or "") for problem in found] == ([True] if said else [])


def test_what_is_not_set_keeps_its_value_from_the_last_deployment() -> None:
    known = read("dev", ["LogLevel=ERROR"]).effective({"AlarmEmail": "a@b.c", "LogLevel": "INFO", "Gone": "x"})
    assert (known["AlarmEmail"], known["LogLevel"], known["CallTimeoutSeconds"]) == ("a@b.c", "ERROR", "25")
    assert "Gone" not in known


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (None, []),
        ("REVIEW_IN_PROGRESS", []),
        ("UPDATE_ROLLBACK_COMPLETE", []),
        ("ROLLBACK_COMPLETE", ["postern-dev is ROLLBACK_COMPLETE; remove it with: make destroy ENV=dev"]),
        ("UPDATE_IN_PROGRESS", ["postern-dev is UPDATE_IN_PROGRESS; wait until that ends, and deploy again"]),
    ],
)
def test_a_stack_that_cannot_be_updated_is_found_out_first(state: str | None, said: list[str]) -> None:
    assert preflight._state_problems(read("dev"), state) == said


def settings(unreserved: int, total: int = 1_000, used: int = 0) -> Any:
    limit = {"ConcurrentExecutions": total, "UnreservedConcurrentExecutions": unreserved, "TotalCodeSize": 100}
    return {"AccountLimit": limit, "AccountUsage": {"TotalCodeSize": used}}


@pytest.mark.parametrize(
    ("wanted", "had", "answer", "said"),
    [
        ("-1", "-1", settings(10, 10), []),
        ("5", "-1", settings(10, 10), ["reserve 5, but the account can reserve 0 here: it has 10"]),
        ("200", "-1", settings(1_000), []),
        ("900", "200", settings(800), []),
        ("901", "200", settings(800), ["reserve 901, but the account can reserve 900"]),
        ("-1", "-1", settings(1_000, used=96), ["96% of the code storage of this region is used"]),
    ],
)
def test_a_quota_that_does_not_suffice_is_found_out_first(wanted: str, had: str, answer: Any, said: list[str]) -> None:
    name = "McpEndpointConcurrency"
    found = preflight._quota_problems({name: wanted}, {name: had}, answer)
    assert len(found) == len(said)
    assert all(text in problem for text, problem in zip(said, found, strict=True))


def test_without_a_region_or_credentials_nothing_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    found = preflight.check(environments.read("dev"))
    assert [problem.split(";")[0] for problem in found.problems] == [
        "no AWS region is set",
        "no AWS credentials were found",
    ]
