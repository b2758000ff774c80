"""Secrets Manager, read once and kept for five minutes.

A client of boto3 and a dictionary: the parameters utility of Powertools makes a session of its own, which costs a
function a third of its cold start.
"""

import json
import time
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final

import boto3
from botocore.config import Config

from recordings.adapters.aws.errors import translated_errors
from recordings.adapters.deadline import bounded

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

KEEP_SECONDS: Final = 300


@cache
def _client() -> "SecretsManagerClient":
    config = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3})
    return bounded(boto3.client("secretsmanager", config=config))


@lru_cache(maxsize=8)
def _read(arn: str, period: int) -> dict[str, str]:
    with translated_errors():
        text = _client().get_secret_value(SecretId=arn)["SecretString"]
    found: dict[str, str] = json.loads(text)
    return found


def secret(arn: str) -> dict[str, str]:
    """The JSON object kept in a secret; a change is seen after five minutes at most.

    Raises Throttled or InfrastructureError.
    """
    return _read(arn, int(time.monotonic() // KEEP_SECONDS))
