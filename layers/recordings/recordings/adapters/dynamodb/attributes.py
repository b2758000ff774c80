"""Attribute types in the formats that the table has had since the first release."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, cast

from pynamodb.attributes import Attribute
from pynamodb.constants import LIST, MAP, NUMBER, STRING

from recordings.domain.actor import Actor, ActorType
from recordings.domain.history import Change
from recordings.domain.lifecycle import Status


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


class ActorAttribute(Attribute[Actor]):
    """Who made a change, as one text: what takes fewer bytes takes fewer write units, and a recording has several.

    The parts are lines, because no id of an actor has a line break: the type's letter, the id, the client's id, the
    request's id. Missing ones at the end are left out.
    """

    attr_type = STRING

    def serialize(self, value: Actor) -> str:
        return "\n".join([_LETTERS[value.type], *(text or "" for text in value[1:])]).rstrip("\n")

    def deserialize(self, value: str) -> Actor:
        letter, actor_id, *rest = value.split("\n")
        return Actor(_TYPES[letter], actor_id, *(text or None for text in rest))


_LETTERS: Final[Mapping[ActorType, str]] = {"user": "u", "system": "s"}
_TYPES: Final = {letter: actor_type for actor_type, letter in _LETTERS.items()}
_INSTANT: Final = InstantAttribute()
_ACTOR: Final = ActorAttribute()


class HistoryAttribute(Attribute[tuple[Change, ...]]):
    """The changes of a recording's status, oldest first.

    Not a ListAttribute: that copies the attributes of the elements' class for every list that it reads.
    """

    attr_type = LIST

    def serialize(self, value: tuple[Change, ...]) -> list[dict[str, Any]]:
        return [{MAP: _stored_change(change)} for change in value]

    def deserialize(self, value: Sequence[Mapping[str, Any]]) -> tuple[Change, ...]:
        return tuple(_change(element[MAP]) for element in value)


def _stored_change(change: Change) -> dict[str, Any]:
    stored: dict[str, Any] = {
        "status": {STRING: change.status.value},
        "at": {STRING: _INSTANT.serialize(change.at)},
        "cause": {STRING: change.cause},
    }
    # Changes of earlier releases have no actor.
    return stored if change.actor is None else stored | {"by": {STRING: _ACTOR.serialize(change.actor)}}


def _change(stored: Mapping[str, Any]) -> Change:
    return Change(
        status=Status(stored["status"][STRING]),
        at=_INSTANT.deserialize(stored["at"][STRING]),
        cause=stored["cause"][STRING],
        actor=_ACTOR.deserialize(stored["by"][STRING]) if "by" in stored else None,
    )
