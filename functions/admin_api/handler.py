"""Lambda entry of the control plane."""

from __future__ import annotations

import gc

gc.disable()  # a collection finds nothing while modules load, and those of a start take an eighth of its CPU

import asyncio
import logging
import os
import secrets
import sys
import time
from pathlib import Path

from functions.admin_api import networks
from functions.admin_api.accounts.keys import Keys, KmsKeys, LocalKeys
from functions.admin_api.api_tokens.root import SecretsManagerRoot
from functions.admin_api.app import create_app
from functions.admin_api.lambda_events import LambdaHandler
from functions.admin_api.servers.schedules import EventBridgeSchedules, NoSchedules, Scheduler
from functions.gateway.audit import Audit
from functions.gateway.metrics import Counter
from functions.gateway.settings import Settings
from functions.gateway.upstream import Sender
from functions.stores.store import Store
from tool_catalog import compiled_file

QUIET = ("botocore", "boto3", "urllib3")
"""Loggers that write whole URLs, bodies or headers below WARNING, which hold tokens and credentials."""


def _store(settings: Settings) -> Store:
    if settings.store == "dynamodb":
        from functions.stores.dynamodb import DynamoStore

        return DynamoStore(settings.table)
    from functions.stores.sqlite import SqliteStore

    return SqliteStore(Path(settings.state_dir) / "postern.sqlite")


def _keys(settings: Settings) -> Keys:
    if settings.kms_key_id:
        return KmsKeys(settings.kms_key_id, count=count)
    return LocalKeys(Path(settings.state_dir) / "account-keys.key", secrets.token_bytes)


def _scheduler(settings: Settings) -> Scheduler:
    if settings.schedule_group:
        return EventBridgeSchedules(
            settings.schedule_group, settings.schedule_role_arn, settings.purge_function_arn, count=count
        )
    return NoSchedules()


settings = Settings.from_environment(os.environ)
logging.getLogger().setLevel(settings.log_level)
for name in QUIET:
    logging.getLogger(name).setLevel(logging.WARNING)
# The application logs what nobody expected by its type and place; Mangum would log its text, which may hold a secret.
logging.getLogger("mangum").setLevel(logging.CRITICAL)
store = _store(settings)
count = Counter(settings.environment, sys.stdout)
root_secret = settings.root_api_token_secret
app = create_app(
    settings,
    store,
    {name: compiled_file.load(name) for name in compiled_file.available()},
    _keys(settings),
    Sender(settings),
    audit=Audit(settings, store, sys.stdout),
    decision_lines=sys.stdout,
    scheduler=_scheduler(settings),
    count=count,
    root=SecretsManagerRoot(root_secret, time.monotonic) if root_secret else lambda: None,
)
loop = asyncio.new_event_loop()
handler = LambdaHandler(app, settings.mounted_at, loop, networks.read(settings.management_networks))

if settings.store == "dynamodb":
    gc.freeze()  # what was loaded stays, so the first collection need not walk it
gc.enable()
