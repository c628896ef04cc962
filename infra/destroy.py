"""Remove one environment, in any state of its stack: complete, half deployed, rolled back or half deleted.

    python -m infra.destroy ENVIRONMENT [--yes STACK]

Asks for the name of the stack, or takes it from --yes. Removes everything: functions, schedules, table, logs and
artefacts, also those that outlive a deleted stack or that a failed deployment has uploaded. The KMS key can be restored
for 30 days. A durable table is removed with its recovery points, so export it first. A table that ExistingTable names
is not the stack's, and stays. Exit code 1 when anything is left; the message says what and why.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from infra import environments
from infra.environments import Refused

POLL_SECONDS, POLLS = 5, 240
"""Every 5 s for 20 minutes. A CloudFront distribution takes most of that time."""

SAM_STACK = "aws-sam-cli-managed-default"
"""The stack in which `sam deploy --resolve-s3` keeps its bucket for the artefacts of every stack of the region."""

KEY_DAYS = 30
"""Days until a key is gone; the most that KMS allows."""

OUTLIVE = ("AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::Logs::LogGroup")
"""Types of resources that the template retains."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Remove one environment and return the exit code."""
    parser = argparse.ArgumentParser(prog="destroy.py", description="Remove a deployment.")
    parser.add_argument("environment", help="dev, staging, prod or ephemeral-NAME")
    parser.add_argument("--yes", metavar="STACK", help="the name of the stack, as confirmation")
    options = parser.parse_args(arguments)

    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        stack = environments.read(options.environment).stack
    except Refused as refused:
        print(refused, file=sys.stderr)
        return 2
    try:
        cloudformation = boto3.client("cloudformation")
        state = state_of(cloudformation, stack)
        bucket = artefacts_bucket(cloudformation)
        uploaded = list(artefacts(boto3.client("s3"), bucket, stack)) if bucket else []
        if state is None and not uploaded:
            print(f"{stack} does not exist")
            return 0
        what = f"is {state}" if state else f"does not exist, and has left {len(uploaded)} artefacts"
        said = (
            options.yes
            if options.yes is not None
            else input(f"{stack} {what}. To remove everything, enter the name of the stack: ")
        )
        if said != stack:
            print(f'"{said}" is not "{stack}"; nothing was removed', file=sys.stderr)
            return 1
        if state is not None:
            resources = cloudformation.describe_stack_resources(StackName=stack)["StackResources"]
            cloudformation.update_termination_protection(StackName=stack, EnableTerminationProtection=False)
            if remove(cloudformation, stack):
                return 1
            remove_retained(resources)
        if uploaded:
            remove_artefacts(boto3.client("s3"), bucket, uploaded)
    except (BotoCoreError, ClientError) as error:
        print(f"{stack}: {error}", file=sys.stderr)
        return 1
    print(f"{stack}: removed")
    return 0


def state_of(cloudformation: Any, stack: str) -> str | None:
    """The state of the stack as CloudFormation names it; None when the stack does not exist."""
    from botocore.exceptions import ClientError

    try:
        [described] = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError" and "does not exist" in str(error):
            return None
        raise
    return str(described["StackStatus"])


def artefacts_bucket(cloudformation: Any) -> str:
    """The bucket of the artefacts, "" where nothing was ever deployed."""
    from botocore.exceptions import ClientError

    try:
        [described] = cloudformation.describe_stacks(StackName=SAM_STACK)["Stacks"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError" and "does not exist" in str(error):
            return ""
        raise
    outputs = {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", ())}
    return str(outputs.get("SourceBucket", ""))


def artefacts(s3: Any, bucket: str, stack: str) -> Iterator[dict[str, str]]:
    """Every version of every object that deployments of the stack have uploaded. The bucket keeps old versions."""
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=f"{stack}/"):
        for version in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
            yield {"Key": version["Key"], "VersionId": version["VersionId"]}


def remove_artefacts(s3: Any, bucket: str, versions: Sequence[dict[str, str]]) -> None:
    """Delete them, as many at once as S3 allows."""
    for start in range(0, len(versions), 1_000):
        s3.delete_objects(Bucket=bucket, Delete={"Objects": list(versions[start : start + 1_000]), "Quiet": True})


def remove_retained(resources: Sequence[Any]) -> None:
    """Remove what the template lets outlive its stack: the table, the key and the logs."""
    import boto3
    from botocore.exceptions import ClientError

    clients: dict[str, Any] = {}
    for service in ("dynamodb", "kms", "logs"):
        clients[service] = boto3.client(service)
    for resource in resources:
        name = resource.get("PhysicalResourceId")
        if not name or resource["ResourceType"] not in OUTLIVE:
            continue
        try:
            match resource["ResourceType"]:
                case "AWS::DynamoDB::Table":
                    _remove_table(clients["dynamodb"], name)
                case "AWS::KMS::Key":
                    if clients["kms"].describe_key(KeyId=name)["KeyMetadata"]["KeyState"] != "PendingDeletion":
                        clients["kms"].schedule_key_deletion(KeyId=name, PendingWindowInDays=KEY_DAYS)
                case "AWS::Logs::LogGroup":
                    _remove_log(clients["logs"], name)
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("ResourceNotFoundException", "NotFoundException"):
                raise


def _remove_table(dynamodb: Any, name: str) -> None:
    if dynamodb.describe_table(TableName=name)["Table"].get("DeletionProtectionEnabled"):
        dynamodb.update_table(TableName=name, DeletionProtectionEnabled=False)
    dynamodb.delete_table(TableName=name)


def _remove_log(logs: Any, name: str) -> None:
    for group in logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]:
        if group["logGroupName"] == name:
            if group.get("deletionProtectionEnabled"):
                logs.put_log_group_deletion_protection(logGroupIdentifier=name, deletionProtectionEnabled=False)
            logs.delete_log_group(logGroupName=name)


def remove(cloudformation: Any, stack: str) -> int:
    """Delete the stack, wait, and return the exit code."""
    from botocore.exceptions import WaiterError

    cloudformation.delete_stack(StackName=stack)
    try:
        cloudformation.get_waiter("stack_delete_complete").wait(
            StackName=stack, WaiterConfig={"Delay": POLL_SECONDS, "MaxAttempts": POLLS}
        )
    except WaiterError:
        left = [
            f"  {resource['LogicalResourceId']}: {resource.get('ResourceStatusReason', resource['ResourceStatus'])}"
            for resource in cloudformation.describe_stack_resources(StackName=stack)["StackResources"]
            if resource["ResourceStatus"] != "DELETE_COMPLETE"
        ]
        print(
            f"{stack} is {state_of(cloudformation, stack)}; these resources are left:\n" + "\n".join(left),
            file=sys.stderr,
        )
        print("fix what the reasons say, then run this command again", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
