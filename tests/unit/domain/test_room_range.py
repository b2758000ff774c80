"""Each room is in exactly one range, and the order of ids never hides one."""

from itertools import pairwise
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from recordings.domain.room_range import ALL_ROOMS, RoomRange

IDS = st.text(alphabet="aZ09_.:-", min_size=1, max_size=5)


def folder(room_id: str) -> str:
    return f"{quote(room_id, safe='')}/"


@given(IDS, st.sets(IDS, min_size=1, max_size=4))
def test_every_room_is_in_one_range(room_id: str, ends: set[str]) -> None:
    bounds = [None, *sorted(map(folder, ends)), None]
    stretches = [RoomRange(low, high) for low, high in pairwise(bounds)]
    assert sum(stretch.contains(room_id) for stretch in stretches) == 1
    assert ALL_ROOMS.contains(room_id)


@given(IDS, st.none() | IDS, st.none() | IDS)
def test_the_id_bounds_of_a_range_enclose_its_rooms(room_id: str, low: str | None, high: str | None) -> None:
    stretch = RoomRange(*(folder(end) if end is not None else None for end in (low, high)))
    first, last = stretch.id_bounds
    if stretch.contains(room_id):
        assert first <= room_id
        assert high is None or room_id <= last or ":" in room_id


@given(st.lists(IDS, min_size=2, max_size=6, unique=True))
def test_folders_sort_like_the_keys_below_them(ids: list[str]) -> None:
    keys = sorted(f"tenant/{folder(one)}rec_{number}/1/recording.mp4" for number, one in enumerate(ids))
    folders = [f"{key.split('/')[1]}/" for key in keys]
    assert folders == sorted(folders)
