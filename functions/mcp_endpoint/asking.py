"""Input that a request needs from the client's side (MRTR of 2026-07-28): `input_required` and the repeat with answers.

Three things ask: a confirmation, a tool whose record asks a person, and a prompt that lacks an argument. Nothing is
kept between the rounds. What was answered so far is sealed into `requestState`, bound to the server, the tool, the
arguments and a time, so that a client can neither change it nor use it for another call. A confirmation is used up by
the call line (gateway/confirmation.py), so a state that is sent twice confirms one call.

The first round needs no state: a client may send answers with its first request.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from functions.gateway import confirmation
from functions.gateway.credentials import SealError, open_sealed, seal
from functions.gateway.errors import INVALID_PARAMS, ConfirmationNeeded
from functions.gateway.expressions import BadExpression, search
from functions.gateway.grants import Grant, Target, read_time, write_time
from functions.gateway.json_text import Json, canonical, decode, encode
from functions.gateway.value_classes import dataclass, field
from functions.gateway.wording import to_review
from functions.mcp_endpoint.protocol import CAPABILITIES_KEY, Call, RpcError
from tool_catalog.catalog import Question, Tool

LIVES = timedelta(minutes=10)
"""How long a round may take: as long as a confirmation code lives."""

SHOWN_CHARS = 500
"""Characters of the arguments that a question shows: what a dialog of a host has room for."""

CONFIRMATION = "confirmation"
"""Key of the input request that asks for a confirmation. A record's keys are arguments, none of which has this name."""

ARGUMENTS = "arguments"
"""Key of the input request that asks for the arguments of a prompt."""

CAPABILITY = {"elicitation/create": "elicitation", "sampling/createMessage": "sampling", "roots/list": "roots"}
"""Method of an input request -> the client capability that it needs."""

NOT_OURS = "Invalid params: requestState is not one that this server gave for this call, or its time is over"


@dataclass(frozen=True, slots=True)
class Round:
    """A request in one of its rounds.

    `arguments`  the caller's, with what was answered. `answers`: key of a question -> its value, null for a refusal.
    `declined`   a person declined the confirmation.
    """

    arguments: Mapping[str, Json] = field(repr=False)
    answers: Mapping[str, Json] = field(repr=False)
    declined: bool = False


@dataclass(frozen=True, slots=True)
class Rounds:
    """The rounds of one tools/call. `random(n)` returns n unpredictable bytes."""

    call: Call
    tool: Tool
    grant: Grant
    target: Target
    now: datetime
    random: Callable[[int], bytes] = field(repr=False)

    def resumed(self) -> Round:
        """The request with what was answered in this round and before. Raises RpcError for a state or an answer that
        cannot be one of this request."""
        params = self.call.params
        responses: Mapping[str, Json] = params.get("inputResponses") or {}
        for key, response in responses.items():
            if not isinstance(response, Mapping):
                raise RpcError(INVALID_PARAMS, f'Invalid params: inputResponses "{key[:80]}" must be an object')
        answers, code = self._opened(params["requestState"]) if "requestState" in params else ({}, None)
        arguments = dict(self._given)
        for question in (question for questions in self.tool.asks for question in questions):
            if question.key in responses and question.key not in answers:
                answers[question.key] = _value(question, responses[question.key])
            if question.argument not in self._given and answers.get(question.key) is not None:
                arguments[question.argument] = answers[question.key]
        declined = False
        if code is not None and CONFIRMATION in responses:
            declined = not _agrees(responses[CONFIRMATION], by_form=self.grant.config.confirm_by != "person")
            arguments[confirmation.argument(self.tool)] = code
        return Round(arguments, answers, declined)

    def question(self, round: Round) -> dict[str, Json] | None:
        """The result that asks for what the tool still needs and this client can be asked; None where it needs
        nothing."""
        for questions in self.tool.asks:
            pending: dict[str, Json] = {
                question.key: {"method": question.method, "params": dict(question.params)}
                for question in questions
                if question.key not in round.answers and question.argument not in round.arguments
                if can(self.call, question.method)
            }
            if pending:
                return self._asked(pending, round, None)
        return None

    def confirmation(self, round: Round, needed: ConfirmationNeeded) -> dict[str, Json] | None:
        """The result that asks a person to confirm the call; None for a client that cannot ask."""
        title = self.tool.definition.get("title", self.tool.name)
        message = " ".join(filter(None, [f"{title} ({self.tool.name}).", needed.subject]))
        params: dict[str, Json]
        if needed.person:
            if not needed.link or not can(self.call, "elicitation/create", mode="url"):
                return None
            params = {"mode": "url", "message": f"{message} Approve it on this page.", "url": needed.link}
        else:
            if not can(self.call, "elicitation/create"):
                return None
            agreed = {"type": "boolean", "title": "Carry it out", "default": False}
            schema = {"type": "object", "properties": {"confirm": agreed}, "required": ["confirm"]}
            written = to_review(self._given)
            shown = written if len(written) <= SHOWN_CHARS else written[:SHOWN_CHARS] + "..."
            params = {"message": f"{message} Arguments: {shown}. Carry it out?", "requestedSchema": schema}
        request = {"method": "elicitation/create", "params": params}
        return self._asked({CONFIRMATION: request}, round, needed.code)

    @property
    def _given(self) -> Mapping[str, Json]:
        given: Mapping[str, Json] = self.call.params.get("arguments") or {}
        return given

    @property
    def _bound(self) -> str:
        """What a state is for, as additional data of its seal."""
        digest = hashlib.sha256(canonical([self.tool.name, self._given])).hexdigest()
        return f"state of {self.grant.id} {digest}"

    def _asked(self, requests: dict[str, Json], round: Round, code: str | None) -> dict[str, Json]:
        about = encode([write_time(self.now + LIVES), dict(round.answers), code])
        state = base64.urlsafe_b64encode(seal(about, self.target.signing_key, self._bound, self.random)).decode()
        return {"resultType": "input_required", "inputRequests": requests, "requestState": state}

    def _opened(self, state: str) -> tuple[dict[str, Json], str | None]:
        """The answers of the rounds before, and the code of the confirmation that was asked for."""
        try:
            sealed = base64.b64decode(state, altchars=b"-_", validate=True)
            ends, answers, code = decode(open_sealed(sealed, self.target.signing_key, self._bound))
            if read_time(ends) <= self.now:
                raise SealError("over")
        except (SealError, ValueError, RecursionError):
            raise RpcError(INVALID_PARAMS, NOT_OURS) from None
        return answers, code


