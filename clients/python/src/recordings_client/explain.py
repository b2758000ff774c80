"""Errors in sentences for people: what happened, and what to do next."""

import base64
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import httpx

from recordings_client.errors import (
    ActorMissing,
    ConcurrentUpdate,
    DownloadFailed,
    Forbidden,
    IdempotencyKeyReused,
    InvalidRequest,
    MeetingInUse,
    NoActiveRecording,
    NoAnswer,
    NotFound,
    NotPossible,
    NotReady,
    NotReadyInTime,
    ProviderError,
    ProviderThrottled,
    ProviderTimeout,
    RecordingFailed,
    RecordingInProgress,
    RecordingNotArchived,
    RecordingNotFound,
    RecordingsError,
    RequestInProgress,
    RoomAlreadyRecording,
    RoomNotFound,
    RoomRecording,
    ServerFailure,
    TenantInvalid,
    TenantMissing,
    Throttled,
    TransitionNotAllowed,
    Unauthorized,
    UnexpectedAnswer,
)
from recordings_client.models import Status

LOCAL_TOKEN: Final = "export RECORDINGS_TOKEN=$(.venv/bin/python -m tools.local token --tenant acme)"
NEW_TOKEN: Final = (
    f"Put a token of your issuer into RECORDINGS_TOKEN. In the checkout, for the local stack: {LOCAL_TOKEN}"
)
NO_TOKEN: Final = f"There is no access token. {NEW_TOKEN}"
NO_URL: Final = (
    "There is no address of the API. Put it into RECORDINGS_URL, or give --url before the command; "
    "`make up` prints that of the local stack"
)
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command used. `room` and `recording` are ids."""

    url: str
    token: str
    timeout: float
    room: str | None = None
    recording: str | None = None


def explain(error: RecordingsError, asked: Asked) -> Iterator[str]:
    """Yield sentences for people: the error, what it names, and the next step if there is one."""
    yield _case(error, asked)
    if isinstance(error, InvalidRequest):
        for one in error.errors:
            yield f"  {one.field}: {one.message}"
    if isinstance(error, RoomAlreadyRecording | RoomRecording) and error.recording:
        yield f"  {error.recording.id} is {error.recording.status}"
    if step := next((STEPS[kind](error, asked) for kind in type(error).__mro__ if kind in STEPS), None):
        yield step


def _case(error: RecordingsError, asked: Asked) -> str:
    if isinstance(error, NoAnswer):
        return f"{_silence(error, asked)} [{error.code}]"
    # The gateway in front of the API responds with one word for all causes.
    if isinstance(error, Unauthorized) and error.code == Unauthorized.code:
        return f"{_about_token(asked)} [{error.code}]"
    if type(error) is Forbidden:
        return f"The token has no right to do this: it has {_scopes(asked.token)}. [{error.code}]"
    return str(error)


def _silence(error: NoAnswer, asked: Asked) -> str:
    causes = list(_causes(error))
    if any(isinstance(one, ConnectionRefusedError) for one in causes):
        return f"Nothing answers at {asked.url}: the connection was refused."
    if any(isinstance(one, socket.gaierror) for one in causes):
        return f"The host of {asked.url} is not known."
    if unsafe := next((one for one in causes if isinstance(one, ssl.SSLError)), None):
        return f"The TLS connection to {asked.url} failed: {getattr(unsafe, 'reason', None) or unsafe}."
    if any(isinstance(one, httpx.ConnectTimeout) for one in causes):
        return f"{asked.url} cannot be reached: no connection after {asked.timeout:g} s."
    if any(isinstance(one, httpx.TimeoutException) for one in causes):
        return f"{asked.url} did not answer within {asked.timeout:g} s."
    return f"The connection to {asked.url} broke: {error.detail.removeprefix('The API did not answer: ')}"


def _after_silence(error: RecordingsError, asked: Asked) -> str:
    causes = list(_causes(error))
    if any(isinstance(one, httpx.TimeoutException) and not isinstance(one, httpx.ConnectTimeout) for one in causes):
        return "The call may have succeeded: check that before you repeat it. --timeout SECONDS waits longer."
    if any(isinstance(one, ssl.SSLError) for one in causes):
        return "Does the server use https? For a certificate of your own authority, set SSL_CERT_FILE to its file."
    if httpx.URL(asked.url).host in LOOPBACK:
        return "Is the local stack up? `make up` starts it and prints its address for RECORDINGS_URL."
    return "Is RECORDINGS_URL the address of the API, and this machine on the network?"


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _about_token(asked: Asked) -> str:
    claims = claims_of(asked.token)
    if claims is None:
        return "The API does not accept the token: it is no access token, which has three parts with dots between them."
    expiry = claims.get("exp")
    if isinstance(expiry, int | float) and expiry <= time.time():
        when = datetime.fromtimestamp(expiry, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return f"The API does not accept the token: it has expired, at {when}."
    return "The API does not accept the token: it may be of another issuer, or for another API."


def _scopes(token: str) -> str:
    given = (claims_of(token) or {}).get("scope", "")
    scopes = given.split() if isinstance(given, str) else []
    return " and ".join(scopes) if scopes else "no scope"


def claims_of(token: str) -> Mapping[str, Any] | None:
    """Return the claims of a token, not verified; None if it is no JWT."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return None
    return claims if isinstance(claims, dict) else None


