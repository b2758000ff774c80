"""The migration of lists, on moto's DynamoDB: killed anywhere, beside writers, and twice at once."""

import itertools
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from admin import AdminError
from admin.lists import commands
from admin.lists.migration import Migration, is_migrated, is_old
from admin.lists.pace import Pace
from admin.lists.rows import BATCH_SIZE, list_recordings
from recordings.adapters.dynamodb import layout
from recordings.adapters.dynamodb.layout import Layout
from recordings.adapters.dynamodb.listing_items import RowItem
from recordings.adapters.dynamodb.writes import put_item
from recordings.domain.errors import ConcurrentUpdate, InfrastructureError, Throttled
from recordings.domain.lifecycle import Status
from tests.support.lists import TENANTS, Writers, a_table_with_lists, fill, old_items, right_lists, stored_lists
from tests.support.table import atomic, interrupted, plain_items, watched

SETTLE_SECONDS = 1


class Killed(BaseException):
    """The process is gone."""


@pytest.fixture(autouse=True)
def table() -> Iterator[None]:
    with a_table_with_lists():
        yield


def migrate(wait: Callable[[float], None] = lambda _: None) -> None:
    """Run one command, as far as it gets."""
    Migration(Pace(1e9, pause=wait), lambda _: None, workers=1, settle_seconds=SETTLE_SECONDS)()


def assert_migrated() -> None:
    assert stored_lists() == right_lists()
    assert old_items() == []
    assert layout.find_stored_layout() is Layout.ROWS
    assert is_migrated()


def test_a_migration_lists_every_recording_and_deletes_the_old_items() -> None:
    fill(20)
    assert old_items()
    migrate()
    assert_migrated()
    assert len(stored_lists()[0]) == len(TENANTS) * 2 * 16


@pytest.mark.parametrize("is_sent", [pytest.param(False, id="before it is sent"), pytest.param(True, id="after it")])
def test_a_migration_that_is_killed_at_every_request_ends_exact(is_sent: bool) -> None:
    """Each command dies at the first request that no command before it has sent."""
    fill(BATCH_SIZE + 2, tenants=TENANTS[1:], rooms=1)
    seen = set[str]()

    def kill(operation: str, arguments: Any, send: Callable[[], Any]) -> Any:
        what = json.dumps([operation, {**arguments, "ClientRequestToken": ""}], sort_keys=True)
        if what in seen:
            return send()
        seen.add(what)
        if is_sent:
            send()
        raise Killed

    commands = 0
    with watched(kill):
        while True:
            commands += 1
            try:
                migrate()
                break
            except Killed:
                continue
    assert commands > 30
    assert_migrated()


class Disturbance:
    """Changes recordings, and kills the command, between its requests and while it waits."""

    def __init__(self, seed: int, writers: Writers) -> None:
        self._chance, self._requests, self._kills = random.Random(seed), itertools.count(), iter(range(10))
        self._writers, self._waiting = writers, False

    def request(self, operation: str, arguments: Any, send: Callable[[], Any]) -> Any:
        if self._waiting:
            return send()
        # First as many changes as there are requests, then so few that what changes can be compared.
        if self._chance.random() < (1 if next(self._requests) < 60 else 0.04):
            self._writers.act()
        self._kill()
        response = send()
        self._kill()
        return response

    def wait(self, seconds: float) -> None:
        if seconds == SETTLE_SECONDS:
            self._waiting = True
            for _ in range(5):
                self._writers.act()
            self._waiting = False
            self._writers.settled()

    def _kill(self) -> None:
        if self._chance.random() < 0.04 and next(self._kills, None) is not None:
            raise Killed


@pytest.mark.parametrize("seed", range(2))
def test_a_migration_beside_writers_ends_exact_however_often_it_is_killed(seed: int) -> None:
    writers = Writers(seed, TENANTS, fill(10))
    disturbance = Disturbance(seed, writers)
    with watched(disturbance.request):
        while True:
            try:
                migrate(wait=disturbance.wait)
                break
            except (Killed, AdminError):
                # Where lists change too fast to be compared, the operator repeats the command.
                continue
    for _ in range(20):
        writers.act()
    assert min(writers.changes[what] for what in ("add", "status", "plain", "delete", "undelete", "purge")) > 0
    assert_migrated()


