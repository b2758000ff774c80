"""Every pair of a recording and a capture, against a table written from the contract."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import product

import pytest

from recordings.domain.capture import Capture, CaptureStatus
from recordings.domain.lifecycle import TRANSITIONS, Status
from recordings.domain.reconcile import EXPIRED, LOST, NEVER_BEGAN, NEVER_UPLOADED, Act, Verdict, reconcile
from recordings.domain.recording import Failure, Recording
from tests.support.builders import NOON, a_capture, a_recording

SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
URLS = {"no file": (None, None), "file": ("https://files/1", NOON + SECOND), "expired": ("https://files/1", NOON)}

# What a capture comes to: by its status and its file.
KINDS = {
    **{(CaptureStatus.INVOKED, file): "invoked" for file in URLS},
    **{(CaptureStatus.RECORDING, file): "running" for file in URLS},
    **{(CaptureStatus.PAUSED, file): "running" for file in URLS},
    # A status that we do not know is no news that it has ended.
    **{(CaptureStatus.UNKNOWN, file): "running" for file in URLS},
    **{(CaptureStatus.UPLOADING, file): "uploading" for file in URLS},
    (CaptureStatus.UPLOADED, "no file"): "expired",
    (CaptureStatus.UPLOADED, "file"): "there",
    (CaptureStatus.UPLOADED, "expired"): "expired",
    (CaptureStatus.ERRORED, "no file"): "lost",
    (CaptureStatus.ERRORED, "file"): "there",
    (CaptureStatus.ERRORED, "expired"): "lost",
}

# How long ago a recording began, while it records, or was stopped, once it was: at each deadline and just past it.
FRESH, UNSTOPPED, DEAF, LONGEST, NEVER = 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, DAY + 15 * MINUTE, 7 * DAY
OLD = timedelta.max
AGES = [timedelta(0), *(age for end in (FRESH, UNSTOPPED, DEAF, LONGEST, NEVER) for age in (end, end + SECOND))]
# When the capture's session ended, as far as Cloudflare says; the last one so long ago that it should have stopped.
SESSIONS = [None, NOON, NOON - 5 * MINUTE, NOON - 5 * MINUTE - SECOND]
# Who speaks of the later end: that must make no difference.
NEWER = [-DAY, timedelta(0), DAY]

type Cell = tuple[timedelta, str, Failure | None]

# Up to and including which age which act. "run" is what a run that is at work is told; see DEAD.
TABLE: dict[tuple[str, str], list[Cell]] = {
    ("recording", "invoked"): [(UNSTOPPED, "nothing", None), (DEAF, "stop", None), (OLD, "fail", NEVER_BEGAN)],
    ("recording", "running"): [(LONGEST, "nothing", None), (OLD, "end", None)],
    ("recording", "uploading"): [(OLD, "end", None)],
    ("recording", "there"): [(OLD, "end", None)],
    ("recording", "expired"): [(OLD, "fail", EXPIRED)],
    ("recording", "lost"): [(OLD, "fail", LOST)],
    ("recording", "unknown"): [(OLD, "fail", LOST)],
    ("processing", "invoked"): [(FRESH, "run", None), (UNSTOPPED, "stop", None), (OLD, "fail", NEVER_BEGAN)],
    ("processing", "running"): [(FRESH, "run", None), (NEVER, "stop", None), (OLD, "fail", NEVER_UPLOADED)],
    ("processing", "uploading"): [(NEVER, "run", None), (OLD, "fail", NEVER_UPLOADED)],
    ("processing", "there"): [(OLD, "run", None)],
    ("processing", "expired"): [(OLD, "fail", EXPIRED)],
    ("processing", "lost"): [(OLD, "fail", LOST)],
    ("processing", "unknown"): [(OLD, "fail", LOST)],
    ("none", "invoked"): [(OLD, "import", None)],
    ("none", "running"): [(OLD, "import", None)],
    ("none", "uploading"): [(OLD, "import", None)],
    ("none", "there"): [(OLD, "import", None)],
    ("none", "expired"): [(OLD, "import", EXPIRED)],
    ("none", "lost"): [(OLD, "import", LOST)],
    ("none", "unknown"): [(OLD, "nothing", None)],
}
# What becomes of "run" when the run is dead or has given up.
DEAD = {"uploading": "nothing", "there": "restart", "invoked": "run", "running": "run"}

OURS = ["none", *Status]
THEIRS = [None, *KINDS]


def ours_of(status: str, age: timedelta, *, stalled: bool, delivered: bool) -> Recording | None:
    if status == "none":
        return None
    began = NOON - age
    key = "delivered/a.mp4" if delivered else None
    return a_recording(status=Status(status), created_at=began, stalled=stalled, delivery_key=key)


def theirs_of(told: tuple[CaptureStatus, str] | None, newer: timedelta = timedelta(0)) -> Capture | None:
    if told is None:
        return None
    url, until = URLS[told[1]]
    ended = None if told[0].running else NOON + newer
    return a_capture(
        status=told[0], invoked_at=NOON - 30 * DAY, stopped_at=ended, download_url=url, url_expires_at=until
    )


def wanted(
    status: str,
    told: tuple[CaptureStatus, str] | None,
    age: timedelta,
    delivered: bool,
    works: bool,
    session: datetime | None = None,
) -> Verdict:
    if status == "failed" and not delivered and told is not None and KINDS[told] in {"invoked", "running"}:
        return Verdict(Act.STOP)
    if status not in {"none", "recording", "processing"} or (status == "none" and told is None):
        return Verdict(Act.NOTHING)
    kind = "there" if delivered else "unknown" if told is None else KINDS[told]
    act, failure = next((act, failure) for upto, act, failure in TABLE[status, kind] if age <= upto)
    if act == "run" and not works:
        act = DEAD[kind]
    if (status, kind, act, session) == ("recording", "running", "nothing", SESSIONS[-1]):
        act = "stop"
    return Verdict(Act(act), failure)


def every_case() -> Iterator[tuple[str, tuple[CaptureStatus, str] | None, timedelta, bool, bool, bool]]:
    return product(OURS, THEIRS, AGES, (False, True), (False, True), (False, True))


def test_every_verdict_is_the_one_in_the_table() -> None:
    seen = 0
    for (status, told, age, delivered, alive, stalled), session, newer in product(every_case(), SESSIONS, NEWER):
        ours, theirs = ours_of(status, age, stalled=stalled, delivered=delivered), theirs_of(told, newer)
        verdict = reconcile(ours, theirs, delivered=delivered, now=NOON, run_alive=alive, session_ended_at=session)
        case = status, told, str(age), delivered, alive, stalled, session, newer
        assert verdict == wanted(status, told, age, delivered, alive and not stalled, session), case
        seen += 1
    assert seen == 6 * len(THEIRS) * len(AGES) * 8 * len(SESSIONS) * len(NEWER)


# The status after each act; one that is not named here leaves it.
INTO = {Act.END: Status.PROCESSING, Act.FAIL: Status.FAILED}


def test_no_verdict_goes_backwards_or_where_the_lifecycle_does_not_lead() -> None:
    for status, told, age, delivered, alive, stalled in every_case():
        ours = ours_of(status, age, stalled=stalled, delivered=delivered)
        verdict = reconcile(ours, theirs_of(told), delivered=delivered, now=NOON, run_alive=alive)
        assert (verdict.act is Act.IMPORT) <= (ours is None), (status, told)
        assert (verdict.failure is not None) <= (verdict.act in {Act.FAIL, Act.IMPORT})
        if ours is None:
            continue
        assert (verdict.act is Act.FAIL) <= (verdict.failure is not None)
        if verdict.act in INTO:
            assert INTO[verdict.act] in TRANSITIONS[ours.status].values(), (status, told, verdict)
        if verdict.act in {Act.RUN, Act.RESTART}:
            assert ours.status is Status.PROCESSING


@pytest.mark.parametrize("status", [Status.READY, Status.ARCHIVED])
def test_what_is_over_is_left_alone_whatever_cloudflare_says(status: Status) -> None:
    for told, age, alive, stalled in product(THEIRS, AGES, (False, True), (False, True)):
        ours = ours_of(status, age, stalled=stalled, delivered=False)
        assert reconcile(ours, theirs_of(told), now=NOON, run_alive=alive) == Verdict(Act.NOTHING)


def test_a_file_that_is_there_is_never_given_up() -> None:
    for status, told, age, delivered, alive in product(
        ("recording", "processing"), THEIRS, AGES, (False, True), (False, True)
    ):
        there = delivered or (told is not None and KINDS[told] == "there")
        if there:
            ours = ours_of(status, age, stalled=False, delivered=delivered)
            verdict = reconcile(ours, theirs_of(told), delivered=delivered, now=NOON, run_alive=alive)
            assert verdict.act in {Act.END, Act.RUN, Act.RESTART}, (status, told, age, delivered)


def test_a_recording_that_cloudflare_ended_by_itself_is_waited_for_from_its_end_as_it_was_told() -> None:
    def act(stopped_at: datetime) -> Act:
        ours = a_recording(status=Status.PROCESSING, created_at=NOON - 8 * DAY, stopped_at=stopped_at)
        return reconcile(ours, a_capture(status=CaptureStatus.UPLOADING), now=NOON).act

    assert act(NOON - 7 * DAY) is Act.RUN
    assert act(NOON - 7 * DAY - SECOND) is Act.FAIL
