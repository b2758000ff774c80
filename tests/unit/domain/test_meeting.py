"""The owner of a meeting, and the owner of a recording of it."""

from datetime import datetime, timedelta

import pytest

from recordings.domain.errors import MeetingInUse
from recordings.domain.meeting import MAX_TENURES, MeetingOwnership, owner_of
from recordings.domain.provider_recording import ProviderStatus
from tests.support.builders import NOON, a_capture, a_room


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def released(*, adopted: bool = True) -> MeetingOwnership:
    """Return an ownership: room_1 held the meeting from minute 0 to 10."""
    return MeetingOwnership.begin(a_room(), adopted=adopted).released_by(a_room(name="First"), at=at(10))


def taken_again() -> MeetingOwnership:
    """Return an ownership: room_1 held the meeting from minute 0 to 10, room_2 holds it since minute 20."""
    return released().taken_by(a_room(id="room_2", updated_at=at(20)))


@pytest.mark.parametrize(
    ("began", "running", "room_id"),
    [
        pytest.param(-1, False, None, id="before the meeting was owned"),
        pytest.param(-1, True, None, id="before the meeting was owned, and it still runs"),
        pytest.param(0, False, "room_1", id="as it was adopted"),
        pytest.param(5, False, "room_1", id="in the first tenure"),
        pytest.param(10, False, "room_1", id="as it was released"),
        pytest.param(15, False, "room_2", id="while no room held it"),
        pytest.param(25, False, "room_2", id="in the second tenure"),
        pytest.param(5, True, "room_2", id="in the first tenure, and it still runs"),
        pytest.param(15, True, "room_2", id="while no room held it, and it still runs"),
    ],
)
def test_a_recording_belongs_to_the_room_that_held_the_meeting(
    began: float, running: bool, room_id: str | None
) -> None:
    tenure = taken_again().tenure_of(at(began), running=running)
    assert (tenure.room_id if tenure else None) == room_id


@pytest.mark.parametrize("running", [False, True])
def test_a_recording_of_a_released_meeting_belongs_to_the_last_room(running: bool) -> None:
    tenure = released().tenure_of(at(15), running=running)
    assert tenure is not None
    assert (tenure.room_id, tenure.room_name) == ("room_1", "First")


def test_a_meeting_created_for_a_room_has_no_earlier_owner() -> None:
    tenure = MeetingOwnership.begin(a_room(), adopted=False).tenure_of(at(-9999), running=False)
    assert tenure is not None


def test_only_its_tenant_can_hold_a_released_meeting_again() -> None:
    assert not released().may_take("tenant_2")
    with pytest.raises(MeetingInUse):
        released().taken_by(a_room(tenant_id="tenant_2"))
    again = taken_again()
    assert again.owned_since == NOON
    assert again.holder is not None
    assert again.holder.room_id == "room_2"


def test_a_held_meeting_cannot_be_held_by_a_second_room_of_its_tenant() -> None:
    with pytest.raises(MeetingInUse):
        MeetingOwnership.begin(a_room(), adopted=True).taken_by(a_room(id="room_2"))


@pytest.mark.parametrize("changed", [{"id": "room_2"}, {"tenant_id": "tenant_2"}])
def test_a_room_cannot_release_a_meeting_that_it_does_not_hold(changed: dict[str, str]) -> None:
    held = MeetingOwnership.begin(a_room(), adopted=True)
    assert held.released_by(a_room(**changed), at=at(1)) is held
    assert released().released_by(a_room(), at=at(99)) == released()


def test_many_tenures_keep_the_first_owner_and_a_bounded_size() -> None:
    ownership = MeetingOwnership.begin(a_room(), adopted=True)
    for n in range(3 * MAX_TENURES):
        holder = ownership.holder
        assert holder is not None
        ownership = ownership.released_by(a_room(id=holder.room_id), at=at(2 * n + 1))
        ownership = ownership.taken_by(a_room(id=f"room_{n}", updated_at=at(2 * n + 2)))
    assert len(ownership.tenures) == MAX_TENURES
    assert ownership.owned_since == NOON
    assert ownership.tenure_of(at(0), running=False) == ownership.tenures[0]
    assert ownership.tenure_of(at(-1), running=False) is None


def test_the_holder_has_the_present_name_of_its_room() -> None:
    room = a_room(id="room_2", name="Now")
    owner = owner_of(taken_again(), a_capture(started_at=at(25)), holding_room=room)
    assert owner is not None
    assert (owner.tenant_id, owner.room_id, owner.room_name, owner.holds) == ("tenant_1", "room_2", "Now", True)


def test_a_former_holder_has_the_name_of_its_room_at_the_release() -> None:
    room = a_room(id="room_2", name="Now")
    ended = a_capture(started_at=at(5), status=ProviderStatus.UPLOADED)
    owner = owner_of(taken_again(), ended, holding_room=room)
    assert owner is not None
    assert (owner.room_id, owner.room_name, owner.holds) == ("room_1", "First", False)


@pytest.mark.parametrize("room", [None, a_room(id="another")])
def test_a_meeting_whose_room_changes_now_has_no_holder(room: object) -> None:
    owner = owner_of(taken_again(), a_capture(started_at=at(25)), holding_room=room)  # type: ignore[arg-type]
    assert owner is not None
    assert not owner.holds


def test_without_a_start_a_recording_began_when_it_was_invoked() -> None:
    early = a_capture(invoked_at=at(-1), started_at=None)
    assert owner_of(taken_again(), early, holding_room=None) is None
    assert owner_of(None, early, holding_room=None) is None
