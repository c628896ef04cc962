"""The table of operations: everything that the management API does, one row each.

The routes (app.py) and the OpenAPI document (openapi.py) are both made from this table, so that neither can have an
operation that the other lacks. A row states the scopes of API tokens that admit it; nothing else decides on scopes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel

from functions.admin_api.accounts.contract import Account, AccountCreate, AccountUpdate, RemovedAccount
from functions.admin_api.accounts.service import Accounts
from functions.admin_api.api_tokens.contract import ApiToken, ApiTokenCreate, Me, MintedApiToken, RemovedApiToken
from functions.admin_api.api_tokens.operator import Operator
from functions.admin_api.api_tokens.service import ApiTokens
from functions.admin_api.approvals.contract import Approval, ApprovalCode
from functions.admin_api.approvals.service import Approvals
from functions.admin_api.console.contract import SignIn, SignInLink
from functions.admin_api.console.sign_in import SignInLinks
from functions.admin_api.contract import Body, Page
from functions.admin_api.integrations.contract import Integration
from functions.admin_api.integrations.contract import Integrations as AllIntegrations
from functions.admin_api.integrations.service import Integrations
from functions.admin_api.labels import read_selector
from functions.admin_api.log import export
from functions.admin_api.log.query import parameters
from functions.admin_api.log.service import Log
from functions.admin_api.oauth import metadata as oauth
from functions.admin_api.oauth.consents import Consents
from functions.admin_api.oauth.contract import ConsentView, EndedConsent
from functions.admin_api.parameters import (
    CONTINUED,
    LIMIT,
    PAGING,
    Parameter,
    Query,
    choice,
    flag,
    lasting,
    named,
    text,
    words,
)
from functions.admin_api.servers.bulk import Bulk
from functions.admin_api.servers.contract import (
    ChangedServers,
    ConfiguredServer,
    CreatedServers,
    McpServer,
    MintedServer,
    Preview,
    RemovedServer,
    Rotate,
    ServerCreate,
    ServerPreview,
    ServersChange,
    ServersCreate,
    ServerUpdate,
)
from functions.admin_api.servers.finding import Wanted
from functions.admin_api.servers.service import Servers
from functions.admin_api.snippets.contract import Snippets, SnippetsRequest
from functions.admin_api.snippets.service import snippets
from functions.admin_api.tools.listing import FORMATS, Tools
from functions.admin_api.tools.proxy import Proxy, ProxyAnswer, ProxyRequest
from functions.admin_api.trusts.contract import RemovedTrust, Trust, TrustCreate, TrustUpdate
from functions.admin_api.trusts.service import Trusts
from functions.gateway.grants import write_time
from functions.gateway.json_text import Json
from functions.gateway.wording import did_you_mean

EVERY_TOKEN = ("read", "call", "mint", "connect", "manage")
"""Scopes for an operation that every API token may ask for."""

ANYBODY = ()
"""For an operation whose body is the proof, so that it asks for no API token."""

SIGN_IN = ("read", "call", "mint", "manage")
"""Scopes of API tokens whose operations the console shows."""

SEE = ("read", "manage")
"""Scopes for an operation that shows something and changes nothing."""

CHANGE = ("manage",)
"""Scopes for an operation that changes something."""

MINT = ("mint", "manage")
"""Scopes for making a server and revoking it: within the limits of the token and what it minted, or any."""

PREVIEW = ("read", "mint", "manage")
LIST_TOOLS = ("read", "call", "manage")
RUN_TOOLS = ("call", "manage")


@dataclass(frozen=True, slots=True)
class Services:
    """What the operations run on."""

    integrations: Integrations
    accounts: Accounts
    servers: Servers
    bulk: Bulk
    api_tokens: ApiTokens
    trusts: Trusts
    tools: Tools
    proxy: Proxy
    log: Log
    sign_in_links: SignInLinks
    approvals: Approvals
    consents: Consents


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, checked as far as its row says.

    `path`      its parameters. An account in it is an id; a name or `-` has been looked up.
    `account_ids`  the accounts that a path with `-` stands for; empty = all.
    `body`      an instance of the row's model, or the raw bytes where the row has a schema.
    `origin`    where this API is reached.
    `deadline`  when the answer is due, in seconds on the event loop's clock.
    """

    operator: Operator
    path: Mapping[str, str]
    account_ids: Sequence[str]
    query: Query
    body: Any = field(repr=False)
    verb: str
    headers: Mapping[str, str] = field(repr=False)
    origin: str
    request_id: str
    now: datetime
    deadline: float

    @property
    def mcp_url(self) -> str:
        """What minted URLs start with."""
        return f"{self.origin}/mcp"

    @property
    def account_id(self) -> str:
        """The account in the path."""
        return self.path["account_id"]

    @property
    def server_id(self) -> str:
        """The server in the path."""
        return self.path["server_id"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One verb of one path.

    `scopes`     an API token needs one of them; none = no API token is asked for.
    `answer`     a model, or the schema itself.
    `body`       a model, or the schema itself for a body that `run` reads.
    `errors`     statuses in addition to 401, 403, 500 and 503, which every operation has.
    `any_account`  `-` may stand for the account in the path.
    `workloads`  an identity token that a trust admits will do in place of an API token.
    `unlimited`  what an API token that is limited to accounts may not do here; "" = it may.
    `free_query`  names that are not in `query` are allowed: they are arguments of a tool.
    `logs`       when the log has an entry: `decision` = always, `refusal` = when it was refused, `token` = when the API
                 token was refused.
    `makes`      the member of a log entry that the `id` in the answer is; the path may hold a name instead. An API
                 token that is made without another one is the principal of the entry.
    `also`       further media types of the answer.
    `relays`     the answer has the upstream's own status.
    `run`        a coroutine function runs on the event loop; any other function may block and runs in a thread.
    """

    verb: str
    path: str
    name: str
    summary: str
    scopes: Sequence[str]
    answer: type[BaseModel] | Mapping[str, Json]
    run: Callable[[Services, Asked], Any]
    body: type[Body] | Mapping[str, Json] | None = None
    body_required: bool = True
    status: int = 200
    errors: Sequence[int] = ()
    query: Sequence[Parameter] = ()
    headers: Sequence[Mapping[str, Json]] = ()
    any_account: bool = False
    unlimited: str = ""
    workloads: bool = False
    free_query: bool = False
    logs: Literal["decision", "refusal", "token"] = "token"
    makes: Literal["", "account_id", "server_id", "api_token_id", "trust_id"] = ""
    also: Sequence[str] = ()
    relays: bool = False


def _list_servers(services: Services, asked: Asked) -> Page[McpServer]:
    within = asked.query["expires_within"]
    before = asked.now + within if within is not None else None
    wanted = Wanted(read_selector(asked.query["label"], "query: label"), before)
    return services.servers.page(asked.account_ids, wanted, asked.query["limit"], asked.query["next_cursor"])


async def _connect_account(services: Services, asked: Asked) -> Account:
    return await services.accounts.connect(asked.body)


async def _update_account(services: Services, asked: Asked) -> Account:
    return await services.accounts.update(asked.account_id, asked.body)


async def _run_tool(services: Services, asked: Asked) -> ProxyAnswer:
    request = ProxyRequest(
        verb=asked.verb,
        resource=asked.path["resource"],
        tail=asked.path.get("id_or_method", ""),
        query=asked.query.rest,
        body=asked.body,
        idempotency_key=asked.headers.get("idempotency-key"),
        user_agent=asked.headers.get("user-agent", ""),
        request_id=asked.request_id,
        principal=asked.operator.id,
        deadline=asked.deadline,
    )
    return await services.proxy.call(asked.query["integrated_account_id"], request)


_ANY_OBJECT: dict[str, Json] = {"type": "object"}

_TOOLS_ANSWER = {
    "type": "object",
    "required": ["result"],
    "properties": {
        "result": {"type": "array", "items": {"anyOf": [{"$ref": "#/components/schemas/AgentTool"}, _ANY_OBJECT]}}
    },
}
_LOG_ANSWER = {
    "type": "object",
    "required": ["result", "next_cursor", "reached", "freshness"],
    "properties": {
        "result": {"type": "array", "items": _ANY_OBJECT},
        "next_cursor": {"type": ["string", "null"]},
        "reached": {
            "type": ["object", "null"],
            "description": "How far the page has looked. Null when nothing is left.",
        },
        "freshness": {
            "type": ["object", "null"],
            "description": "The newest call that was stored, when, and after how many seconds. Null where calls are "
            "stored as they end, on a laptop, and before the first call.",
        },
    },
}
_TOOLS_QUERY = (
    words("methods", "`read`, `write`, `custom`, or names of methods or tools."),
    words("tags", "A tool must have one of these tags."),
    choice("format", "The shape that a model API accepts.", tuple(FORMATS)),
    flag("has_description", "Accepted without effect: every tool has a description."),
)
_PROXY_QUERY = (named("integrated_account_id", "The account whose tool is run.", required=True),)
_SERVERS_QUERY = (
    words("label", "Only servers with this label: `team=support`, or `team` for any value. Several must all be there."),
    lasting("expires_within", "Only servers that expire within this time, e.g. 24h."),
    LIMIT,
    text("next_cursor", "`next_cursor` of the previous page, unchanged."),
)
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "A write that is repeated with the same key within 24 hours is not carried out again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
}

_ACCOUNT = "/integrated-account/{account_id}"
_SERVERS = f"{_ACCOUNT}/mcp"
_SERVER = f"{_SERVERS}/{{server_id}}"


def _me(_: Services, asked: Asked) -> Me:
    operator = asked.operator
    return Me.model_validate(
        {
            "id": operator.id,
            "name": operator.name,
            "scopes": list(operator.scopes),
            "account_ids": list(operator.account_ids),
            "expires_at": write_time(operator.expires_at) if operator.expires_at else None,
            "mint": operator.mint.to_json() if operator.mint else None,
            "operations": [
                row.name
                for row in OPERATIONS
                if not row.scopes or operator.may(row.scopes, unlimited=bool(row.unlimited), workloads=row.workloads)
            ],
        }
    )


def _action(text: str) -> str:
    names = [*(operation.name for operation in OPERATIONS), *oauth.ACTIONS]
    if text not in names:
        raise ValueError(did_you_mean(text, names))
    return text


LOG_QUERY = parameters(_action, ("json", *export.FORMATS))

OPERATIONS: Sequence[Operation] = (
    Operation("get", "/me", "getMe", "Show what the API token of this request may do", EVERY_TOKEN, Me, _me,
        workloads=True),
    Operation(
        "get", "/integration", "listIntegrations", "List the integrations that can be connected", SEE, AllIntegrations,
        lambda services, _: services.integrations.all(),
    ),
    Operation(
        "get", "/integration/{integration}", "getIntegration", "Get an integration", SEE, Integration,
        lambda services, asked: services.integrations.view(asked.path["integration"]), errors=(404,),
    ),
    Operation(
        "post", "/snippet", "makeSnippets", "Show what to paste into each client for an MCP URL", EVERY_TOKEN, Snippets,
        lambda _, asked: snippets(asked.body), body=SnippetsRequest, errors=(400, 413, 415),
    ),
    Operation(
        "post", "/integrated-account", "connectAccount", "Connect an account; a probe verifies its credential first",
        CHANGE, Account, _connect_account, body=AccountCreate, status=201, errors=(400, 409, 413, 415, 502, 504),
        unlimited="connect accounts", logs="decision", makes="account_id",
    ),
    Operation(
        "get", "/integrated-account", "listAccounts", "List accounts", SEE, Page[Account],
        lambda services, asked: services.accounts.page(
            asked.operator.account_ids, asked.query["limit"], asked.query["next_cursor"]
        ),
        errors=(400,), query=PAGING,
    ),
    Operation(
        "get", _ACCOUNT, "getAccount", "Get an account", SEE, Account,
        lambda services, asked: services.accounts.view(asked.account_id), errors=(404,),
    ),
    Operation(
        "patch", _ACCOUNT, "updateAccount", "Change an account and all of its servers", CHANGE, Account,
        _update_account, body=AccountUpdate, errors=(400, 404, 409, 413, 415, 502, 504), logs="decision",
    ),
    Operation(
        "delete", _ACCOUNT, "deleteAccount", "Delete an account with its servers", CHANGE, RemovedAccount,
        lambda services, asked: services.accounts.delete(asked.account_id, asked.query["next_cursor"]),
        errors=(400, 404, 409), query=(CONTINUED,), logs="decision",
    ),
    Operation(
        "get", f"{_ACCOUNT}/tools", "listTools", "List tools for agents without MCP", LIST_TOOLS, _TOOLS_ANSWER,
        lambda services, asked: services.tools.page(
            asked.account_id, asked.query["methods"], asked.query["tags"], asked.query["format"]
        ),
        errors=(400, 404, 409), query=_TOOLS_QUERY,
    ),
    Operation(
        "post", _SERVERS, "createServer", "Mint an MCP server", MINT, MintedServer,
        lambda services, asked: services.servers.create(
            asked.account_id, asked.body, asked.operator, asked.mcp_url
        ),
        body=ServerCreate, status=201, errors=(400, 404, 409, 413, 415), logs="decision", makes="server_id",
        workloads=True,
    ),
    Operation(
        "post", f"{_SERVERS}/bulk-create", "createServers", "Mint many MCP servers, and go on where a request ended",
        MINT, CreatedServers,
        lambda services, asked: services.bulk.create(asked.account_id, asked.body, asked.operator, asked.mcp_url),
        body=ServersCreate, errors=(400, 404, 409, 413, 415), logs="decision", workloads=True,
    ),
    Operation(
        "post", f"{_SERVERS}/bulk", "changeServers", "Revoke, extend, rotate or label many MCP servers", CHANGE,
        ChangedServers, lambda services, asked: services.bulk.change(asked.account_ids, asked.body, asked.mcp_url),
        body=ServersChange, errors=(400, 404, 413, 415), logs="decision", any_account=True,
    ),
    Operation(
        "get", _SERVERS, "listServers", "List MCP servers", SEE, Page[McpServer], _list_servers,
        errors=(400, 404, 409), query=_SERVERS_QUERY, any_account=True,
    ),
    Operation(
        "post", f"{_SERVERS}/preview", "previewServer", "Show the tools that a config would show; nothing is kept",
        PREVIEW, ServerPreview, lambda services, asked: services.servers.preview(asked.account_id, asked.body),
        body=Preview, body_required=False, errors=(400, 404, 409, 413, 415), logs="refusal", workloads=True,
    ),
    Operation(
        "get", _SERVER, "getServer", "Get an MCP server", SEE, McpServer,
        lambda services, asked: services.servers.view(asked.account_id, asked.server_id),
        any_account=True, errors=(404, 409),
    ),
    Operation(
        "patch", _SERVER, "updateServer", "Change an MCP server", CHANGE, ConfiguredServer,
        lambda services, asked: services.servers.update(asked.account_id, asked.server_id, asked.body),
        body=ServerUpdate, any_account=True, errors=(400, 404, 409, 413, 415), logs="decision", makes="server_id",
    ),
    Operation(
        "delete", _SERVER, "deleteServer", "Revoke an MCP server", MINT, RemovedServer,
        lambda services, asked: services.servers.delete(asked.account_id, asked.server_id, asked.operator.revokes),
        any_account=True, errors=(404, 409), logs="decision", makes="server_id", workloads=True,
    ),
    Operation(
        "post", f"{_SERVER}/rotate", "rotateServer", "Give an MCP server a new token", CHANGE, MintedServer,
        lambda services, asked: services.servers.rotate(
            asked.account_id, asked.server_id, asked.body.grace_seconds, asked.mcp_url
        ),
        body=Rotate, body_required=False, any_account=True, errors=(400, 404, 409, 413, 415), logs="decision",
        makes="server_id",
    ),
    Operation(
        "post", f"{_SERVER}/approval", "showApproval", "Show a call that waits for the approval of a person",
        RUN_TOOLS, Approval,
        lambda services, asked: services.approvals.show(asked.account_id, asked.server_id, asked.body.code),
        body=ApprovalCode, any_account=True, errors=(400, 404, 409, 413, 415),
    ),
    Operation(
        "post", f"{_SERVER}/approval/approve", "approveCall", "Approve a call, so that it can be made once",
        RUN_TOOLS, Approval,
        lambda services, asked: services.approvals.approve(
            asked.account_id, asked.server_id, asked.body.code, asked.operator
        ),
        body=ApprovalCode, any_account=True, errors=(400, 404, 409, 413, 415), logs="decision",
    ),
    Operation(
        "get", f"{_SERVER}/consent", "listConsents", "List who signed in to an MCP server, and with which client",
        SEE, Page[ConsentView],
        lambda services, asked: services.consents.page(
            asked.account_id, asked.server_id, asked.query["limit"], asked.query["next_cursor"]
        ),
        query=PAGING, any_account=True, errors=(400, 404, 409),
    ),
    Operation(
        "delete", f"{_SERVER}/consent/{{consent_id}}", "endConsent", "End a consent; its tokens stop working at once",
        CHANGE, EndedConsent,
        lambda services, asked: services.consents.end(asked.account_id, asked.server_id, asked.path["consent_id"]),
        any_account=True, errors=(404, 409), logs="decision",
    ),
    Operation(
        "post", "/api-token", "createApiToken", "Make an API token", CHANGE, MintedApiToken,
        lambda services, asked: services.api_tokens.create(asked.body),
        body=ApiTokenCreate, status=201, errors=(400, 409, 413, 415), unlimited="make API tokens", logs="decision",
        makes="api_token_id",
    ),
    Operation(
        "get", "/api-token", "listApiTokens", "List API tokens", SEE, Page[ApiToken],
        lambda services, asked: services.api_tokens.page(asked.query["limit"], asked.query["next_cursor"]),
        errors=(400,), query=PAGING, unlimited="list API tokens",
    ),
    Operation(
        "get", "/api-token/{token_id}", "getApiToken", "Get an API token", SEE, ApiToken,
        lambda services, asked: services.api_tokens.view(asked.path["token_id"]),
        errors=(404,), unlimited="read API tokens",
    ),
    Operation(
        "delete", "/api-token/{token_id}", "revokeApiToken", "Revoke an API token", CHANGE, RemovedApiToken,
        lambda services, asked: services.api_tokens.revoke(asked.path["token_id"]),
        errors=(404, 409), unlimited="revoke API tokens", logs="decision",
    ),
    Operation(
        "post", "/trust", "createTrust", "Trust the identity tokens of workloads, e.g. of a CI workflow", CHANGE, Trust,
        lambda services, asked: services.trusts.create(asked.body, asked.origin),
        body=TrustCreate, status=201, errors=(400, 409, 413, 415), unlimited="make trusts", logs="decision",
        makes="trust_id",
    ),
    Operation(
        "get", "/trust", "listTrusts", "List trusts", SEE, Page[Trust],
        lambda services, asked: services.trusts.page(asked.query["limit"], asked.query["next_cursor"]),
        errors=(400,), query=PAGING, unlimited="list trusts",
    ),
    Operation(
        "get", "/trust/{trust_id}", "getTrust", "Get a trust", SEE, Trust,
        lambda services, asked: services.trusts.view(asked.path["trust_id"]), errors=(404,), unlimited="read trusts",
    ),
    Operation(
        "patch", "/trust/{trust_id}", "updateTrust", "Change a trust", CHANGE, Trust,
        lambda services, asked: services.trusts.update(asked.path["trust_id"], asked.body),
        body=TrustUpdate, errors=(400, 404, 409, 413, 415), unlimited="change trusts", logs="decision",
        makes="trust_id",
    ),
    Operation(
        "delete", "/trust/{trust_id}", "removeTrust", "Remove a trust", CHANGE, RemovedTrust,
        lambda services, asked: services.trusts.remove(asked.path["trust_id"]),
        errors=(404, 409), unlimited="remove trusts", logs="decision", makes="trust_id",
    ),
    Operation(
        "get", "/log", "listCalls", "List recent calls and decisions, newest first", SEE, _LOG_ANSWER,
        lambda services, asked: services.log.page(asked.query, asked.operator.account_ids),
        errors=(400,), query=LOG_QUERY, also=[media_type for media_type, _ in export.FORMATS.values()],
    ),
    Operation(
        "post", "/console/sign-in-link", "createSignInLink", "Make a link that signs a person in to the console, once",
        SIGN_IN, SignInLink, lambda services, asked: services.sign_in_links.make(asked.operator, asked.origin),
        status=201, logs="decision",
    ),
    Operation(
        "post", "/console/sign-in", "signIn", "Sign in to the console; makes an API token that lives for 12 hours",
        ANYBODY, MintedApiToken, lambda services, asked: services.sign_in_links.use(asked.body.code),
        body=SignIn, status=201, errors=(400, 413, 415), logs="decision", makes="api_token_id",
    ),
    *(
        Operation(
            verb, path, f"{verb}Proxy{suffix}", "Run a tool", RUN_TOOLS, _ANY_OBJECT, _run_tool, body=_ANY_OBJECT,
            body_required=False, errors=(400, 404, 409, 413, 415, 502, 504), query=_PROXY_QUERY,
            headers=(_IDEMPOTENCY_KEY,), free_query=True, relays=True,
        )
        for path, suffix in (("/proxy/{resource}", ""), ("/proxy/{resource}/{id_or_method}", "Item"))
        for verb in ("get", "post", "put", "patch", "delete")
    ),
)  # fmt: skip
