"""The archive: an S3 bucket whose objects are in a Glacier storage class, and their restored copies."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from botocore.config import Config

from recordings import settings
from recordings.adapters.aws.clients import create_client
from recordings.adapters.aws.deadline import bounded
from recordings.adapters.aws.errors import NO_EXPEDITED, NO_OBJECT, RESTORING, Refused, translated_errors
from recordings.adapters.storage.bucket import Bucket, presigned_url
from recordings.domain.archive import Tier
from recordings.domain.errors import InfrastructureError, RetrievalRefused
from recordings.domain.objects import DownloadUrl, RestoreStatus

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

STORAGE_CLASS: Final = "GLACIER"
TIERS: Final[dict[Tier, str]] = {"standard": "Standard", "bulk": "Bulk", "expedited": "Expedited"}
# A session of a role that another role assumes lasts an hour at most (IAM User Guide, "Role chaining").
SESSION_SECONDS: Final = 3600
CONFIG: Final = Config(
    connect_timeout=2,
    read_timeout=60,
    max_pool_connections=8,
    s3={"addressing_style": "path"},
    signature_version="s3v4",
    retries={"mode": "standard", "total_max_attempts": 5},
)


class ArchiveBucket(Bucket):
    """Implements ports.storage.ArchiveStore."""

    store = "s3"
    is_versioned = True
    keeps_crc32 = True
    storage_class = STORAGE_CLASS

    def __init__(self, *, download_role_arn: str | None = None) -> None:
        """`download_role_arn` is the role that signs downloads. Without it the bucket cannot presign."""
        self._settings, self._download_role_arn = settings.ARCHIVE(), download_role_arn

    @cached_property
    def client(self) -> "S3Client":
        return bounded(create_client("s3", config=CONFIG))

    @cached_property
    def name(self) -> str:
        return self._settings.bucket

    @property
    def object_options(self) -> Mapping[str, Any]:
        # Objects go directly into their class. A lifecycle rule would leave them in Standard for a day.
        return {"StorageClass": STORAGE_CLASS}

    def restore_status(self, key: str) -> RestoreStatus | None:
        try:
            with translated_errors(NO_OBJECT):
                found = self.client.head_object(Bucket=self.name, Key=key)
        except Refused:
            return None
        header = found.get("Restore", "")
        expiry = re.search(r'expiry-date="([^"]+)"', header)
        until = parsedate_to_datetime(expiry[1]).astimezone(UTC).replace(microsecond=0) if expiry else None
        # S3 names every class but Standard (S3 API reference, HeadObject).
        return RestoreStatus('ongoing-request="true"' in header, until, found.get("StorageClass", "STANDARD"))

    def request_restore(self, key: str, *, days: int, tier: Tier) -> bool:
        try:
            with translated_errors(RESTORING | NO_EXPEDITED):
                self.client.restore_object(
                    Bucket=self.name,
                    Key=key,
                    RestoreRequest={"Days": days, "GlacierJobParameters": {"Tier": TIERS[tier]}},  # type: ignore[typeddict-item]
                )
        except Refused as refusal:
            if refusal.code in NO_EXPEDITED:
                raise RetrievalRefused(
                    "expedited retrieval has no room now; try later or take another tier", retry_after=300
                ) from refusal.__cause__
            return False
        return True

    def presign_download(
        self, key: str, *, file_name: str, content_type: str, expires_in_seconds: int, now: datetime
    ) -> DownloadUrl:
        """Presign a URL of a restored copy with the credentials of a role that may only read the archive.

        A URL expires with the credentials that signed it (IAM User Guide, "Presigned URLs"). A function does not know
        when its own credentials expire, but it does for those of a role that it assumes.
        """
        if self._download_role_arn is None:
            raise InfrastructureError("The archive bucket has no role that signs downloads.")
        with translated_errors():
            session = bounded(create_client("sts", config=CONFIG)).assume_role(
                RoleArn=self._download_role_arn,
                RoleSessionName="download",
                DurationSeconds=SESSION_SECONDS,
            )["Credentials"]
        expires_at = session["Expiration"].astimezone(UTC).replace(microsecond=0)
        seconds = min(expires_in_seconds, int((expires_at - now).total_seconds()))
        client = create_client(
            "s3",
            config=CONFIG,
            aws_access_key_id=session["AccessKeyId"],
            aws_secret_access_key=session["SecretAccessKey"],
            aws_session_token=session["SessionToken"],
        )
        url = presigned_url(client, self.name, key, file_name, content_type, seconds)
        return DownloadUrl(url, now + timedelta(seconds=seconds))
