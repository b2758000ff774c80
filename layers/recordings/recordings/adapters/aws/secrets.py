"""Secrets Manager, read once and kept for a period: SECRET_TTL_SECONDS, five minutes unless it is deployed otherwise.

A client of boto3 and a dictionary: the parameters utility of Powertools makes a session of its own, which costs a
function a third of its cold start.

A secret may change while a function is warm. Nothing outside this module keeps one: a client that signs with a key asks
for it each time, and the kept one is never older than the period. A key that is refused before that is asked for again.
"""

import json
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Final

import boto3
from botocore.config import Config

from recordings.adapters.aws.deadline import bounded
from recordings.adapters.aws.errors import translated_errors
from recordings.domain.errors import InfrastructureError
from recordings.observability import count, logger

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

# A key that is refused for good must not become a call of Secrets Manager for every request.
MIN_REREAD_INTERVAL_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Age:
    """A moment on two clocks. Lambda freezes idle processes, and a clock that counts from the start may freeze too."""

    monotonic: float
    wall: float

    @classmethod
    def now(cls) -> "Age":
        return cls(time.monotonic(), time.time())

    def seconds(self) -> float:
        """How long ago it was; the longer of both, so that neither a freeze nor a clock set back makes it shorter."""
        return max(time.monotonic() - self.monotonic, time.time() - self.wall)


@dataclass(frozen=True, slots=True)
class _Kept:
    value: Mapping[str, str]
    read: Age
    # When its key was refused and Secrets Manager had no other.
    refused: Age | None = None


_kept: dict[str, _Kept] = {}
# Threads of one copy share the secret: one of them reads it.
_lock = threading.Lock()


@cache
def _client() -> "SecretsManagerClient":
    config = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3})
    return bounded(boto3.client("secretsmanager", config=config))


def secret(arn: str) -> Mapping[str, str]:
    """The JSON object in a secret, read from Secrets Manager less than SECRET_TTL_SECONDS ago.

    Raises:
        Throttled: Secrets Manager is busy or does not answer
        InfrastructureError: it refuses the call, or the secret is no JSON object of texts
    """
    with _lock:
        kept = _kept.get(arn)
        if kept is not None and kept.read.seconds() < float(os.environ["SECRET_TTL_SECONDS"]):
            return kept.value
        return _read(arn)


def replaced_secret(arn: str, refused: Mapping[str, str]) -> Mapping[str, str] | None:
    """The secret that has taken the place of one whose key was refused; None when there is no other.

    Raises what `secret` raises.
    """
    with _lock:
        kept = _kept.get(arn)
        if kept is None or (kept.value == refused and not _is_confirmed(kept)):
            value = _read(arn)
            if value == refused:
                _kept[arn] = replace(_kept[arn], refused=Age.now())
        else:
            # Another thread was refused before, or a moment ago there was no other.
            value = kept.value
    return value if value != refused else None


def _is_confirmed(kept: _Kept) -> bool:
    """Whether a moment ago there was no other secret than one whose key had been refused."""
    return kept.refused is not None and kept.refused.seconds() < MIN_REREAD_INTERVAL_SECONDS


def _read(arn: str) -> Mapping[str, str]:
    # Before the call: what changes while it is on its way counts as older.
    began = Age.now()
    # A value that can no longer be confirmed is not used on: it may have been revoked.
    _kept.pop(arn, None)
    with translated_errors():
        text = _client().get_secret_value(SecretId=arn).get("SecretString", "")
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        # What is in it is not for the log, not even its names.
        logger.error("secret unreadable", secret=arn)
        count("InfrastructureErrors")
        raise InfrastructureError("a secret is no JSON object of texts")
    _kept[arn] = _Kept(value, began)
    return value
