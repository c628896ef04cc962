"""Every environment variable, its unit and its default; read once per process.

Names start with POSTERN_. A value that cannot be read stops the process with one line that names the variable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from functions.gateway.doorway import origin_problem
from functions.gateway.value_classes import dataclass, field, fields

TRACING = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "POSTERN_TRACE_UPSTREAMS")
"""Variables of which one that is set means that requests are traced (trace_settings.py). A process in which none is set
loads nothing of that."""


class SettingsError(Exception):
    """An environment variable is missing or wrong; the message names it and says what is valid."""


def _setting(
    default: Any,
    help_text: str,
    *,
    least: int | None = None,
    most: int | None = None,
    valid: Sequence[str] = (),
    secret: bool = False,
) -> Any:
    """A field with its help, and what is valid: a range for a number, or the only texts that are taken. A secret stays
    out of the repr."""
    metadata = {"help": help_text, "least": least, "most": most, "valid": tuple(valid)}
    return field(default=default, repr=not secret, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Settings:
    """The variable of a field is its name in capitals behind POSTERN_: `call_timeout_seconds` is
    POSTERN_CALL_TIMEOUT_SECONDS. Lists are comma-separated."""

    # Where things are.
    store: str = _setting("sqlite", "where the items are kept", valid=("dynamodb", "sqlite"))
    table: str = _setting("", "DynamoDB table name; required when the store is dynamodb")
    state_dir: str = _setting(".postern", "folder of the SQLite files and the local key (`postern`: see below)")
    listen: str = _setting("127.0.0.1", "address that `postern serve` listens on; in a container, 0.0.0.0")
    catalogs: str = _setting("", "folders of your own catalogues, separated as in PATH; a deployment bundles them")
    public_url: str = _setting("", "https address that minted URLs start with; empty: taken from the request")
    base_path: str = _setting("", "path that this is mounted at, e.g. /tools; empty: the path of the public URL")
    management_url: str = _setting(
        "",
        "https origin where people reach the management API, for links to its pages and for OAuth; empty: no such "
        "link, and no OAuth",
    )
    kms_key_id: str = _setting("", "KMS key that wraps account data keys; empty: a key file in the state folder")
    root_api_token_secret: str = _setting("", "Secrets Manager id of the root API token; empty: made at first start")
    oidc_issuer: str = _setting("", "identity provider where people sign in; empty: they give an API token")
    oidc_client_id: str = _setting("", "this deployment's client id there")
    oidc_client_secret: str = _setting("", "its client secret there; empty: it has none", secret=True)
    oidc_client_secret_id: str = _setting("", "Secrets Manager id of that secret, in place of it")
    oidc_people: tuple[str, ...] = _setting(
        (), "who may sign in there: verified addresses, @domains, sub:ID, or * for everybody it knows"
    )
    schedule_group: str = _setting("", "EventBridge Scheduler group for exact purges; empty: none are made")
    schedule_role_arn: str = _setting("", "role that a schedule assumes to invoke the purge function")
    purge_function_arn: str = _setting("", "function that a schedule invokes")
    webhook_url: str = _setting("", "where notices of what ends are sent; empty: none are")
    webhook_secret: str = _setting("", "secret that signs them: whsec_ and base64", secret=True)
    webhook_secret_id: str = _setting("", "Secrets Manager id of that secret, in place of it")
    webhook_lead_hours: int = _setting(
        24, "hours before its expiry at which a server counts as expiring soon", least=1, most=720
    )
    environment: str = _setting("local", "name of the deployment, for logs and metrics")

    # Who may come in.
    allowed_hosts: tuple[str, ...] = _setting((), "Host values served; empty: the one that the platform says")
    allowed_origins: tuple[str, ...] = _setting(
        (), "web origins whose pages may send requests; web-hosts: the known chat hosts; *: any"
    )
    origin_secret: str = _setting(
        "",
        "what the header x-postern-origin-secret of each MCP request must hold; empty: not checked",
        secret=True,
    )
    management_networks: tuple[str, ...] = _setting(
        (), "networks whose addresses may use the management API on AWS, e.g. 203.0.113.0/24; empty: any"
    )
    openai_apps_challenge: str = _setting("", "text served at /.well-known/openai-apps-challenge; empty: 404")
    private_upstreams: bool = _setting(False, "allow account base URLs with http or private addresses (laptop, CI)")

    # How large, how long.
    calls_per_minute: int = _setting(
        6_000, "calls per minute of a server whose config sets no limit, in each process", least=1, most=600_000
    )
    call_burst: int = _setting(600, "calls at once of such a server", least=1, most=600_000)
    max_request_bytes: int = _setting(1_000_000, "bytes of one MCP or management request", least=1_000, most=6_000_000)
    call_timeout_seconds: int = _setting(25, "longest wait for an upstream, in seconds", least=1, most=840)
    deadline_margin_ms: int = _setting(1_500, "kept back from the platform's time, in ms", least=100, most=60_000)
    max_upstream_bytes: int = _setting(5_000_000, "bytes read of one upstream answer", least=1_000, most=50_000_000)
    # A result is sent twice, as text and as structuredContent, and Lambda's envelope escapes both once more. Quotes and
    # backslashes then weigh six times, and Lambda takes 6,291,556 bytes.
    max_result_bytes: int = _setting(100_000, "UTF-8 bytes of a result's text", least=1_000, most=1_000_000)
    max_string_chars: int = _setting(32_000, "characters of one string in a result", least=100, most=1_000_000)
    max_array_items: int = _setting(1_000, "entries of one array in a result", least=1, most=100_000)
    log_retention_days: int = _setting(30, "days that the call log is kept", least=1, most=3_650)
    log_level: str = _setting("INFO", "least severe lines that are logged", valid=("DEBUG", "INFO", "WARNING", "ERROR"))

    @property
    def mounted_at(self) -> str:
        """The base path without a slash at its end, "" for none."""
        path = (self.base_path or urlsplit(self.public_url).path).strip("/")
        return f"/{path}" if path else ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read every variable. Raises SettingsError with all problems at once."""
        values: dict[str, Any] = {}
        problems: list[str] = []
        for setting in fields(cls):
            variable = f"POSTERN_{setting.name.upper()}"
            text = environment.get(variable)
            if text is None:
                continue
            try:
                values[setting.name] = _read(text, setting.default, setting.metadata)
            except ValueError as problem:
                problems.append(f"{variable} is {text!r}; {problem}")
        settings = cls(**values)
        problems += (
            f"POSTERN_ALLOWED_ORIGINS has {origin!r}; {wrong}"
            for origin in settings.allowed_origins
            if (wrong := origin_problem(origin))
        )
        if settings.store == "dynamodb" and not settings.table:
            problems.append("POSTERN_TABLE is not set; with POSTERN_STORE=dynamodb it names the DynamoDB table")
        if settings.oidc_issuer and not (settings.oidc_client_id and settings.oidc_people):
            problems.append(
                "POSTERN_OIDC_ISSUER needs POSTERN_OIDC_CLIENT_ID, and POSTERN_OIDC_PEOPLE for who may sign in"
            )
        if problems:
            raise SettingsError("; ".join(problems))
        return settings


def is_traced(environment: Mapping[str, str]) -> bool:
    """True where the environment asks for traces."""
    return any(map(environment.get, TRACING))


def _read(text: str, default: Any, metadata: Mapping[str, Any]) -> Any:
    """`text` as the type of `default`. Raises ValueError whose message says what is valid."""
    if isinstance(default, bool):
        if text.lower() not in ("true", "false", "1", "0"):
            raise ValueError("valid: true, false")
        return text.lower() in ("true", "1")
    if isinstance(default, int):
        least, most = metadata["least"], metadata["most"]
        valid = f"valid: a whole number from {least} to {most}"
        try:
            number = int(text)
        except ValueError:
            raise ValueError(valid) from None
        if not least <= number <= most:
            raise ValueError(valid)
        return number
    if isinstance(default, tuple):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if metadata["valid"] and text not in metadata["valid"]:
        raise ValueError(f"valid: {', '.join(metadata['valid'])}")
    return text
