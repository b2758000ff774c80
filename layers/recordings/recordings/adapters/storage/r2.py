"""The R2 bucket that recordings are served from."""

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from botocore.config import Config

from recordings import settings
from recordings.adapters.aws.age import Age
from recordings.adapters.aws.clients import create_client
from recordings.adapters.aws.deadline import bounded
from recordings.adapters.aws.secrets import Secret
from recordings.adapters.storage.bucket import Bucket
from recordings.adapters.storage.r2_keys import PLACEHOLDER, R2Credentials
from recordings.domain.errors import Throttled
from recordings.domain.objects import DownloadUrl

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class R2Bucket(Bucket):
    """Implements ports.storage.ObjectStore on R2."""

    store = "r2"
    is_versioned = False
    keeps_crc32 = False

    def __init__(self) -> None:
        self._settings = settings.R2_BUCKET()
        self._secret = Secret(self._settings.secret_arn, ttl=settings.SECRETS().ttl)
        self.credentials = R2Credentials(self._secret)
        # The key that R2 accepted last, and when.
        self._accepted: tuple[Mapping[str, str], Age] | None = None

    @cached_property
    def client(self) -> "S3Client":
        client: S3Client = create_client(
            "s3",
            endpoint_url=self._settings.endpoint_url,
            region_name="auto",
            aws_access_key_id=PLACEHOLDER,
            aws_secret_access_key=PLACEHOLDER,
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": "path"},
                # R2 rejects the checksums that botocore adds by default since 1.36 (Cloudflare docs, R2, "boto3").
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                connect_timeout=3,
                read_timeout=60,
                max_pool_connections=8,
                retries={"mode": "standard", "total_max_attempts": 5},
            ),
        )
        return self.credentials.sign(bounded(client))

    @cached_property
    def name(self) -> str:
        return self._settings.bucket

    def presign_download(
        self, key: str, *, file_name: str, content_type: str, expires_in_seconds: int, now: datetime
    ) -> DownloadUrl:
        """Presign a URL, which R2 allows for up to seven days.

        Raises:
            InfrastructureError: R2 does not accept the key that would sign the URL
        """
        self._require_accepted_key(key)
        return super().presign_download(
            key, file_name=file_name, content_type=content_type, expires_in_seconds=expires_in_seconds, now=now
        )

    def _require_accepted_key(self, object_key: str) -> None:
        """Send a HEAD request now and then. R2 takes no part in signing, so a URL of a revoked key would look valid."""
        if self._accepted is not None:
            credentials, at = self._accepted
            if credentials == self.credentials.read() and at.seconds() < self._secret.ttl_seconds:
                return
        began = Age.now()
        try:
            self.head(object_key)
        except Throttled:
            # R2 is busy or unreachable. That says nothing about the key, and the URL outlives it.
            pass
        self._accepted = self.credentials.read(), began
