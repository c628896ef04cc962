"""Build and deploy one environment, with the AWS credentials and the region of this shell.

    infra/deploy.sh dev|staging|prod|ephemeral-NAME [Parameter=value ...] [--yes | --plan | --execute CHANGE_SET]

    --yes        does not ask, where the environment would (prod)
    --plan       makes the change set, shows it and stops
    --execute    carries out a change set that --plan has made; builds nothing

The parameters are those of template.yaml. They override those of the environment (infra/samconfig.toml). A parameter
that neither sets keeps its value from the last deployment. POSTERN_BUILD names a folder that infra/build.sh has filled.

The order is: refuse what is wrong (environments.py, preflight.py), build, upload and make a change set, execute it,
test it from outside (smoke.py). Exit code 1 when any step fails; the versions that served before then serve on.

Each function must know the address of the other one for OAuth, and has its own only when it exists. So the first
deployment of an environment is followed by a second one, with both addresses as parameters. Only what a person or
--plan has approved is executed otherwise.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from infra import environments, preflight, smoke, versions
from infra.environments import Environment, Refused
from infra.locks import locked
from infra.template import ROOT

POLL_SECONDS, POLLS = 2, 1_800
"""Every 2 s for an hour. A canary of 15 minutes and a CloudFront distribution take most of that time."""

BUILDS = ROOT / ".aws-sam"
SAM = ROOT / ".cache" / "aws" / "sam" / "bin" / "sam"

CHANGE_SET = re.compile(r"arn:[^\s]+:changeSet/[^\s]+")


class Failed(Exception):
    """A step of the deployment did not succeed; the message says what is the case now."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Deploy and return the exit code."""
    parser = argparse.ArgumentParser(prog="infra/deploy.sh", usage=environments.USAGE, description=__doc__)
    parser.add_argument("environment")
    parser.add_argument("parameters", nargs="*", metavar="Parameter=value")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--yes", action="store_true")
    how.add_argument("--plan", action="store_true")
    how.add_argument("--execute", metavar="CHANGE_SET")
    options = parser.parse_intermixed_args(arguments)
    try:
        environment = environments.read(options.environment, options.parameters)
        if environment.asks and not (options.yes or options.plan or options.execute or sys.stdin.isatty()):
            raise Refused(
                f"{environment.name} asks before it changes anything, and nobody can answer here; use --yes, or --plan "
                "and then --execute"
            )
        if options.execute and options.parameters:
            raise Refused("--execute takes no parameters: they are in the change set")
        found = preflight.check(environment)
        if found.problems:
            raise Refused(*found.problems)
        with locked(BUILDS / f"{environment.name}.lock", f"another deployment of {environment.name}"):
            return _deploy(environment, found, options)
    except Refused as refused:
        for problem in refused.problems:
            print(f"infra/deploy.sh: {problem}", file=sys.stderr)
        return 2
    except Failed as failed:
        print(f"infra/deploy.sh: {failed}", file=sys.stderr)
        return 1


def _deploy(environment: Environment, found: preflight.Found, options: argparse.Namespace) -> int:
    import boto3

    cloudformation, functions = boto3.client("cloudformation"), boto3.client("lambda")
    exists = found.state not in (None, "REVIEW_IN_PROGRESS")
    earlier = versions.serving(cloudformation, functions, environment.stack) if exists else versions.Serving({}, False)
    change_set = options.execute or _planned(environment, found, earlier)
    if change_set and options.plan:
        print(f"planned; carry it out with: infra/deploy.sh {environment.name} --execute {change_set}")
        return 0
    if change_set:
        if environment.asks and not (options.yes or options.execute):
            said = input(f"To make these changes, enter the name of the stack ({environment.stack}): ")
            if said != environment.stack:
                raise Failed(f'"{said}" is not "{environment.stack}"; nothing was changed')
        _execute(cloudformation, environment.stack, change_set)
        _introduce(cloudformation, environment, options.parameters)
    if environment.is_protected:
        cloudformation.update_termination_protection(StackName=environment.stack, EnableTerminationProtection=True)
    problems = smoke.problems(environment.stack)
    smoke.report(environment.stack, problems)
    if problems and change_set and earlier.versions:
        versions.put_back(functions, earlier)
        raise Failed("the smoke test failed; the versions that served before the deployment serve again")
    if problems:
        raise Failed("the smoke test failed; there is no earlier version that could serve")
    _show(cloudformation, environment.stack)
    return 0


ADDRESSES = {"ManagementUrl": "AdminUrl", "McpOrigin": "McpUrl"}
"""Parameters that hold the origin of an output, unless they were set otherwise."""


