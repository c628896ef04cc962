"""Issuers that are known by name. Another issuer is given by its URL, and needs nothing here.

An issuer that many people share signs tokens for anybody. So a trust in it must name one of the claims that say whose
workload it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Preset:
    """What is known of an issuer.

    `owners`     claims that say whose workload it is; a trust lists one of them. Empty: any claim will do.
    `subjects`   parts of a subject that say so, with their values behind them. What else a subject has, the owner of
                 any workload can choose, e.g. the branch alone.
    `principal`  the claims that a log entry shows: whose workload it is, and which run of it.
    `defaults`   claims with their values for a trust that does not list them.
    """

    issuer: str
    owners: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    principal: tuple[str, ...] = ("sub",)
    defaults: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


PRESETS: Mapping[str, Preset] = {
    "github": Preset(
        issuer="https://token.actions.githubusercontent.com",
        owners=("repository", "repository_id", "repository_owner", "repository_owner_id", "sub"),
        subjects=("repo", "repository", "repository_id", "repository_owner", "repository_owner_id"),
        principal=("repository", "run_id"),
        # Not pull_request_target, workflow_run, issue_comment and the like: somebody outside the repository can cause
        # them, and they run with the identity of its default branch. GitHub gives the workflow of a pull request from
        # a fork no identity token, unless an administrator of a private repository lets it have write tokens.
        defaults={
            "event_name": (
                "push",
                "pull_request",
                "merge_group",
                "schedule",
                "workflow_dispatch",
                "repository_dispatch",
                "release",
                "deployment",
            )
        },
    ),
    "gitlab": Preset(
        issuer="https://gitlab.com",
        owners=("project_path", "project_id", "namespace_path", "namespace_id", "sub"),
        subjects=("project_path", "project_id", "namespace_path", "namespace_id"),
        principal=("project_path", "pipeline_id"),
    ),
}
"""Name -> what is known."""


def of(issuer: str) -> Preset:
    """What is known of the issuer with this URL. An enterprise can have an issuer of its own below that of GitHub; its
    tokens have the same claims."""
    known = (preset for preset in PRESETS.values() if f"{issuer}/".startswith(f"{preset.issuer}/"))
    return next(known, Preset(issuer))


def url(given: str) -> str:
    """The URL of an issuer that is given by its name or by its URL."""
    return PRESETS[given].issuer if given in PRESETS else given


def says_whose(subject: str, preset: Preset) -> bool:
    """True for a subject that says whose workload it is, e.g. `repo:octo/agent:ref:refs/heads/main`. The issuers write
    a colon within a value in another way."""
    parts = subject.split(":")
    return any(name in preset.subjects and value for name, value in pairwise(parts))


def complete(issuer: str, claims: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """The claims of a trust in the issuer with this URL: those that are listed, and the defaults of the others."""
    return {**{name: list(values) for name, values in of(issuer).defaults.items()}, **claims}
