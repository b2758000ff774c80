"""Unreadable rows and wrong times in a listing lose no other recording."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from recordings.domain.lifecycle import Status
from recordings.domain.provider_recording import ProviderRecording
from tests.unit.services.test_scheduled_sync import captured
from tests.unit.services.world import World


@pytest.fixture
def world() -> World:
    return World()


def listing(world: World, monkeypatch: pytest.MonkeyPatch, rows: Sequence[ProviderRecording]) -> None:
    monkeypatch.setattr(world.cloudflare, "list_page", lambda number: (rows, False))


def test_a_row_with_a_wrong_old_time_does_not_end_the_list(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    captured(world, timedelta(0))
    world.sync()
    world.clock.advance(hours=3)
    captured(world, timedelta(minutes=1), timedelta(minutes=2))
    rows, _ = world.cloudflare.list_page(1)
    odd = replace(world.cloudflare.begin_by_itself("meeting_1"), invoked_at=datetime(2021, 1, 1, tzinfo=UTC))
    listing(world, monkeypatch, [odd, *rows])
    world.sync()
    assert {one.cloudflare_recording_id for one in world.all()} == {"past_1", "past_2", "past_3"}


def test_a_row_that_becomes_readable_later_is_imported_by_the_full_sync(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    captured(world, timedelta(0))
    world.sync()
    world.clock.advance(hours=3)
    captured(world, timedelta(hours=2), timedelta(minutes=1))
    rows, _ = world.cloudflare.list_page(1)
    with monkeypatch.context() as unreadable:
        listing(world, unreadable, [row for row in rows if row.cloudflare_recording_id != "past_2"])
        world.sync()
    assert {one.cloudflare_recording_id for one in world.all()} == {"past_1", "past_3"}
    # The watermark has passed it by now.
    world.clock.advance(hours=1)
    world.sync()
    assert len(world.all()) == 2
    world.clock.advance(hours=20)
    world.sync()
    assert {one.cloudflare_recording_id for one in world.all()} == {"past_1", "past_2", "past_3"}
    assert all(one.status is Status.PROCESSING for one in world.all())


def test_a_page_of_unreadable_rows_does_not_end_the_list(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    captured(world, timedelta(minutes=1))
    rows, _ = world.cloudflare.list_page(1)
    pages = {1: ([], True), 2: (rows, False)}
    monkeypatch.setattr(world.cloudflare, "list_page", lambda number: pages[number])
    world.sync()
    assert [one.cloudflare_recording_id for one in world.all()] == ["past_1"]
