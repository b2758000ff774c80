"""Attribute types in the formats that the table has had since the first release."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, cast

from pynamodb.attributes import Attribute
from pynamodb.constants import LIST, MAP, NUMBER, STRING

from recordings.domain.lifecycle import Status
from recordings.domain.recording import Change


def nested[T](attribute: T) -> Attribute[T]:
    """Return an attribute of a map for a condition or an action.

    On a class it is an attribute, but pynamodb's types promise the value that it has on an instance.
    """
    return cast("Attribute[T]", attribute)


class TextAttribute[T: str](Attribute[T]):
    """A text that has a type of its own, such as a Literal."""

    attr_type = STRING


class StatusAttribute(Attribute[Status]):
    attr_type = STRING

    def serialize(self, value: Status) -> str:
        return value.value

    def deserialize(self, value: str) -> Status:
        return Status(value)


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


_INSTANT: Final = InstantAttribute()


class HistoryAttribute(Attribute[tuple[Change, ...]]):
    """The changes of a recording's status, oldest first.

    Not a ListAttribute: that copies the attributes of the elements' class for every list that it reads.
    """

    attr_type = LIST

    def serialize(self, value: tuple[Change, ...]) -> list[dict[str, Any]]:
        return [
            {
                MAP: {
                    "status": {STRING: change.status.value},
                    "at": {STRING: _INSTANT.serialize(change.at)},
                    "cause": {STRING: change.cause},
                }
            }
            for change in value
        ]

    def deserialize(self, value: Sequence[Mapping[str, Any]]) -> tuple[Change, ...]:
        changes = (element[MAP] for element in value)
        return tuple(
            Change(
                Status(change["status"][STRING]), _INSTANT.deserialize(change["at"][STRING]), change["cause"][STRING]
            )
            for change in changes
        )
