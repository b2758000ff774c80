"""Secrets whose value a test knows."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KnownSecret:
    """Stands for adapters.aws.secrets.Secret. Nothing replaces its value."""

    value: Mapping[str, str]

    def read(self) -> Mapping[str, str]:
        return self.value

    def read_replacement(self, rejected: Mapping[str, str]) -> Mapping[str, str] | None:
        return None


def known_token(token: str = "token") -> KnownSecret:
    """The secret with Cloudflare's API token."""
    return KnownSecret({"api_token": token})
