"""Secrets Manager, read through Powertools and kept for five minutes."""

from typing import Final

from aws_lambda_powertools.utilities.parameters import SecretsProvider
from botocore.config import Config

KEEP_SECONDS: Final = 300

_provider = SecretsProvider(
    boto_config=Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3})
)


def secret(arn: str) -> dict[str, str]:
    """The JSON object kept in a secret."""
    found: dict[str, str] = _provider.get(arn, max_age=KEEP_SECONDS, transform="json")  # type: ignore[assignment]
    return found
