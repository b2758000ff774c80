"""The stand-in's keys: one signs webhooks as Cloudflare does, one signs access tokens."""

import base64
import json
import time
import uuid
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def _key() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)


class Signer:
    """Holds a webhook key that can be rotated, a token key, and a stranger's key for forgeries."""

    def __init__(self) -> None:
        self._webhook, self._token, self._stranger = _key(), _key(), _key()
        self._key_id = uuid.uuid4().hex

    def rotate(self) -> None:
        """Sign webhooks with a new key from now on."""
        self._webhook = _key()

    @property
    def public_pem(self) -> str:
        return self._webhook.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def signature(self, body: bytes, *, forged: bool = False) -> str:
        """RSASSA-PKCS1-v1_5 with SHA-256 over the body, in base64; by a stranger's key when `forged`."""
        key = self._stranger if forged else self._webhook
        return base64.b64encode(key.sign(body, PKCS1v15(), SHA256())).decode()

    def jwks(self) -> dict[str, Any]:
        """The key set that tokens are checked with (RFC 7517)."""
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._token.public_key()))
        return {"keys": [public | {"kid": self._key_id, "use": "sig", "alg": "RS256"}]}

    def token(self, issuer: str, asked: dict[str, Any]) -> str:
        """An access token; `forged` signs it with a stranger's key, `claims` adds or (null) removes claims."""
        at = int(time.time())
        claims: dict[str, Any] = {
            "iss": issuer,
            "sub": asked.get("subject", "local-user"),
            "aud": asked.get("audience", "recordings"),
            "iat": at,
            "nbf": at - 5,
            "exp": at + int(asked.get("expires_in", 3600)),
            "scope": asked.get("scope", ""),
            "tenant_id": asked.get("tenant"),
            "jti": uuid.uuid4().hex,
        } | asked.get("claims", {})
        key = self._stranger if asked.get("forged") else self._token
        held = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(held, key, algorithm="RS256", headers={"kid": self._key_id})
