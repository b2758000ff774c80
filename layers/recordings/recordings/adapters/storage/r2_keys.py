"""R2's current access key: an S3 client that outlives any key.

botocore gives a client one key for its life. This client reads the key from the secret whenever it signs, through two
of botocore's events. On `before-sign` a request may receive credentials of its own, as botocore does for S3 Express.
After `needs-retry` botocore signs a request again, as it does for a bucket in another region.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from botocore.credentials import Credentials

from recordings.adapters.aws.secrets import Secret
from recordings.domain.errors import InfrastructureError

if TYPE_CHECKING:
    from botocore.awsrequest import AWSRequest
    from mypy_boto3_s3 import S3Client

# R2's Unauthorized, AccessDenied and SignatureDoesNotMatch (developers.cloudflare.com/r2/api/error-codes). The response
# to a HEAD has no body, so only the status shows them.
KEY_REJECTED: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
# The client is made with this key, so that botocore looks for none of AWS. It signs nothing.
PLACEHOLDER: Final = "replaced-when-signing"
# The request's context holds the key that signed it under this name.
SIGNED_WITH: Final = "recordings_signed_with"


@dataclass(frozen=True, slots=True)
class R2Credentials:
    """The secret with `access_key_id` and `secret_access_key`."""

    secret: Secret

    def read(self) -> Mapping[str, str]:
        """Return the current key.

        Raises:
            Throttled: Secrets Manager is busy or does not respond
            InfrastructureError: the secret cannot be read, or lacks one of the two
        """
        key = self.secret.read()
        if not key.get("access_key_id") or not key.get("secret_access_key"):
            raise InfrastructureError("The secret of R2 lacks access_key_id or secret_access_key.")
        return key

    def sign(self, client: "S3Client") -> "S3Client":
        """Make a client sign every request and URL with the current key, and sign again what R2 rejected."""
        client.meta.events.register("before-sign.s3", self._before_sign)
        client.meta.events.register("needs-retry.s3", self._needs_retry)  # type: ignore[arg-type]
        return client

    def _before_sign(self, request: "AWSRequest", **_: Any) -> None:
        key = self.read()
        request.context[SIGNED_WITH] = key
        signing = request.context.setdefault("signing", {})
        signing["request_credentials"] = Credentials(key["access_key_id"], key["secret_access_key"])

    def _needs_retry(self, response: Any, request_dict: Mapping[str, Any], **_: Any) -> float | None:
        """Return the seconds until the next attempt, or None if this handler asks for none."""
        if response is None or response[0].status_code not in KEY_REJECTED:
            return None
        signed_with = request_dict["context"].get(SIGNED_WITH)
        if signed_with is None or self.secret.read_replacement(signed_with) is None:
            return None
        return 0
