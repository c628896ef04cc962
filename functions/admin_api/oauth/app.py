"""The routes of the authorization server: how HTTP reaches the decisions, and what each refusal looks like.

=========================================================  ===========================================================
`GET /.well-known/oauth-authorization-server/oauth`         the metadata; also behind `/oauth`
`POST /oauth/register`                                      a client registers itself
`GET /oauth/authorize`                                      the consent page
`POST /oauth/authorize`                                     what the person decided
`GET /oauth/callback`                                       the person comes back from the identity provider
`POST /oauth/token`, `POST /oauth/revoke`                   tokens for a client
=========================================================  ===========================================================

Web pages of any origin may read the answers for clients: there are no cookies in them. The form of the consent page is
taken from this origin only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from functions.admin_api.api_tokens.service import ApiTokens
from functions.admin_api.aws import aws_client
from functions.admin_api.log.decisions import Decision, Decisions, Outcome
from functions.admin_api.oauth import client_documents, page, people, redirects, requests, resources
from functions.admin_api.oauth.client_documents import ClientDocuments
from functions.admin_api.oauth.clients import Client
from functions.admin_api.oauth.codes import Codes, Permission
from functions.admin_api.oauth.errors import BadRequest, OAuthError, code_of
from functions.admin_api.oauth.limits import MAX_BODY_BYTES, Limits
from functions.admin_api.oauth.metadata import PATH, WELL_KNOWN, Issuer
from functions.admin_api.oauth.people import NotSignedIn
from functions.admin_api.oauth.provider import AWAY, COOKIE, Provider
from functions.admin_api.oauth.registration import Registrations
from functions.admin_api.oauth.resources import Resources
from functions.admin_api.oauth.tokens import Ended, Tokens
from functions.admin_api.reading import read_object
from functions.gateway import errors
from functions.gateway.errors import Forbidden, PosternError, Refused, WrongMediaType
from functions.gateway.http_frame import Frame
from functions.gateway.json_text import Json, encode
from functions.gateway.settings import Settings
from functions.stores.store import Store

FORM = "application/x-www-form-urlencoded"
CALLBACK = "/callback"
"""Where the identity provider sends people back to, below the issuer."""

REFUSED = {"error": "access_denied", "error_description": "the person refused"}
MAX_FIELDS = 30
"""Fields of one form: twice what any request has."""

Serve = Callable[[Request], Awaitable[Response]]


class AuthorizationServer:
    """The endpoints. `clock` returns the present in UTC, `random(n)` n unpredictable bytes."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        *,
        api_tokens: ApiTokens,
        decisions: Decisions,
        clock: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:
        self._clock = clock
        self._random = random
        self._api_tokens = api_tokens
        self._decisions = decisions
        self._limits = Limits(store)
        self._issuer = Issuer(settings.management_url.rstrip("/"))
        self._registrations = Registrations(store, self._limits, clock)
        self._documents = ClientDocuments(_careful(settings), self._limits, clock)
        self._provider = _provider(settings, store, f"{self._issuer.url}{CALLBACK}", clock, random)
        origins = resources.origins(settings.public_url or settings.management_url, settings.allowed_hosts)
        self._resources = Resources(store, origins, clock)
        self._codes = Codes(store, clock, random)
        self._tokens = Tokens(store, self._codes, self._admits, clock, random)
        small = replace(settings, max_request_bytes=min(settings.max_request_bytes, MAX_BODY_BYTES))
        self._for_clients = Frame(small, _oauth_error, ClientDisconnect, lambda: random(8).hex())
        self._for_people = Frame(small, _page_error, ClientDisconnect, lambda: random(8).hex())

    def routes(self) -> list[Route]:
        """The routes."""
        metadata, people_, clients = self._metadata, self._for_people, self._for_clients
        return [
            _route(f"{WELL_KNOWN}{PATH}", ["GET"], clients, metadata, open_to_pages=True),
            _route(f"{PATH}{WELL_KNOWN}", ["GET"], clients, metadata, open_to_pages=True),
            _route(f"{PATH}/register", ["POST"], clients, self._register, open_to_pages=True),
            _route(f"{PATH}/token", ["POST"], clients, self._token, open_to_pages=True),
            _route(f"{PATH}/revoke", ["POST"], clients, self._revoke, open_to_pages=True),
            _route(f"{PATH}/authorize", ["GET"], people_, self._ask),
            _route(f"{PATH}/authorize", ["POST"], people_, self._decide),
            *([_route(f"{PATH}{CALLBACK}", ["GET"], people_, self._return)] if self._provider is not None else ()),
        ]

    async def _metadata(self, _: Request) -> Response:
        return Response(
            encode(self._issuer.document()), headers={"cache-control": "max-age=300"}, media_type="application/json"
        )

    async def _register(self, request: Request) -> Response:
        self._limits.take("register", _address(request), self._clock())
        body = read_object(await self._for_clients.body(request))
        return _json(await run_in_threadpool(self._registrations.register, body), 201)

    async def _token(self, request: Request) -> Response:
        self._limits.take("token", _address(request), self._clock())
        answer = await run_in_threadpool(self._tokens.exchange, await self._form(request, self._for_clients))
        if answer.ended is not None:
            await self._write(request, answer.ended, refused=answer.refused is not None)
        if answer.refused is not None:
            raise answer.refused
        return _json(answer.body)

    async def _revoke(self, request: Request) -> Response:
        self._limits.take("revoke", _address(request), self._clock())
        ended = await run_in_threadpool(self._tokens.revoke, await self._form(request, self._for_clients))
        if ended is not None:
            await self._write(request, ended)
        return _json({})

    async def _ask(self, request: Request) -> Response:
        """The consent page."""
        self._limits.take("authorize", _address(request), self._clock())
        asked = requests.read(request.query_params.multi_items())
        client = await self._client(asked)
        try:
            wanted = await self._wanted(asked, client)
        except BadRequest as error:
            return self._about(error, asked, client)
        return page.consent(wanted, provider=self._provider.name if self._provider is not None else "")

    async def _decide(self, request: Request) -> Response:
        """What the person decided: back to the client with a code, or with `access_denied`."""
        self._limits.take("sign_in", _address(request), self._clock())
        self._check_own_page(request)
        form = await self._form(request, self._for_people)
        secret, decision = form.pop("api_token", ""), form.pop("decision", "")
        asked = requests.read(list(form.items()))
        client = await self._client(asked)
        try:
            wanted = await self._wanted(asked, client)
        except BadRequest as error:
            return self._about(error, asked, client)
        server, permission = wanted.resource.server, self._permission(wanted)
        if decision == "deny":
            await self._write(request, Ended("refuseClient", "", server.account.id, server.id))
            return self._back(permission, asked.state, REFUSED)
        if self._provider is not None:
            away = await self._provider.begin(permission, asked.state)
            return page.leave(away.address, self._provider.name, {"set-cookie": self._cookie(away.cookie)})
        try:
            person = await run_in_threadpool(people.by_api_token, self._api_tokens, secret, server)
        except NotSignedIn as error:
            await self._write(request, Ended("signInToServer", "", server.account.id, server.id), refused=True)
            return page.consent(wanted, problem=error.message, status=403)
        signed = replace(permission, principal=person.principal, person=person.name, ends_at=person.ends_at)
        return await self._allow(signed, asked.state)

    async def _return(self, request: Request) -> Response:
        """The person comes back from the identity provider."""
        assert self._provider is not None
        self._limits.take("sign_in", _address(request), self._clock())
        cookie = request.cookies.get(COOKIE, "")
        returned = await self._provider.finish(dict(request.query_params), cookie)
        if returned.refused:
            response = self._back(returned.permission, returned.state, REFUSED)
        else:
            response = await self._allow(returned.permission, returned.state)
        response.headers["set-cookie"] = self._cookie("")
        return response

    def _permission(self, wanted: requests.Request) -> Permission:
        """What the person is asked to allow, before it is known who they are."""
        server, client = wanted.resource.server, wanted.client
        return Permission(
            consent_id=self._codes.new_consent_id(),
            principal="",
            person="",
            client_id=client.id,
            client_name=client.name,
            redirect_uri=wanted.asked.redirect_uri,
            code_challenge=wanted.asked.code_challenge,
            account_id=server.account.id,
            server_id=server.id,
            resource=wanted.resource.digest,
        )

    async def _allow(self, permission: Permission, state: str) -> Response:
        """Back to the client with a code."""
        code = await run_in_threadpool(self._codes.make, permission)
        await run_in_threadpool(self._registrations.used, permission.client_id)
        return self._back(permission, state, {"code": code})

    def _admits(self, person: str) -> bool:
        """True for a person of the identity provider who may sign in."""
        return self._provider is not None and self._provider.admits(person)

    def _cookie(self, value: str) -> str:
        """The Set-Cookie of a person on the way; with "" it removes the cookie."""
        lives = f"; Max-Age={int(AWAY.total_seconds()) if value else 0}"
        secure = "; Secure" if self._issuer.url.startswith("https://") else ""
        return f"{COOKIE}={value}; Path={urlsplit(self._issuer.url).path}; HttpOnly; SameSite=Lax{lives}{secure}"

    async def _client(self, asked: requests.Asked) -> Client:
        """The client that asks. Raises BadRequest.

        A laptop may have no network. Both ends of the sign-in are on it then: a client that is answered on this machine
        is no more certain with its document, and no less, than one that registered itself.
        """
        if not client_documents.is_document(asked.client_id):
            return await run_in_threadpool(self._registrations.find, asked.client_id)
        try:
            return await self._documents.find(asked.client_id)
        except client_documents.Unreadable:
            if redirects.is_loopback(self._issuer.url) and redirects.is_loopback(asked.redirect_uri):
                return client_documents.unseen(asked.client_id, asked.redirect_uri)
            raise

    async def _wanted(self, asked: requests.Asked, client: Client) -> requests.Request:
        """Raises BadRequest."""
        asked.checked(client)
        resource = await run_in_threadpool(self._resources.find, asked.resource)
        return requests.Request(asked, client, resource)

    def _about(self, error: BadRequest, asked: requests.Asked, client: Client) -> Response:
        """The page about a request that cannot be answered, with a link to its client."""
        if not error.code:
            return page.refused(error.message, 400)
        parameters = {"error": error.code, "error_description": error.message, "iss": self._issuer.url}
        back = redirects.with_parameters(asked.redirect_uri, _with_state(parameters, asked.state))
        return page.refused(error.message, 400, back=back, client_name=client.name)

    def _back(self, permission: Permission, state: str, parameters: Mapping[str, str]) -> Response:
        """The response of an authorization request, with the issuer in it (RFC 9207)."""
        answer = _with_state({**parameters, "iss": self._issuer.url}, state)
        address = redirects.with_parameters(permission.redirect_uri, answer)
        return RedirectResponse(address, 303, {"cache-control": "no-store", "referrer-policy": "no-referrer"})

    def _check_own_page(self, request: Request) -> None:
        """Raises Forbidden for a form that a page of another origin sent."""
        origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
        own = (self._issuer.management_url, f"{request.url.scheme}://{request.headers.get('host', '')}")
        foreign = (origin is not None and origin not in own) or site not in (None, "same-origin", "none")
        # At a provider the person may be signed in already, so nothing else shows that they pressed the button.
        unproven = self._provider is not None and origin is None and site is None
        if foreign or unproven:
            raise Forbidden("This form was sent by a page of another site, so nothing was done")

    async def _form(self, request: Request, frame: Frame[Response]) -> dict[str, str]:
        """The fields of a form. Raises Refused."""
        body = await frame.body(request)
        if request.headers.get("content-type", "").split(";")[0].strip().lower() != FORM:
            raise WrongMediaType(f"send the form as Content-Type: {FORM}")
        try:
            fields = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
        except ValueError:
            raise OAuthError("invalid_request", "the form cannot be read") from None
        if len(dict(fields)) < len(fields):
            raise OAuthError("invalid_request", "a parameter is in the form twice")
        return dict(fields)

    async def _write(self, request: Request, ended: Ended, *, refused: bool = False) -> None:
        """Write the log entry of a decision."""
        outcome: Outcome = "refused" if refused else "ok"
        if refused and not ended.principal and self._decisions.skips():
            return
        client_name, _, client_version = request.headers.get("user-agent", "").partition(" ")[0].partition("/")
        entry = Decision(
            time=self._clock().astimezone(UTC),
            request_id=self._for_clients.request_id(request),
            principal=ended.principal,
            action=ended.action,
            account_id=ended.account_id,
            server_id=ended.server_id,
            api_token_id="",
            changed=(),
            outcome=outcome,
            status=400 if refused else 200,
            error="invalid_grant" if refused else "",
            client_name=client_name,
            client_version=client_version,
        )
        if refused and not ended.principal:
            entry = replace(entry, status=403, error="NotSignedIn", repeated=self._decisions.skipped())
        await run_in_threadpool(self._decisions.write, [entry])


