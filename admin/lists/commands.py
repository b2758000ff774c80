"""The commands `migrate` and `tallies`, once the environment of the adapters is set."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final

from admin import AdminError
from admin.lists.estimate import estimate
from admin.lists.migration import Migration, is_migrated, list_tenants
from admin.lists.pace import Pace, for_each
from admin.lists.rebuild import compare, rebuild
from admin.lists.recount import Comparison, WrongCounter
from admin.lists.rows import Rows, scope_of
from admin.progress import reporting, write
from admin.report import number, printable
from recordings.adapters.dynamodb.layout import Layout, find_stored_layout
from recordings.domain.errors import RecordingsError
from recordings.domain.tally import parse_counter

RIGHT, DIFFERENT = 0, 1


def migrate(
    pace: Pace,
    *,
    workers: int,
    settle_seconds: float,
    dry_run: bool,
    confirm: Callable[[], bool],
    wait_seconds: float,
) -> None:
    """Move the lists of a stack to rows. `confirm` asks the operator, `wait_seconds` is a wait before the first step.

    Raises:
        AdminError: DynamoDB is busy or refused, or lists cannot be mended
    """
    with _plain_errors():
        layout = find_stored_layout()
        if is_migrated() or (layout is None and not list_tenants(pace)):
            print("Nothing to migrate: the lists of this stack are rows.")
            return
        todo = estimate(pace)
        print(f"Layout: {layout or Layout.DAYS}.")
        print("\n".join(todo.lines(pace.rate, settle_seconds)), flush=True)
        if dry_run or not confirm():
            print("Nothing was changed.")
            return
        if wait_seconds:
            write(f"Wait {wait_seconds:.0f} s: an invocation of the release before may run until then.")
            pace.pause(wait_seconds)
        migration = Migration(pace, write, workers=workers, settle_seconds=settle_seconds)
        with _progress(
            lambda: (
                f"{migration.listed} of about {number(todo.recordings, 'recording')} listed, "
                f"{migration.tenants} of {number(todo.tenants, 'tenant')} compared"
            ),
            lambda: migration.listed,
        ):
            migration()
    print("The lists are migrated.")


def tallies(pace: Pace, *, tenant: str | None, repair: bool, as_json: bool, workers: int) -> int:
    """Compare the lists of one tenant or all with the recordings, or mend them. Return the exit status.

    Raises:
        AdminError: DynamoDB is busy or refused, or the tenant is not known
    """
    with _plain_errors():
        layout = find_stored_layout() or Layout.DAYS
        # Until the migration has listed everything, rows are incomplete and nobody reads them.
        books = {"rows": layout.reads_rows, "days": layout.writes_days}
        tenants = list_tenants(pace)
        if tenant is not None and tenant not in tenants:
            raise AdminError(f"Tenant '{tenant}' is not known: it never had a room.")
        chosen = tenants if tenant is None else [tenant]
        results: dict[str, tuple[Comparison, Comparison]] = {}

        def work(tenant_id: str) -> None:
            if repair:
                results[tenant_id] = rebuild(tenant_id, pace, **books)
            else:
                found = compare(tenant_id, pace, **books)
                results[tenant_id] = found, found

        with _progress(lambda: f"{len(results)} of {number(len(chosen), 'tenant')} compared"):
            for_each(chosen, work, workers=workers, pace=pace)
    ordered = [results[tenant_id] for tenant_id in chosen]
    if as_json:
        print(json.dumps(document(layout, ordered, repair=repair), indent=2))
    else:
        print("\n".join(lines(layout, ordered, repair=repair)))
    return RIGHT if all(last.right for _, last in ordered) else DIFFERENT


def lines(layout: Layout, results: Sequence[tuple[Comparison, Comparison]], *, repair: bool) -> Iterator[str]:
    """Yield what differed, as a table for people."""
    yield f"Layout: {layout}."
    rows = [row for first, _ in results for row in _rows_of(first)]
    if rows:
        widths = [max(len(row[column]) for row in [HEADINGS, *rows]) for column in range(len(HEADINGS))]
        for row in [HEADINGS, *rows]:
            yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    for _, last in results:
        for ledger, bucket in last.unsettled:
            scope = printable(_scope(last.tenant_id, ledger.scope.room_id))
            yield f"Not compared: {scope}, {ledger.name} {bucket}. It changes too fast; repeat the command."
    totals = Counter(right=0, wrong=0, mended=0)
    for first, last in results:
        totals["right" if first.right else "mended" if last.right else "wrong"] += 1
    recordings = number(sum(first.recordings for first, _ in results), "recording")
    wrong = f"{totals['mended']} mended, {totals['wrong']} wrong" if repair else f"{totals['wrong']} wrong"
    yield f"{number(len(results), 'tenant')}, {recordings}: {totals['right']} right, {wrong}."
    if totals["wrong"] and not repair:
        yield "Nothing was changed. --rebuild mends what differs."


HEADINGS: Final = ("scope", "bucket", "counter", "counted", "stored")


def document(layout: Layout, results: Sequence[tuple[Comparison, Comparison]], *, repair: bool) -> dict[str, Any]:
    """Return what differed, for programs."""
    return {
        "layout": layout.value,
        "rebuild": repair,
        "tenants": [
            {
                "tenant_id": first.tenant_id,
                "recordings": first.recordings,
                "right": last.right,
                "differences": [dict(zip(HEADINGS, row, strict=True)) for row in _rows_of(first)],
                "not_compared": [f"{ledger.name} {bucket}" for ledger, bucket in last.unsettled],
            }
            for first, last in results
        ],
    }


def _rows_of(found: Comparison) -> Iterator[tuple[str, ...]]:
    for rows in found.wrong_rows:
        yield from _wrong_rows(rows)
    for wrong in found.wrong_counters:
        if wrong.stored != wrong.counted:
            yield _wrong_counter(found.tenant_id, wrong)


def _wrong_rows(rows: Rows) -> Iterator[tuple[str, ...]]:
    wrong = [(row, "missing row", 1, 0) for row in rows.missing]
    wrong += [(row, "superfluous row", 0, 1) for row in rows.superfluous]
    wrong += [(row, "different row", 1, 1) for row, _ in rows.different]
    for row, what, counted, stored in wrong:
        status, room_id = scope_of(row)
        scope = printable(_scope(rows.tenant_id, room_id))
        yield scope, row.sk, f"{what}, {status}", str(counted), str(stored)


def _wrong_counter(tenant_id: str, wrong: WrongCounter) -> tuple[str, ...]:
    parsed = parse_counter(wrong.name)
    bucket, counter = wrong.bucket, wrong.name
    if parsed is not None:
        bucket, counter = f"{wrong.bucket} {parsed[0]}", parsed[1].value
    scope = printable(_scope(tenant_id, wrong.ledger.scope.room_id))
    return scope, f"{wrong.ledger.name} {bucket}", counter, str(wrong.counted), str(wrong.stored)


def _scope(tenant_id: str, room_id: str | None) -> str:
    return tenant_id if room_id is None else f"{tenant_id} {room_id}"


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Raise what the adapters raise as an error for the operator."""
    try:
        yield
    except RecordingsError as error:
        raise AdminError(f"{error} Repeat the command: it resumes where it was.") from error


def _progress(text: Callable[[], str], done: Callable[[], int] | None = None) -> AbstractContextManager[None]:
    """Write how far the block is to stderr, every ten seconds."""

    def line(seconds: float) -> str:
        rate = f", {done() / seconds:.0f}/s" if done is not None else ""
        return f"{text()}{rate}, {seconds:.0f} s"

    return reporting(line)
