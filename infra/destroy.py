"""Remove one environment, in any state of its stack: complete, half deployed, rolled back or half deleted.

    python infra/destroy.py ENVIRONMENT [--yes STACK]

Asks for the name of the stack, or takes it from --yes. Removes everything: table, key, functions, schedules and logs.
The KMS key can be restored for 30 days. A durable table is removed with its recovery points, so export it first.
Exit code 1 when anything is left; the message says what and why.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

POLL_SECONDS, POLLS = 5, 240
"""Every 5 s for 20 minutes. A CloudFront distribution takes most of that time."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Remove one environment and return the exit code."""
    parser = argparse.ArgumentParser(prog="destroy.py", description="Remove a deployment.")
    parser.add_argument("environment", help="dev, staging, prod or ephemeral-NAME")
    parser.add_argument("--yes", metavar="STACK", help="the name of the stack, as confirmation")
    options = parser.parse_args(arguments)

    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    stack = f"postern-{options.environment}"
    try:
        cloudformation = boto3.client("cloudformation")
        state = state_of(cloudformation, stack)
        if state is None:
            print(f"{stack} does not exist")
            return 0
        said = (
            options.yes
            if options.yes is not None
            else input(f"{stack} is {state}. To remove everything, enter the name of the stack: ")
        )
        if said != stack:
            print(f'"{said}" is not "{stack}"; nothing was removed', file=sys.stderr)
            return 1
        unprotect(cloudformation, boto3.client("dynamodb"), stack)
        return remove(cloudformation, stack)
    except (BotoCoreError, ClientError) as error:
        print(f"{stack}: {error}", file=sys.stderr)
        return 1


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


def unprotect(cloudformation: Any, dynamodb: Any, stack: str) -> None:
    """Switch off the deletion protection of the table, if the table exists."""
    resources = cloudformation.describe_stack_resources(StackName=stack)["StackResources"]
    for resource in resources:
        name = resource.get("PhysicalResourceId")
        if resource["ResourceType"] == "AWS::DynamoDB::Table" and name and "DELETE" not in resource["ResourceStatus"]:
            try:
                table = dynamodb.describe_table(TableName=name)["Table"]
            except dynamodb.exceptions.ResourceNotFoundException:
                continue
            if table.get("DeletionProtectionEnabled"):
                dynamodb.update_table(TableName=name, DeletionProtectionEnabled=False)


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
    print(f"{stack}: removed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
