"""What surrounds the code: workflows, issue forms, and the scripts that hold commits and releases together."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")


def loaded(path: Path) -> Any:
    return yaml.safe_load(path.read_text("utf-8"))


def steps(workflow: Path) -> list[dict[str, Any]]:
    return [step for job in loaded(workflow)["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_an_action_is_pinned_by_its_digest_with_the_version_beside_it(workflow: Path) -> None:
    used = [step["uses"] for step in steps(workflow) if "uses" in step]
    assert used
    assert [name for name in used if not PINNED.fullmatch(name)] == []
    lines = [line for line in workflow.read_text("utf-8").splitlines() if "uses:" in line]
    assert [line for line in lines if not re.search(r" # v\d+\.\d+\.\d+$", line)] == []


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_has_no_rights_but_those_it_names_and_ends(workflow: Path) -> None:
    document = loaded(workflow)
    assert document["permissions"] == {"contents": "read"}
    assert all(0 < job["timeout-minutes"] <= 120 for job in document["jobs"].values())
    checkouts = [step for step in steps(workflow) if "actions/checkout" in step.get("uses", "")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_no_word_of_an_event_is_put_into_a_command(workflow: Path) -> None:
    """An expression inside `run` is pasted into the shell; a title of an issue would run there."""
    assert [step["run"] for step in steps(workflow) if "${{" in step.get("run", "")] == []


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_runs_make_targets_and_scripts_that_are_there(workflow: Path) -> None:
    commands = "\n".join(step.get("run", "") for step in steps(workflow))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for words in re.findall(r"\bmake ([a-z -]+)", commands):
        assert set(words.split()) <= targets
    for script in re.findall(r"(?<![\w/])(?:infra|\.ci)/[\w./-]+", commands):
        assert (ROOT / script).exists(), script


def test_continuous_integration_runs_what_everybody_runs() -> None:
    assert any(".ci/run" in step.get("run", "") for step in steps(ROOT / ".github/workflows/ci.yml"))


@pytest.mark.parametrize("form", sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml")), ids=lambda path: path.stem)
def test_an_issue_form_asks_for_something(form: Path) -> None:
    document = loaded(form)
    asked = document.get("body") or document["contact_links"]
    assert all(entry.get("attributes", entry) for entry in asked)
    names = [entry["id"] for entry in document.get("body", ())]
    assert len(names) == len(set(names))


def test_new_versions_wait_for_two_weeks() -> None:
    for update in loaded(ROOT / ".github/dependabot.yml")["updates"]:
        assert update["cooldown"]["default-days"] >= 14
        assert (ROOT / update["directory"].strip("/")).is_dir()


def test_the_container_for_development_prepares_what_the_makefile_prepares() -> None:
    document = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text("utf-8"))
    assert document["postCreateCommand"] == "make .venv/.dev"


@pytest.mark.parametrize(
    ("message", "refusal"),
    [
        ("Read the table of plans by offset\n\nThe index was parsed whole.\n", ""),
        ("Merge branch 'main'\n", ""),
        ("Fix it\n\nBecause.\n", "The subject has 6 characters; use 15 to 72: Fix it"),
        (f"{'Read ' * 20}\n\nBecause.\n", "The subject has 100 characters; use 15 to 72:"),
        ("Read the table of plans by offset\n", "The message has no body; say why, after an empty line."),
        ("Read the table of plans by offset\n\n# a comment\n", "The message has no body; say why"),
    ],
)
def test_a_commit_has_a_subject_and_a_reason(tmp_path: Path, message: str, refusal: str) -> None:
    file = tmp_path / "message"
    file.write_text(message)
    done = subprocess.run(
        [str(ROOT / "infra/commit-subject.sh"), str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == (1 if refusal else 0)
    assert done.stderr.startswith(refusal)


@pytest.mark.parametrize(
    ("tag", "stated", "plugin", "section", "refusal"),
    [
        ("v1.2.3", "1.2.3", "1.2.3", "## 1.2.3 (2027-01-01)", ""),
        ("v1.2.4", "1.2.3", "1.2.4", "## 1.2.3 (2027-01-01)", "The tag is v1.2.4, and pyproject.toml states 1.2.3."),
        ("v1.2.3", "1.2.3", "1.2.2", "## 1.2.3 (x)", "The tag is v1.2.3, and infra/ci/pyproject.toml states 1.2.2."),
        ("v1.2.3", "1.2.3", "1.2.3", "## Unreleased", 'CHANGELOG.md has no section "## 1.2.3 (date)".'),
    ],
)
def test_a_release_has_one_version_everywhere(  # noqa: PLR0917 - a folder and five parameters
    tmp_path: Path, tag: str, stated: str, plugin: str, section: str, refusal: str
) -> None:
    for folder in ("ci", "cdk"):
        (tmp_path / "infra" / folder).mkdir(parents=True)
        (tmp_path / "infra" / folder / "pyproject.toml").write_text(f'[project]\nversion = "{plugin}"\n')
    shutil.copy(ROOT / "infra/release-version.sh", tmp_path / "infra")
    (tmp_path / "pyproject.toml").write_text(f'[project]\nversion = "{stated}"\n')
    (tmp_path / "CHANGELOG.md").write_text(f"# Changelog\n\n{section}\n")
    command = [str(tmp_path / "infra/release-version.sh"), tag]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (1 if refusal else 0, refusal)


def test_every_lock_is_made_by_the_one_script_and_installed_with_its_hashes() -> None:
    folder = ROOT / "infra/requirements"
    script = (ROOT / "infra/lock.sh").read_text("utf-8")
    words = set(re.findall(r"[a-z_]+", script))
    for lock in folder.glob("*.txt"):
        assert lock.stem in words, f"infra/lock.sh does not make {lock.name}"
        pinned = [line for line in lock.read_text("utf-8").splitlines() if re.match(r"[A-Za-z0-9]", line)]
        assert pinned or lock.stem == "log_subscriber", "only this function needs no package"
        assert [line for line in pinned if "==" not in line or not line.endswith("\\")] == [], lock.name
    for path in [ROOT / "Makefile", *ROOT.glob("infra/*.sh"), *ROOT.glob("tests/*/install")]:
        for line in path.read_text("utf-8").splitlines():
            if re.search(r"pip install.* -r ", line):
                assert "--require-hashes" in line, f"{path.name}: {line}"
                assert "--no-deps" in line, f"{path.name}: {line}"
