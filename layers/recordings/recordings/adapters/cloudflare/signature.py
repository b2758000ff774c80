"""The key that signs Cloudflare's webhooks (developers.cloudflare.com/realtime/realtimekit/webhooks)."""

import base64
import binascii
import json
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
from recordings.adapters.aws.secrets import Age
from recordings.domain.errors import ProviderError, ProviderTimeout
from recordings.request_context import remaining_seconds

KEEP_SECONDS: Final = 3600
UNREADABLE: Final = (requests.RequestException, HTTPError, RecursionError, ValueError)
# What an answer of another shape raises.
NO_KEY: Final = (KeyError, TypeError, AttributeError)
# A key takes less than a kilobyte; of more than this the rest is not read, and what was read is no JSON.
MAX_ANSWER_BYTES: Final = 64 * 1024
# Rotation is undocumented, so a failed check may mean a new key; forged requests must not make us ask each time.
ASK_AGAIN_SECONDS: Final = 10
# Without any key nothing can be told from a forgery, and still a flood must not become one of fetches that fail.
ASK_FIRST_SECONDS: Final = 2
CONNECT_SECONDS: Final = 3
READ_SECONDS: Final = 5


class WebhookKeys:
    """Checks signatures: RSASSA-PKCS1-v1_5 with SHA-256 over the raw body, in base64."""

    def __init__(self) -> None:
        self._url = settings.WEBHOOK().key_url
        self._key: RSAPublicKey | None = None
        self._asked: Age | None = None

    def verify(self, raw_body: bytes, signature: str) -> bool:
        """Whether Cloudflare signed these very bytes. Raises ProviderError or ProviderTimeout without a key."""
        try:
            given = base64.b64decode(signature, validate=True)
        except (binascii.Error, ValueError):
            return False
        # Lambda may have frozen this process for hours: a key is not trusted longer for that.
        age = self._asked.seconds() if self._asked is not None else math.inf
        if self._key is None and age < ASK_FIRST_SECONDS:
            raise ProviderError("Cloudflare's webhook key could not be fetched a moment ago")
        if self._key is None or age > KEEP_SECONDS:
            self._key = self._ask()
            return _fits(self._key, given, raw_body)
        if _fits(self._key, given, raw_body):
            return True
        if age < ASK_AGAIN_SECONDS:
            return False
        self._key = self._ask()
        return _fits(self._key, given, raw_body)

    def _ask(self) -> RSAPublicKey:
        # Before the attempt: a key server that fails is not asked for each forged request either.
        self._asked = Age.now()
        remaining = remaining_seconds()
        if remaining <= 0:
            raise ProviderTimeout("Cloudflare's webhook key could not be fetched in time")
        timeout = (min(CONNECT_SECONDS, remaining), min(READ_SECONDS, remaining))
        try:
            # The address is a parameter of the deployment: what it answers must not lead to another one.
            with requests.get(self._url, timeout=timeout, allow_redirects=False, stream=True) as response:
                response.raise_for_status()
                content = response.raw.read(MAX_ANSWER_BYTES, decode_content=True)
            key = load_pem_public_key(json.loads(content)["data"]["publicKey"].encode())
        except (requests.Timeout, requests.ConnectionError, ReadTimeoutError, ProtocolError) as error:
            raise ProviderTimeout("Cloudflare's webhook key could not be fetched in time") from error
        except (
            requests.RequestException,
            HTTPError,
            RecursionError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
        ) as error:
            raise ProviderError("Cloudflare's webhook key could not be read") from error
        if not isinstance(key, RSAPublicKey):
            raise ProviderError("Cloudflare's webhook key is not an RSA key")
        return key


def _fits(key: RSAPublicKey, signature: bytes, body: bytes) -> bool:
    try:
        key.verify(signature, body, PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True
