"""R2's access key, as the secret has it now: an S3 client that outlives any key.

A client of boto3 holds the key that it was made with. This one asks for the key whenever it signs, by two of botocore's
events: `before-sign`, where a request may be given credentials of its own, as botocore does for S3 Express, and
`needs-retry`, after which a request is signed anew, as botocore does for a bucket in another region.
"""

import os
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from botocore.credentials import Credentials

from recordings.adapters.aws.secrets import replaced_secret, secret
from recordings.domain.errors import InfrastructureError

if TYPE_CHECKING:
    from botocore.awsrequest import AWSRequest
    from mypy_boto3_s3 import S3Client

# R2's Unauthorized, AccessDenied and SignatureDoesNotMatch (developers.cloudflare.com/r2/api/error-codes). The answer
# to a HEAD has no body, so the status has to do.
KEY_REFUSED: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
# What the client is made with, so that botocore looks for no credentials of AWS. Nothing is ever signed with it.
PLACEHOLDER: Final = "replaced-when-signing"
# Where a request's context says which secret it was signed with.
SIGNED_WITH: Final = "recordings_signed_with"


def r2_keys() -> Mapping[str, str]:
    """The access key and its secret. Raises what `secret` raises, and InfrastructureError when one is missing."""
    return _complete(secret(os.environ["R2_SECRET_ARN"]))


def _complete(keys: Mapping[str, str]) -> Mapping[str, str]:
    if not keys.get("access_key_id") or not keys.get("secret_access_key"):
        raise InfrastructureError("the secret of R2 lacks access_key_id or secret_access_key")
    return keys


def sign_with_current_keys(client: "S3Client") -> "S3Client":
    """Let a client sign every request and URL with R2's current key; with a new one again what was refused."""
    client.meta.events.register("before-sign.s3", _before_sign)
    client.meta.events.register("needs-retry.s3", _needs_retry)  # type: ignore[arg-type]
    return client


def _before_sign(request: "AWSRequest", **_: Any) -> None:
    keys = r2_keys()
    request.context[SIGNED_WITH] = keys
    signing = request.context.setdefault("signing", {})
    signing["request_credentials"] = Credentials(keys["access_key_id"], keys["secret_access_key"])


def _needs_retry(response: Any, request_dict: Mapping[str, Any], **_: Any) -> float | None:
    """Seconds until the next attempt, or None for no attempt because of this."""
    if response is None or response[0].status_code not in KEY_REFUSED:
        return None
    signed_with = request_dict["context"].get(SIGNED_WITH)
    if signed_with is None or replaced_secret(os.environ["R2_SECRET_ARN"], signed_with) is None:
        return None
    return 0