def test_a_batch_is_not_listed_if_one_of_it_has_changed_or_has_a_row() -> None:
    first, second, *_ = fill(2, tenants=TENANTS[1:], rooms=1)
    layout.store_layout(Layout.BOTH, expected=Layout.DAYS)
    before = list(plain_items())
    for stale in (replace(second, version=0), replace(second, status=Status.PROCESSING)):
        with pytest.raises(ConcurrentUpdate):
            list_recordings([first, stale])
    assert list(plain_items()) == before
    list_recordings([second])
    with pytest.raises(ConcurrentUpdate):
        list_recordings([first, second])
    list_recordings([first])
    assert stored_lists() == right_lists()


@pytest.mark.parametrize(
    "operation", ["PutItem", "TransactWriteItems", "UpdateItem", "TransactGetItems", "Scan", "BatchWriteItem"]
)
def test_another_command_that_does_everything_meanwhile_does_no_harm(operation: str) -> None:
    recordings = fill(4, tenants=TENANTS[1:], rooms=1)
    # One that has a row already, and a row that is left of one that has none.
    wrong = RowItem.from_domain(replace(recordings[0], status=Status.RECORDING))
    put_item(wrong)
    reached = []

    def other() -> None:
        reached.append(True)
        migrate()

    with interrupted(operation, other):
        migrate()
    assert reached
    assert_migrated()


def test_a_busy_table_slows_the_migration_down() -> None:
    fill(4)
    refusals = 0
    waited: list[float] = []

    def refuse(operation: str, arguments: Any, send: Callable[[], Any]) -> Any:
        nonlocal refusals
        refusals += 1
        if refusals % 3 == 0:
            raise Throttled("busy")
        return send()

    with watched(refuse):
        migrate(wait=waited.append)
    assert_migrated()
    assert sum(seconds > 0 for seconds in waited) > 10


@pytest.mark.parametrize(
    ("pk", "old"),
    [
        pytest.param("T#a%23b#DAY", True, id="days of a tenant"),
        pytest.param("T#t#DAY#room", True, id="days of a room"),
        pytest.param("T#t#LIST#DAYS#x", True, id="list of a room with a number sign"),
        pytest.param("T#t#DAYS", False, id="counts of quarter hours"),
        pytest.param("T#t#MONTHS#DAY", False, id="months of a room called DAY"),
        pytest.param("T#t#REC", False, id="recordings"),
        pytest.param("LAYOUT", False, id="state of the layout"),
    ],
)
def test_only_partitions_of_the_earlier_layout_are_deleted(pk: str, old: bool) -> None:
    assert is_old(pk) is old


def the_command(*, dry_run: bool = False, agrees: bool = True) -> None:
    commands.migrate(
        Pace(1e9, pause=lambda _: None),
        workers=2,
        settle_seconds=0,
        dry_run=dry_run,
        confirm=lambda: agrees,
        wait_seconds=0,
    )


@pytest.mark.parametrize(
    ("dry_run", "agrees"), [pytest.param(True, True, id="dry run"), pytest.param(False, False, id="no")]
)
def test_nothing_is_written_before_the_operator_agrees(
    dry_run: bool, agrees: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(4, rooms=1)
    before = list(plain_items())
    the_command(dry_run=dry_run, agrees=agrees)
    assert list(plain_items()) == before
    assert capsys.readouterr().out.splitlines() == [
        "Layout: days.",
        "Tenants: 2. Recordings: 8.",
        "At most 144 write units and about 10 read units: $0.00 at the prices of us-east-1 (on demand, November 2026).",
        "At least 0 minutes: 1e+09 recordings a second, and three waits of 0 s.",
        "Nothing was changed.",
    ]


def test_the_command_migrates_with_several_workers_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    fill(6)
    with atomic():
        the_command()
    assert_migrated()
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1] == "The lists are migrated."
    assert [line for line in printed.err.splitlines() if "layout is now" in line] == [
        f"The table's layout is now {state}." for state in ("both", "rows_with_days", "rows")
    ]
    the_command(agrees=False)
    assert capsys.readouterr().out == "Nothing to migrate: the lists of this stack are rows.\n"


def test_a_table_without_tenants_is_not_migrated(capsys: pytest.CaptureFixture[str]) -> None:
    the_command(agrees=False)
    assert capsys.readouterr().out == "Nothing to migrate: the lists of this stack are rows.\n"


def test_what_dynamodb_refuses_for_good_is_one_sentence_and_a_way_on() -> None:
    fill(2, rooms=1)

    def refuse(operation: str, arguments: Any, send: Callable[[], Any]) -> Any:
        if operation == "TransactWriteItems":
            raise InfrastructureError("TransactWriteItems failed for good: AccessDenied.")
        return send()

    with watched(refuse), pytest.raises(AdminError, match=r"AccessDenied\. Repeat the command: it resumes"):
        the_command()
