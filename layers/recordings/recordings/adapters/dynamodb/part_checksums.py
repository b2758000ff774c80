"""Checksums of the parts of an upload, until the file is complete."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from recordings.adapters.dynamodb.items import PartChecksumItem
from recordings.adapters.dynamodb.queries import query_items
from recordings.adapters.dynamodb.writes import put_items

# Longer than an unfinished upload lives in R2, seven days (R2, multipart-objects).
PART_CHECKSUM_TTL: Final = timedelta(days=14)


class DynamoPartChecksums:
    """Implements ports.storage.PartChecksums."""

    def store(self, upload: str, checksums: Mapping[int, int]) -> None:
        put_items(
            [
                PartChecksumItem(f"PARTS#{upload}", f"{number:05}", crc32=crc32, expires_at=PART_CHECKSUM_TTL)
                for number, crc32 in checksums.items()
            ]
        )

    def get_all(self, upload: str) -> Mapping[int, int]:
        return {int(item.sk): item.crc32 for item in query_items(PartChecksumItem, f"PARTS#{upload}")}