def prompt_arguments(call: Call, missing: Mapping[str, str]) -> dict[str, Json] | None:
    """The result that asks a person for the arguments of a prompt that were left out, name -> description; None for a
    client that cannot ask."""
    if not missing or not can(call, "elicitation/create"):
        return None
    properties = {name: {"type": "string", "description": description} for name, description in missing.items()}
    schema = {"type": "object", "properties": properties, "required": list(missing)}
    params = {"message": "This prompt needs more.", "requestedSchema": schema}
    request = {"method": "elicitation/create", "params": params}
    return {"resultType": "input_required", "inputRequests": {ARGUMENTS: request}}


def answered_arguments(call: Call) -> dict[str, str]:
    """The arguments of a prompt that a person gave. Raises RpcError for an answer that is none."""
    response = (call.params.get("inputResponses") or {}).get(ARGUMENTS) if call.modern else None
    if response is None:
        return {}
    content = response.get("content") if isinstance(response, Mapping) and response.get("action") == "accept" else None
    if not isinstance(content, Mapping) or not all(isinstance(value, str) for value in content.values()):
        raise RpcError(INVALID_PARAMS, f'Invalid params: inputResponses "{ARGUMENTS}" must accept with texts')
    return dict(content)


def can(call: Call, method: str, mode: str = "form") -> bool:
    """True when this client declared that it can be asked this."""
    able = call.meta.get(CAPABILITIES_KEY) if call.modern else None
    declared = able.get(CAPABILITY[method]) if isinstance(able, Mapping) else None
    if not isinstance(declared, Mapping):
        return False
    # An empty declaration stands for forms.
    return method != "elicitation/create" or mode in declared or (mode == "form" and "url" not in declared)


def _value(question: Question, response: Mapping[str, Json]) -> Json:
    """What a response gives for the question's argument; None for a person who declined."""
    if question.method == "elicitation/create" and not _is_accept(response):
        return None
    try:
        return search(question.take, response)
    except BadExpression:
        return None


def _is_accept(response: Mapping[str, Json]) -> bool:
    return response.get("action") == "accept"


def _agrees(response: Mapping[str, Json], *, by_form: bool) -> bool:
    """True for a confirmation: a form that says it in so many words, or a page that was opened, which has no
    content."""
    content = response.get("content")
    said = content.get("confirm") is True if isinstance(content, Mapping) else not by_form
    return _is_accept(response) and said
