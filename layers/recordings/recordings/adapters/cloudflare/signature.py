"""The signature of Cloudflare's webhooks (developers.cloudflare.com/realtime/realtimekit/webhooks)."""

import base64
import binascii
import math
from typing import Final

import requests
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from urllib3.exceptions import HTTPError, ProtocolError, ReadTimeoutError

from recordings import settings
from recordings.adapters.aws.age import Age
from recordings.adapters.cloudflare.models import PublishedKey
from recordings.domain.errors import ProviderError, ProviderTimeout
from recordings.request_context import remaining_seconds

KEY_TTL_SECONDS: Final = 3600
# A key has less than a kilobyte. The rest of a larger response is not read, and its beginning is no JSON.
MAX_RESPONSE_BYTES: Final = 64 * 1024
# Rotation is not documented, so a failed check may mean a new key. Forged webhooks must not make each check read it.
MIN_REREAD_INTERVAL_SECONDS: Final = 10
# Without a key no webhook can be checked. A flood of webhooks must still not become a flood of requests.
MIN_RETRY_INTERVAL_SECONDS: Final = 2
CONNECT_SECONDS: Final = 3
READ_SECONDS: Final = 5


class WebhookKeys:
    """Checks signatures: RSASSA-PKCS1-v1_5 with SHA-256 over the raw body, in base64."""

    def __init__(self) -> None:
        self._url = settings.WEBHOOK().key_url
        self._key: RSAPublicKey | None = None
        self._read_at: Age | None = None

    def verify(self, raw_body: bytes, signature: str) -> bool:
        """Return whether Cloudflare signed exactly these bytes.

        Raises:
            ProviderTimeout: Cloudflare's key could not be read in time
            ProviderError: Cloudflare's key could not be read
        """
        try:
            decoded = base64.b64decode(signature, validate=True)
        except (binascii.Error, ValueError):
            return False
        # Lambda may have frozen this process for hours. The key's age includes that time.
        age = self._read_at.seconds() if self._read_at is not None else math.inf
        if self._key is None and age < MIN_RETRY_INTERVAL_SECONDS:
            raise ProviderError("Cloudflare's webhook key could not be read a moment ago.")
        if self._key is None or age > KEY_TTL_SECONDS:
            self._key = self._read_key()
            return _matches(self._key, decoded, raw_body)
        if _matches(self._key, decoded, raw_body):
            return True
        if age < MIN_REREAD_INTERVAL_SECONDS:
            return False
        self._key = self._read_key()
        return _matches(self._key, decoded, raw_body)

    def _read_key(self) -> RSAPublicKey:
        # Before the attempt: a failing key server is not asked again for each forged webhook.
        self._read_at = Age.now()
        remaining = remaining_seconds()
        if remaining <= 0:
            raise ProviderTimeout("Cloudflare's webhook key could not be read in time.")
        timeout = (min(CONNECT_SECONDS, remaining), min(READ_SECONDS, remaining))
        try:
            # The URL is a parameter of the deployment. A redirect must not lead to another host.
            with requests.get(self._url, timeout=timeout, allow_redirects=False, stream=True) as response:
                response.raise_for_status()
                content = response.raw.read(MAX_RESPONSE_BYTES, decode_content=True)
            key = load_pem_public_key(PublishedKey.model_validate_json(content).data.public_key.encode())
        except (requests.Timeout, requests.ConnectionError, ReadTimeoutError, ProtocolError) as error:
            raise ProviderTimeout("Cloudflare's webhook key could not be read in time.") from error
        except (requests.RequestException, HTTPError, ValueError) as error:
            raise ProviderError("Cloudflare's webhook key could not be read.") from error
        if not isinstance(key, RSAPublicKey):
            raise ProviderError("Cloudflare's webhook key is no RSA key.")
        return key


def _matches(key: RSAPublicKey, signature: bytes, body: bytes) -> bool:
    try:
        key.verify(signature, body, PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True
