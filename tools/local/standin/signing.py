"""The stand-in's keys. One signs webhooks as Cloudflare does, one signs access tokens."""

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
    """A webhook key that can be rotated, a token key, and another key for forgeries."""

    def __init__(self) -> None:
        self._webhook, self._token, self._stranger = _key(), _key(), _key()
        self._key_id = uuid.uuid4().hex

    def rotate(self) -> None:
        """Replace the key that signs webhooks."""
        self._webhook = _key()

    @property
    def public_pem(self) -> str:
        return self._webhook.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def signature(self, body: bytes, *, forged: bool = False) -> str:
        """Return RSASSA-PKCS1-v1_5 with SHA-256 over the body, in base64; `forged` signs with another key."""
        key = self._stranger if forged else self._webhook
        return base64.b64encode(key.sign(body, PKCS1v15(), SHA256())).decode()

    def jwks(self) -> dict[str, Any]:
        """Return the key set for access tokens (RFC 7517)."""
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._token.public_key()))
        return {"keys": [public | {"kid": self._key_id, "use": "sig", "alg": "RS256"}]}

    def token(self, issuer: str, asked: dict[str, Any]) -> str:
        """Return an access token. `forged` signs it with another key; `claims` adds claims, and null removes one."""
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
