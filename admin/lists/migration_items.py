"""What the commands store in the table about themselves.

migration         LAYOUT   MIGRATION           which state has settled, and how far the deletion of old items is
tenant migration  LAYOUT   TENANT#<tenant>     how far the recordings of a tenant are listed
tally revision    LAYOUT   TALLIES#<tenant>    how often the tallies of a tenant were corrected
"""

from typing import Final, Self

from pynamodb.attributes import BooleanAttribute, UnicodeAttribute

from recordings.adapters.dynamodb.attributes import IntegerAttribute
from recordings.adapters.dynamodb.audit import tenant_item
from recordings.adapters.dynamodb.connection import Item
from recordings.adapters.dynamodb.layout import LAYOUT_KEY

PARTITION: Final = LAYOUT_KEY[0]
MIGRATION_KEY: Final = (PARTITION, "MIGRATION")


class MigrationItem(Item, discriminator="migration"):
    # The state that every process has known for long enough.
    settled = UnicodeAttribute(null=True)
    # The key of the last item that the deletion of old items has read.
    read_pk = UnicodeAttribute(null=True)
    read_sk = UnicodeAttribute(null=True)
    finished = BooleanAttribute(null=True)


class TenantMigrationItem(Item, discriminator="tenant_migration"):
    # The last recording that has its rows, and all before it.
    after = UnicodeAttribute(null=True)
    listed = BooleanAttribute(null=True)
    checked = BooleanAttribute(null=True)

    @classmethod
    def at(cls, tenant_id: str) -> Self:
        return cls(PARTITION, f"TENANT#{tenant_item(tenant_id).sk}")


class TallyRevisionItem(Item, discriminator="tally_revision"):
    revision = IntegerAttribute()

    @classmethod
    def at(cls, tenant_id: str) -> Self:
        return cls(PARTITION, f"TALLIES#{tenant_item(tenant_id).sk}")
