"""Secrets Manager. A secret is read once and used for SECRET_TTL_SECONDS, by default five minutes.

A secret may change while a function is warm. Nothing outside this module keeps its value: a client that signs with a
key reads the key each time. A key that is rejected earlier is read again.

Powertools' parameters utility does less: docs/adr/0047-secrets-with-our-own-cache.md.
"""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Final

from botocore.config import Config

from recordings.adapters.aws.age import Age
from recordings.adapters.aws.clients import create_client
from recordings.adapters.aws.deadline import bounded
from recordings.adapters.aws.errors import translated_errors
from recordings.domain.errors import InfrastructureError
from recordings.observability import count, logger

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

# A key that stays rejected must not cause a call to Secrets Manager for every request.
MIN_REREAD_INTERVAL_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class _Cached:
    value: Mapping[str, str]
    read_at: Age
    # When the key in it was rejected and Secrets Manager had no other.
    rejected_at: Age | None = None


class Secret:
    """One secret: a JSON object whose values are texts. Safe for threads.

    Both methods raise:
        Throttled: Secrets Manager is busy or does not respond
        InfrastructureError: it denies the call, or the secret is no JSON object of texts
    """

    def __init__(self, arn: str, *, ttl: timedelta) -> None:
        self._arn = arn
        self.ttl_seconds: Final = ttl.total_seconds()
        self._cached: _Cached | None = None
        # The threads of one copy share the secret: one of them reads it.
        self._lock = threading.Lock()

    def read(self) -> Mapping[str, str]:
        """Return the secret as it was less than the TTL ago."""
        with self._lock:
            cached = self._cached
            if cached is not None and cached.read_at.seconds() < self.ttl_seconds:
                return cached.value
            return self._fetch().value

    def read_replacement(self, rejected: Mapping[str, str]) -> Mapping[str, str] | None:
        """Return the secret that replaced `rejected`, whose key was rejected, or None if nothing replaced it yet."""
        with self._lock:
            cached = self._cached
            if cached is None or (cached.value == rejected and not _is_confirmed(cached)):
                cached = self._fetch()
                if cached.value == rejected:
                    self._cached = replace(cached, rejected_at=Age.now())
            # Else another thread has read the replacement, or a moment ago there was none.
            return cached.value if cached.value != rejected else None

    def _fetch(self) -> _Cached:
        # Before the call: the secret may change while the response is under way.
        read_at = Age.now()
        # A value that cannot be confirmed any more may have been revoked, so it is not used on.
        self._cached = None
        with translated_errors():
            text = _client().get_secret_value(SecretId=self._arn).get("SecretString", "")
        try:
            value = json.loads(text)
        except ValueError:
            value = None
        if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
            # Neither its values nor its names belong in the log.
            logger.error("secret unreadable", secret=self._arn)
            count("InfrastructureErrors")
            raise InfrastructureError("A secret is no JSON object of texts.")
        self._cached = _Cached(value, read_at)
        return self._cached


def _is_confirmed(cached: _Cached) -> bool:
    """Whether Secrets Manager had no other value a moment ago."""
    return cached.rejected_at is not None and cached.rejected_at.seconds() < MIN_REREAD_INTERVAL_SECONDS


@cache
def _client() -> "SecretsManagerClient":
    config = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3})
    return bounded(create_client("secretsmanager", config=config))
