"""A bucket down to its last version, for what is to be gone for good.

In a bucket with versions a delete only adds a marker: each version and each marker is removed by its own id (S3 User
Guide, "Deleting object versions from a versioning-enabled bucket"). R2 has no versions.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from recordings.adapters.aws.errors import translated_errors
from recordings.adapters.storage.bucket import Bucket
from recordings.domain.purge import ItemKind, StoreItem
from recordings.domain.stored_file import Store


@dataclass(frozen=True, slots=True)
class ErasableBucket:
    """Implements purge_recording.ErasableStore."""

    store: Store
    bucket: Bucket
    versioned: bool

    def items(self, prefix: str) -> Iterator[StoreItem]:
        if self.versioned:
            yield from self._versions(prefix)
        else:
            for key, *_ in self.bucket.objects(prefix):
                yield StoreItem(store=self.store, key=key, kind=ItemKind.OBJECT)
        for key, upload_id in self.bucket.uploads(prefix):
            yield StoreItem(store=self.store, key=key, kind=ItemKind.UPLOAD, id=upload_id)

    def erase(self, item: StoreItem) -> None:
        match item.kind:
            case ItemKind.UPLOAD:
                self.bucket.abort(item.key, item.id)
            case ItemKind.OBJECT:
                self.bucket.delete(item.key)
            case ItemKind.VERSION | ItemKind.DELETE_MARKER:
                with translated_errors():
                    self.bucket.client.delete_object(Bucket=self.bucket.name, Key=item.key, VersionId=item.id)

    def _versions(self, prefix: str) -> Iterator[StoreItem]:
        with translated_errors():
            pages = self.bucket.client.get_paginator("list_object_versions").paginate(
                Bucket=self.bucket.name, Prefix=prefix
            )
            for page in pages:
                for one in page.get("Versions", []):
                    yield StoreItem(store=self.store, key=one["Key"], kind=ItemKind.VERSION, id=one["VersionId"])
                for marker in page.get("DeleteMarkers", []):
                    yield StoreItem(
                        store=self.store, key=marker["Key"], kind=ItemKind.DELETE_MARKER, id=marker["VersionId"]
                    )
