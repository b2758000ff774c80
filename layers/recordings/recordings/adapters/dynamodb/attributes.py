"""Attribute types in the formats that the table has had since the first release."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pynamodb.attributes import Attribute
from pynamodb.constants import MAP, NUMBER, STRING


class InstantAttribute(Attribute[datetime]):
    """An aware UTC time, stored as `2026-01-06T10:30:00Z`.

    DynamoDB compares times as text, so an attribute has exactly one format. pynamodb's UTCDateTimeAttribute writes
    another one and cannot read this one.
    """

    attr_type = STRING

    def serialize(self, value: datetime) -> str:
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")

    def deserialize(self, value: str) -> datetime:
        return datetime.fromisoformat(value)


class OffsetInstantAttribute(InstantAttribute):
    """An aware UTC time, stored as `2026-01-06T10:30:00+00:00`: the format of the sync's lease."""

    def serialize(self, value: datetime) -> str:
        return value.astimezone(UTC).isoformat()


class IntegerAttribute(Attribute[int]):
    """A whole number. pynamodb's NumberAttribute is typed as float."""

    attr_type = NUMBER

    def serialize(self, value: int) -> str:
        return str(value)

    def deserialize(self, value: str) -> int:
        return int(value)


class CountersAttribute(Attribute[Mapping[str, int]]):
    """Whole numbers by name."""

    attr_type = MAP

    def serialize(self, value: Mapping[str, int]) -> dict[str, Any]:
        return {name: {NUMBER: str(number)} for name, number in value.items()}

    def deserialize(self, value: Mapping[str, Any]) -> Mapping[str, int]:
        return {name: int(number[NUMBER]) for name, number in value.items()}