def _ask_the_operator(error: RecordingsError, _: Asked) -> str:
    known = f"this request id: {error.request_id}" if error.request_id else "the time of the call"
    return f"This is an error of the API. Run the command again. If it fails again, send the API's operator {known}."


def _again_later(error: RecordingsError, _: Asked) -> str:
    when = f"in {error.retry_after:.0f} s" if error.retry_after else "in a minute"
    return f"Run the command again {when}."


def _not_ready(error: RecordingsError, asked: Asked) -> str:
    archived = isinstance(error, NotReady) and error.recording_status is Status.ARCHIVED
    first = f"Request a copy with `recordings restore {asked.recording}`, then wait" if archived else "Wait for it"
    return f"{first} with `recordings download {asked.recording} --wait 900`."


def _look(_: RecordingsError, asked: Asked) -> str:
    return f"`recordings show {asked.recording}` shows its status and history."


def _stop_first(error: RecordingsError, asked: Asked) -> str:
    if isinstance(error, RoomAlreadyRecording) and error.recording is None:
        return "Another start is under way: run the command again in a minute."
    return f"`recordings stop {asked.room or 'ROOM'}` ends it."


def _says(text: str) -> Callable[[RecordingsError, Asked], str]:
    return lambda _error, _asked: text


# The next step by the error's class or its nearest base class. Only the gateway responds with a plain NotFound.
STEPS: Final[Mapping[type, Callable[[RecordingsError, Asked], str]]] = {
    Unauthorized: _says(NEW_TOKEN),
    Forbidden: _says(
        "Reading takes the scope recordings:read, everything else recordings:write, and --meeting recordings:adopt "
        "as well. Request a token with that scope from your issuer."
    ),
    TenantMissing: _says("The issuer must put the tenant into each token: see section 3 of docs/deploy.md."),
    ActorMissing: _says("The issuer must name the caller in each token: see section 3 of docs/deploy.md."),
    TenantInvalid: _says("The issuer must put one valid name into each token: see section 3 of docs/deploy.md."),
    RoomNotFound: _says("`recordings rooms list` shows the rooms of the token's tenant."),
    RecordingNotFound: _says("`recordings list` shows the recordings of the token's tenant."),
    NoActiveRecording: lambda _, asked: f"`recordings list --room {asked.room}` shows what was recorded in it.",
    NotFound: lambda _, asked: f"Is {asked.url} the address of the API?",
    NotPossible: _look,
    RecordingNotArchived: _look,
    RecordingFailed: _look,
    RoomAlreadyRecording: _stop_first,
    RoomRecording: _stop_first,
    RecordingInProgress: _stop_first,
    MeetingInUse: _says("Choose another meeting, or leave out --meeting: then the API creates one."),
    ConcurrentUpdate: _says("Another request changed it at the same time: run the command again."),
    TransitionNotAllowed: _look,
    RequestInProgress: _says("The first call with this key is not finished: run the command again in some seconds."),
    IdempotencyKeyReused: _says("Use another --idempotency-key, or leave it out."),
    Throttled: _again_later,
    ProviderThrottled: _again_later,
    ProviderError: _ask_the_operator,
    ProviderTimeout: _again_later,
    ServerFailure: _ask_the_operator,
    NotReady: _not_ready,
    NotReadyInTime: _says("The work continues: run the command again, or wait longer."),
    DownloadFailed: _says("Run the same command again: it continues with the bytes that are here."),
    NoAnswer: _after_silence,
    UnexpectedAnswer: lambda _, asked: f"Is {asked.url} the address of the API, and this client not older than it?",
}
