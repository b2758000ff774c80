"""Cold storage: the S3 archive bucket, its Glacier classes and their restored copies."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config

from recordings import settings
from recordings.adapters.aws.deadline import bounded
from recordings.adapters.aws.errors import NO_EXPEDITED, NO_OBJECT, RESTORING, Refused, translated_errors
from recordings.adapters.storage.bucket import Bucket, presigned
from recordings.domain.archive import Tier
from recordings.domain.errors import RetrievalRefused
from recordings.ports.storage import RestoreStatus

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

STORAGE_CLASS: Final = "GLACIER"
# A role assumed from a role's credentials lasts an hour at most (IAM User Guide, "Role chaining").
SESSION_SECONDS: Final = 3600
TIMEOUTS: Final = Config(
    connect_timeout=2,
    read_timeout=60,
    max_pool_connections=8,
    s3={"addressing_style": "path"},
    signature_version="s3v4",
    retries={"mode": "standard", "total_max_attempts": 5},
)


class ArchiveBucket(Bucket):
    """Implements ports.Vault, and transfer_file.Files for what moves there."""

    keeps_crc32 = True

    def __init__(self) -> None:
        self._settings = settings.ARCHIVE()

    @cached_property
    def client(self) -> "S3Client":
        return bounded(boto3.client("s3", config=TIMEOUTS))

    @cached_property
    def name(self) -> str:
        return self._settings.bucket

    @property
    def extra(self) -> Mapping[str, Any]:
        # Straight into Flexible Retrieval: no day in Standard is paid for before a lifecycle rule acts.
        return {"StorageClass": STORAGE_CLASS}

    def look(self, key: str) -> RestoreStatus | None:
        try:
            with translated_errors(NO_OBJECT):
                found = self.client.head_object(Bucket=self.name, Key=key)
        except Refused:
            return None
        told = found.get("Restore", "")
        expiry = re.search(r'expiry-date="([^"]+)"', told)
        until = parsedate_to_datetime(expiry[1]).astimezone(UTC).replace(microsecond=0) if expiry else None
        # Standard is the one class that S3 does not name (API reference, HeadObject).
        return RestoreStatus('ongoing-request="true"' in told, until, found.get("StorageClass", "STANDARD"))

    def restore(self, key: str, *, days: int, tier: Tier) -> bool:
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


TIERS: Final[dict[Tier, str]] = {"standard": "Standard", "bulk": "Bulk", "expedited": "Expedited"}


class RestoredCopies:
    """Presigns what has been restored, with credentials whose end is known.

    A URL dies with the credentials that signed it, and a function cannot know when its own end: so a role that may
    only read the archive is assumed, and its end told (IAM User Guide, "Presigned URLs").
    """

    def __init__(self) -> None:
        self._bucket, self._role_arn = settings.ARCHIVE().bucket, settings.ARCHIVE_DOWNLOAD().role_arn

    def presign(
        self, key: str, *, file_name: str, content_type: str, expires_in: int, now: datetime
    ) -> tuple[str, datetime]:
        """The URL, and when it ends: after `expires_in` seconds, or sooner when the credentials do."""
        with translated_errors():
            session = bounded(boto3.client("sts", config=TIMEOUTS)).assume_role(
                RoleArn=self._role_arn, RoleSessionName="download", DurationSeconds=SESSION_SECONDS
            )["Credentials"]
        ends = session["Expiration"].astimezone(UTC).replace(microsecond=0)
        seconds = min(expires_in, int((ends - now).total_seconds()))
        client = boto3.client(
            "s3",
            config=TIMEOUTS,
            aws_access_key_id=session["AccessKeyId"],
            aws_secret_access_key=session["SecretAccessKey"],
            aws_session_token=session["SessionToken"],
        )
        url = presigned(client, self._bucket, key, file_name, content_type, seconds)
        return url, now + timedelta(seconds=seconds)