def _introduce(cloudformation: Any, environment: Environment, given: Sequence[str]) -> None:
    """Tell the functions each other's address, where the stack does not know it yet. Raises Failed."""
    stack = environment.stack
    [described] = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    known = {entry["ParameterKey"]: entry["ParameterValue"] for entry in described["Parameters"]}
    outputs = smoke.read_outputs(cloudformation, stack)
    missing = {
        parameter: "/".join(outputs[output].split("/")[:3])
        for parameter, output in ADDRESSES.items()
        if output in outputs and not known.get(parameter) and f"{parameter}=" not in given
    }
    if not missing:
        return
    print("telling the functions each other's address, which exists since now")
    revision = hashlib.sha256(repr((known.get("Revision"), missing)).encode()).hexdigest()[:15]
    changed = {**missing, "Revision": f"r{revision}"}
    made = cloudformation.create_change_set(
        StackName=stack,
        ChangeSetName=f"addresses-{revision}",
        UsePreviousTemplate=True,
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[
            {"ParameterKey": name, "ParameterValue": changed[name]}
            if name in changed
            else {"ParameterKey": name, "UsePreviousValue": True}
            for name in known
        ],
    )
    cloudformation.get_waiter("change_set_create_complete").wait(StackName=stack, ChangeSetName=made["Id"])
    _execute(cloudformation, stack, made["Id"])


def _planned(environment: Environment, found: preflight.Found, earlier: versions.Serving) -> str | None:
    """Build, upload, and make a change set; None where there is nothing to change. Raises Failed."""
    folder = Path(os.environ.get("POSTERN_BUILD") or BUILDS / environment.name)
    tools, recipe = ROOT / "infra" / "aws-tools.sh", ROOT / "infra" / "build.sh"
    build = [str(tools), "sam"] if "POSTERN_BUILD" in os.environ else [str(recipe), str(folder)]
    if subprocess.run(build, check=False).returncode:
        raise Failed("the build failed; nothing was uploaded")
    revision = _revision(environment, found, folder, earlier)
    parameters = {**environment.parameters, "Revision": revision}
    built, stamped = folder / "template.yaml", folder / f"template-{environment.name}.yaml"
    # The name of a version is made of the parameter's value, which not every place that expands the template looks up.
    text = re.sub(r"(?<=  Revision:\n)((?:    .*\n)*?    Default: ).*", rf"\g<1>{revision}", built.read_text())
    stamped.write_text(text)
    command = [SAM, "deploy", "--config-file", ROOT / "infra" / "samconfig.toml", "--config-env", environment.section]
    command += ["--template", stamped, "--no-execute-changeset", "--no-confirm-changeset"]
    command += ["--stack-name", environment.stack, "--s3-prefix", environment.stack]
    command += ["--parameter-overrides", *(f"{name}={value}" for name, value in parameters.items())]
    said = []
    with subprocess.Popen(
        [str(word) for word in command],
        env={**os.environ, "SAM_CLI_TELEMETRY": "0"},
        stdout=subprocess.PIPE,
        text=True,
    ) as sam:
        assert sam.stdout is not None
        for line in sam.stdout:
            print(line, end="", flush=True)
            said.append(line)
    if sam.returncode:
        raise Failed("the change set could not be made; nothing was changed")
    made = CHANGE_SET.findall("".join(said))
    return str(made[-1]) if made else None


def _revision(environment: Environment, found: preflight.Found, folder: Path, earlier: versions.Serving) -> str:
    """A digest of all that a version is made of: equal deployments publish no new version. After a failed smoke test
    the version that serves is part of it, so that the next deployment publishes one whatever it holds."""
    parts = hashlib.sha256()
    known = environment.effective(found.parameters)
    parts.update(repr(sorted((name, value) for name, value in known.items() if name != "Revision")).encode())
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.parent != folder)
    for path in (folder / "template.yaml", *files):
        parts.update(str(path.relative_to(folder)).encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    if earlier.moved:
        parts.update(repr(sorted(earlier.versions.items())).encode())
    return f"r{parts.hexdigest()[:15]}"


def _execute(cloudformation: Any, stack: str, change_set: str, sleep: Callable[[float], None] = time.sleep) -> None:
    """Carry out a change set. Raises Failed with the reasons that CloudFormation gives."""
    from botocore.exceptions import ClientError

    try:
        cloudformation.execute_change_set(ChangeSetName=change_set, StackName=stack)
    except ClientError as error:
        raise Failed(f"the change set cannot be executed: {error}; make a new one with --plan") from error
    for _ in range(POLLS):
        [described] = cloudformation.describe_stacks(StackName=stack)["Stacks"]
        state = described["StackStatus"]
        if not state.endswith("_IN_PROGRESS"):
            break
        sleep(POLL_SECONDS)
    if state in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        print(f"{stack} is {state}")
        return
    for reason in _reasons(cloudformation, stack):
        print(f"  {reason}", file=sys.stderr)
    rolled_back = state == "UPDATE_ROLLBACK_COMPLETE"
    raise Failed(f"{stack} is {state}" + ("; the versions that served before serve on" if rolled_back else ""))


def _reasons(cloudformation: Any, stack: str) -> Iterator[str]:
    """What failed in the last operation on the stack, newest first."""
    for event in cloudformation.describe_stack_events(StackName=stack)["StackEvents"]:
        status = event["ResourceStatus"]
        if event["LogicalResourceId"] == stack and status in ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS"):
            return
        if status.endswith("_FAILED"):
            yield f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', status)}"


def _show(cloudformation: Any, stack: str) -> None:
    """The outputs: the URLs, and the next command."""
    outputs: Mapping[str, str] = smoke.read_outputs(cloudformation, stack)
    for name, value in sorted(outputs.items()):
        print(f"{name:20} {value}")


if __name__ == "__main__":
    sys.exit(main())
