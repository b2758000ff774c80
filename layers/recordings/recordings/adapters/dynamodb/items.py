"""The items of the table. `attr_name` keeps a stored name where the Python name is another.

idempotency key  T#<tenant>#IDEMPOTENCY   <key>            a reservation, then the stored response
download link    T#<tenant>#URLS          rec_<ULID>       when the last URL of a recording's file in R2 ends
access           T#<tenant>#ACCESS#rec_…  <time>#<nonce>   who was given a URL of a recording's file
purge record     T#<tenant>#PURGED        rec_<ULID>       what a purge removed; its expiry starts a second purge
finding          T#<tenant>#SUSPECTS      <SHA-256>        of an audit, until a later one confirms it
tenant           TENANTS                  <tenant>         every tenant that ever had a room, and its last audit
part checksum    PARTS#<upload id>        00001            until the file is complete
retry item       LOOKS                    <Cloudflare id>  an item of the next sync, of any tenant
sync lease       SYNC                     STATE            the watermark, and the lease of the running sync
rate limit       BUDGET                   CLOUDFLARE       the bucket of calls to Cloudflare
"""

from pynamodb.attributes import NumberAttribute, TTLAttribute, UnicodeAttribute

from recordings.adapters.dynamodb.attributes import (
    ActorAttribute,
    CountersAttribute,
    InstantAttribute,
    IntegerAttribute,
    OffsetInstantAttribute,
    TextAttribute,
)
from recordings.adapters.dynamodb.connection import Item
from recordings.domain.access import Access
from recordings.domain.stored_file import Store

# DynamoDB deletes an item days after its `expires_at` (Developer Guide, "Time to Live"), so reads and conditions that
# depend on it compare the time as well.


class IdempotencyItem(Item, discriminator="idempotency"):
    fingerprint = UnicodeAttribute(null=True)
    nonce = UnicodeAttribute(null=True)
    # JSON, absent while the first request runs.
    response = UnicodeAttribute(attr_name="answer", null=True)
    expires_at = TTLAttribute(null=True)


class DownloadLinkItem(Item, discriminator="download_link"):
    ends_at = InstantAttribute()
    expires_at = TTLAttribute(null=True)


class AccessItem(Item, discriminator="access"):
    actor = ActorAttribute()
    at = InstantAttribute()
    until = InstantAttribute()
    store = TextAttribute[Store]()
    expires_at = TTLAttribute()

    def to_domain(self) -> Access:
        return Access(actor=self.actor, at=self.at, until=self.until, store=self.store)


class PurgeRecordItem(Item, discriminator="purge_record"):
    recording_id = UnicodeAttribute()
    # JSON. No other item has this attribute: the event filter of PurgeRecording selects the item by it.
    purge = UnicodeAttribute()
    expires_at = TTLAttribute(null=True)


class FindingItem(Item, discriminator="finding"):
    name = UnicodeAttribute()
    at = InstantAttribute()


class TenantItem(Item, discriminator="tenant"):
    tenant_id = UnicodeAttribute()
    audited_at = InstantAttribute(null=True)


class PartChecksumItem(Item, discriminator="part_checksum"):
    crc32 = IntegerAttribute()
    expires_at = TTLAttribute(null=True)


class RetryItem(Item, discriminator="retry"):
    # JSON.
    look = UnicodeAttribute()
    expires_at = TTLAttribute(null=True)


class SyncLeaseItem(Item, discriminator="sync_lease"):
    nonce = UnicodeAttribute(null=True)
    lease_until = OffsetInstantAttribute(null=True)
    began_at = OffsetInstantAttribute(null=True)
    watermark = OffsetInstantAttribute(null=True)
    full_at = OffsetInstantAttribute(null=True)
    ended_by = UnicodeAttribute(null=True)


class RateLimitItem(Item, discriminator="rate_limit"):
    tick = IntegerAttribute(null=True)
    used = IntegerAttribute(null=True)
    # Calls in thousandths, by part.
    parts = CountersAttribute(null=True)
    stops = CountersAttribute(null=True)
    # What each caller may take: a condition can compare two attributes but not compute.
    allowed_stop = IntegerAttribute(null=True)
    allowed_interactive = IntegerAttribute(attr_name="allowed_people", null=True)
    allowed_workflow = IntegerAttribute(attr_name="allowed_runs", null=True)
    allowed_background = IntegerAttribute(attr_name="allowed_sweep", null=True)
    # Seconds since 1970.
    blocked_until = NumberAttribute(null=True)
    # What an earlier version counted, minute by minute.
    period = IntegerAttribute(null=True)
    calls = IntegerAttribute(null=True)