def _route(
    path: str, verbs: Sequence[str], frame: Frame[Response], serve: Serve, *, open_to_pages: bool = False
) -> Route:
    async def answer(request: Request) -> Response:
        if request.method == "OPTIONS":
            response = Response(status_code=204)
            response.headers["access-control-allow-methods"] = ", ".join(verbs)
            response.headers["access-control-allow-headers"] = "content-type, mcp-protocol-version"
        else:
            response = await frame.answer(request, serve)
        if open_to_pages:
            response.headers["access-control-allow-origin"] = "*"
        return response

    return Route(path, answer, methods=[*verbs, "OPTIONS"] if open_to_pages else list(verbs))


def _careful(settings: Settings) -> Settings:
    """The settings for requests that anybody can cause."""
    return replace(settings, private_upstreams=False, max_upstream_bytes=client_documents.MAX_BYTES)


def _address(request: Request) -> str:
    return request.client.host if request.client is not None else ""


def _with_state(parameters: Mapping[str, str], state: str) -> dict[str, str]:
    return {**parameters, **({"state": state} if state else {})}


def _provider(
    settings: Settings, store: Store, callback: str, clock: Callable[[], datetime], random: Callable[[int], bytes]
) -> Provider | None:
    """The identity provider that the settings name."""
    if not settings.oidc_issuer:
        return None

    def secret() -> str:
        if not settings.oidc_client_secret_id:
            return settings.oidc_client_secret
        found: str = aws_client("secretsmanager").get_secret_value(SecretId=settings.oidc_client_secret_id)[
            "SecretString"
        ]
        return found

    return Provider(settings, store, callback, secret=secret, clock=clock, random=random)


def _json(body: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        encode(body), status, {"cache-control": "no-store", **(headers or {})}, media_type="application/json"
    )


def _oauth_error(error: PosternError) -> Response:
    """An error as a client reads it (RFC 6749, 5.2), which has the status 400 unless the RFC says otherwise. What is
    not ours to tell is not in it."""
    status, _, headers = errors.http(error)
    if isinstance(error, OAuthError):
        status = error.http_status
    elif status < 500:
        status = 400
    message = error.message if isinstance(error, Refused) else "unexpected error"
    return _json({"error": code_of(error), "error_description": message}, status, headers)


def _page_error(error: PosternError) -> Response:
    """An error as a person reads it."""
    status, _, headers = errors.http(error)
    if isinstance(error, OAuthError):
        status = error.http_status
    message = error.message if isinstance(error, Refused) else "Something went wrong here; try again later"
    response = page.refused(message[:1].upper() + message[1:], status)
    response.headers.update(headers)
    return response
