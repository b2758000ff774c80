"""The environment: the only module that reads it.

Variables are grouped by what uses them. A builder in `wiring` calls `require` with all groups of its function before it
builds anything: a variable that is missing or malformed stops the function at import, and the error names every one of
them. A function does not fail for a variable that only other functions use.

Errors name variables and never show values. This module imports nothing of ours.
"""

import os
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, NamedTuple

LOG_LEVELS: Final = frozenset({"DEBUG", "INFO", "WARNING", "ERROR"})


type Parser = Callable[[str], Any]


class SettingsError(Exception):
    """Variables of the environment are missing or malformed; `variables` are their names."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        listed = "; ".join(f"{name} {problem}" for name, problem in problems)
        super().__init__(f"The environment is not complete: {listed}. Set these variables in template.yaml.")
        self.variables = [name for name, _ in problems]


class Variable[T](NamedTuple):
    """How to read one variable. `parse` returns None for a malformed text, which `wanted` describes."""

    name: str
    wanted: str
    parse: Callable[[str], T | None]
    default: str | None = None


class Group[T]:
    """Variables that are used together. A call reads them.

    The fields of `shape` and the variables have the same order.
    """

    def __init__(self, shape: Callable[..., T], *variables: Variable[Any]) -> None:
        self._shape, self._variables = shape, variables

    def __call__(self) -> T:
        """Read and parse the variables.

        Raises:
            SettingsError: some are missing or malformed; the error names all of them
        """
        values, problems = self.read()
        if problems:
            raise SettingsError(problems)
        return self._shape(*values)

    def read(self) -> tuple[list[Any], list[tuple[str, str]]]:
        """The values, and for each variable that is missing or malformed its name with what is wrong."""
        values: list[Any] = []
        problems: list[tuple[str, str]] = []
        for variable in self._variables:
            text = os.environ.get(variable.name, variable.default)
            value = None if text is None else variable.parse(text)
            if value is None:
                problems.append((variable.name, "is missing" if text is None else f"must be {variable.wanted}"))
            values.append(value)
        return values, problems


def require(*groups: Group[Any]) -> None:
    """Check all variables of these groups.

    Raises:
        SettingsError: some are missing or malformed; the error names all of them
    """
    # Groups may share a variable: each is named once.
    problems = dict(problem for group in groups for problem in group.read()[1])
    if problems:
        raise SettingsError(list(problems.items()))


def _text(text: str) -> str | None:
    return text if text and text == text.strip() else None


def _url(text: str) -> str | None:
    return text.rstrip("/") if re.fullmatch(r"https?://[^/@\s]+(/\S*)?", text) else None


def _arn(text: str) -> str | None:
    return text if re.fullmatch(r"arn(:[^:\s]*){5}:?\S+", text) else None


def _whole(text: str) -> int | None:
    # int() also accepts spaces, signs and underscores.
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None


def _positive(text: str) -> int | None:
    return _whole(text) or None


def _percent(text: str) -> int | None:
    number = _whole(text)
    return number if number is not None and number <= 100 else None


def _seconds(text: str) -> timedelta | None:
    number = _whole(text)
    return None if number is None else timedelta(seconds=number)


def _days(text: str) -> timedelta | None:
    number = _whole(text)
    # Python's dates end with the year 9999.
    return timedelta(days=number) if number is not None and number <= 1_000_000 else None


def _switch(text: str) -> bool | None:
    return {"on": True, "off": False}.get(text)


def _hosts(text: str) -> tuple[str, ...] | None:
    return tuple(host for part in text.split(",") if (host := part.strip().lower())) or None


def _level(text: str) -> str | None:
    return text if text in LOG_LEVELS else None


# The parsers with their description in an error.
TEXT: Final = ("a text without spaces around it", _text)
URL: Final = ("an http or https URL without user and password", _url)
ARN: Final = ("an ARN", _arn)
POSITIVE: Final = ("a whole number above 0", _positive)
PERCENT: Final = ("a whole number from 0 to 100", _percent)
SECONDS: Final = ("a whole number of seconds", _seconds)
DAYS: Final = ("a whole number of days", _days)
SWITCH: Final = ("on or off", _switch)
HOSTS: Final = ("names of hosts with commas between", _hosts)
LEVEL: Final = ("DEBUG, INFO, WARNING or ERROR", _level)


class Table(NamedTuple):
    """The table that holds rooms and recordings, and how long it keeps a deleted recording; 0 keeps it for ever."""

    name: str
    retention: timedelta


class Tokens(NamedTuple):
    """Access tokens: the names of the claims with the caller's tenant and with the caller's own id."""

    tenant_claim: str
    actor_claim: str


class Cloudflare(NamedTuple):
    """Cloudflare's RealtimeKit API. The secret holds `api_token`."""

    api_url: str
    account_id: str
    app_id: str
    secret_arn: str


class RateLimit(NamedTuple):
    """Calls to Cloudflare's API that the whole deployment makes, and the shares of its callers."""

    calls_per_minute: int
    stop_reserve_percent: int
    tenant_percent: int
    workflow_percent: int
    sync_percent: int


class Delivery(NamedTuple):
    """Whether Cloudflare puts recordings into our R2 bucket itself."""

    is_direct: bool


class Webhook(NamedTuple):
    """Where Cloudflare publishes the key that signs its webhooks."""

    key_url: str


class R2(NamedTuple):
    """The bucket that recordings are served from. The secret holds `access_key_id` and `secret_access_key`."""

    endpoint_url: str
    bucket: str
    secret_arn: str


