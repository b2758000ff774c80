"""Mend what a comparison found, while others write.

A wrong row is put right together with the counters of its scope, as every change does it. A counter that is wrong is
corrected by adding to it what it lacks: its excess does not depend on what others write meanwhile, so no update is
lost.
Two commands must not both correct what both have measured. So a correction belongs to a revision of the tenant's
tallies, which it raises, and the command that comes second measures again.

The parts of a bucket are not folded into one. A reader reads them one after the other, and would miss what was moved
between its reads: a total could be wrong by thousands for a moment.
"""

from collections import defaultdict
from itertools import batched
from typing import Final

from admin.lists.ledgers import Ledger
from admin.lists.migration_items import TallyRevisionItem
from admin.lists.pace import Pace
from admin.lists.recount import Comparing, Comparison, WrongCounter
from admin.lists.rows import Rows, mend_rows, rooms_of
from recordings.adapters.dynamodb.queries import get_item
from recordings.adapters.dynamodb.transaction import Transaction
from recordings.domain.errors import ConcurrentUpdate

MAX_ROUNDS: Final = 4
# A transaction has 100 actions at most; one of them raises the revision.
MAX_BUCKETS: Final = 90


def compare(tenant_id: str, pace: Pace, *, rows: bool, days: bool) -> Comparison:
    """Compare the lists of a tenant with its recordings.

    Raises:
        Throttled, InfrastructureError, Stopped
    """
    return Comparing(tenant_id, pace, rows=rows, days=days)()


def rebuild(tenant_id: str, pace: Pace, *, rows: bool, days: bool) -> tuple[Comparison, Comparison]:
    """Compare and mend until nothing is wrong. Return the first comparison and the last one.

    Raises:
        Throttled, InfrastructureError, Stopped
    """
    found: list[Comparison] = []
    while True:
        revision = pace.run(lambda: _revision(tenant_id))
        found.append(compare(tenant_id, pace, rows=rows, days=days))
        if found[-1].right or len(found) > MAX_ROUNDS:
            return found[0], found[-1]
        _mend(found[-1], revision, pace)


def _mend(found: Comparison, revision: int | None, pace: Pace) -> None:
    for rows in found.wrong_rows:
        pace.take(1)
        pace.run(lambda rows=rows: _mend_rows(rows))  # type: ignore[misc]
    by_bucket: dict[tuple[Ledger, str], list[WrongCounter]] = defaultdict(list)
    for wrong in found.wrong_counters:
        if wrong.excess:
            by_bucket[wrong.ledger, wrong.bucket].append(wrong)
    for some in batched(by_bucket.items(), MAX_BUCKETS, strict=False):
        pace.take(len(some))
        try:
            # If the outcome of the first try is unknown, a repeat that is refused may mean that it was written.
            pace.run(lambda some=some, at=revision: _correct(found.tenant_id, dict(some), at))  # type: ignore[misc]
        except ConcurrentUpdate:
            # Another command has corrected tallies of this tenant: the next round measures again.
            return
        revision = (revision or 0) + 1


def _mend_rows(rows: Rows) -> None:
    rooms = {*rooms_of(rows.found.values()), *rooms_of(rows.wanted.values())}
    try:
        mend_rows(rows.tenant_id, rows.recording_id, rooms)
    except ConcurrentUpdate:
        # The next round tries again.
        return


def _correct(tenant_id: str, wrong: dict[tuple[Ledger, str], list[WrongCounter]], revision: int | None) -> None:
    """Correct counters and raise the revision of the tenant's tallies.

    Raises:
        ConcurrentUpdate: the revision is another one
        Throttled: the outcome may be unknown
        InfrastructureError
    """
    item = TallyRevisionItem.at(tenant_id)
    item.revision = (revision or 0) + 1
    unchanged = TallyRevisionItem.pk.does_not_exist() if revision is None else TallyRevisionItem.revision == revision
    with Transaction() as transaction:
        transaction.save(item, unchanged)
        for (ledger, bucket), counters in wrong.items():
            ledger.add(transaction, bucket, {one.name: -one.excess for one in counters})


def _revision(tenant_id: str) -> int | None:
    item = TallyRevisionItem.at(tenant_id)
    stored = get_item(TallyRevisionItem, item.pk, item.sk)
    return stored.revision if stored is not None else None