class Secrets(NamedTuple):
    """How long a secret is used before it is read again."""

    ttl: timedelta


class Archive(NamedTuple):
    """The bucket of archived recordings."""

    bucket: str


class ArchiveDownload(NamedTuple):
    """The role that signs URLs of restored files."""

    role_arn: str


class AccessLog(NamedTuple):
    """How long it is kept who was given a download URL."""

    kept: timedelta


class StateMachine(NamedTuple):
    """A state machine whose executions a function starts, reads or stops."""

    arn: str


class EventBus(NamedTuple):
    """The bus that announces changes."""

    name: str


class Source(NamedTuple):
    """Hosts that recordings are fetched from, in lower case; `*.example.com` is every name below it."""

    hosts: tuple[str, ...]
    is_loopback_allowed: bool


class ProcessingDeadlines(NamedTuple):
    """How long a recording may stay in a state before the sync acts."""

    begin: timedelta
    stop: timedelta
    session: timedelta
    confirmation: timedelta


class Attempts(NamedTuple):
    """How often a file is tried without a person asking for it, and the first pause between attempts."""

    max_attempts: int
    first_pause: timedelta


class Upload(NamedTuple):
    """How long after its stop a recording that Cloudflare has not finished counts as stalled."""

    stall_after: timedelta


class Logging(NamedTuple):
    """The least level that is logged."""

    level: str


class Trace(NamedTuple):
    """The X-Ray trace of the current invocation; both empty without one."""

    daemon_address: str
    header: str


TABLE: Final = Group(Table, Variable("TABLE_NAME", *TEXT), Variable("RETENTION_DAYS", *DAYS, "0"))
TOKENS: Final = Group(Tokens, Variable("TENANT_CLAIM", *TEXT), Variable("ACTOR_CLAIM", *TEXT))
CLOUDFLARE: Final = Group(
    Cloudflare,
    Variable("CLOUDFLARE_API_URL", *URL),
    Variable("CLOUDFLARE_ACCOUNT_ID", *TEXT),
    Variable("REALTIMEKIT_APP_ID", *TEXT),
    Variable("CLOUDFLARE_SECRET_ARN", *TEXT),
)
RATE_LIMIT: Final = Group(
    RateLimit,
    Variable("CLOUDFLARE_CALLS_PER_MINUTE", *POSITIVE),
    Variable("CLOUDFLARE_STOP_RESERVE_PERCENT", *PERCENT),
    Variable("CLOUDFLARE_TENANT_SHARE_PERCENT", *PERCENT),
    Variable("CLOUDFLARE_WORKFLOW_SHARE_PERCENT", *PERCENT),
    Variable("CLOUDFLARE_SYNC_SHARE_PERCENT", *PERCENT),
)
DELIVERY: Final = Group(Delivery, Variable("DIRECT_DELIVERY", *SWITCH))
WEBHOOK: Final = Group(Webhook, Variable("CLOUDFLARE_WEBHOOK_KEY_URL", *URL))
R2_BUCKET: Final = Group(
    R2, Variable("R2_ENDPOINT", *URL), Variable("R2_BUCKET", *TEXT), Variable("R2_SECRET_ARN", *TEXT)
)
SECRETS: Final = Group(Secrets, Variable("SECRET_TTL_SECONDS", *SECONDS))
ARCHIVE: Final = Group(Archive, Variable("ARCHIVE_BUCKET", *TEXT))
ARCHIVE_DOWNLOAD: Final = Group(ArchiveDownload, Variable("DOWNLOAD_ROLE_ARN", *ARN))
ACCESS_LOG: Final = Group(AccessLog, Variable("ACCESS_LOG_DAYS", *DAYS))
PROCESSING: Final = Group(StateMachine, Variable("PROCESSING_ARN", *ARN))
ARCHIVING: Final = Group(StateMachine, Variable("ARCHIVING_ARN", *ARN))
EVENT_BUS: Final = Group(EventBus, Variable("EVENT_BUS", *TEXT))
SOURCE: Final = Group(Source, Variable("CAPTURE_HOSTS", *HOSTS), Variable("LOOPBACK_CAPTURES", *SWITCH, "off"))
DEADLINES: Final = Group(
    ProcessingDeadlines,
    Variable("BEGIN_DEADLINE_SECONDS", *SECONDS),
    Variable("STOP_DEADLINE_SECONDS", *SECONDS),
    Variable("SESSION_DEADLINE_SECONDS", *SECONDS),
    Variable("SECOND_LOOK_SECONDS", *SECONDS),
)
ATTEMPTS: Final = Group(Attempts, Variable("MAX_ATTEMPTS", *POSITIVE), Variable("ATTEMPT_PAUSE_SECONDS", *SECONDS))
UPLOAD: Final = Group(Upload, Variable("STALL_AFTER_SECONDS", *SECONDS))
LOGGING: Final = Group(Logging, Variable("POWERTOOLS_LOG_LEVEL", *LEVEL, "INFO"))


def is_lambda() -> bool:
    """Whether this process is a Lambda function.

    Source: Lambda Developer Guide, "Defined runtime environment variables".
    """
    return "LAMBDA_TASK_ROOT" in os.environ


def trace() -> Trace:
    """The current invocation's trace. Lambda sets the header for each invocation: `Root=1-…;Parent=…;Sampled=1`."""
    return Trace(os.environ.get("AWS_XRAY_DAEMON_ADDRESS", ""), os.environ.get("_X_AMZN_TRACE_ID", ""))
