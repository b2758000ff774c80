"""Each pair of a recording and a provider recording, compared with a table from the contract."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache, partial
from itertools import product

import pytest

from recordings.domain.admission import AttemptLimits
from recordings.domain.lifecycle import TRANSITIONS, Status
from recordings.domain.provider_recording import ProviderRecording, ProviderStatus
from recordings.domain.reconciliation import (
    EXPIRED,
    LOST,
    NEVER_BEGAN,
    NEVER_UPLOADED,
    TRACKS,
    Action,
    Deadlines,
    Decision,
)
from recordings.domain.reconciliation import reconcile as decide
from recordings.domain.recording import Failure, Recording
from tests.support.builders import NOON, a_capture, a_recording

# test_admission.py tests the pause after a dead execution.
reconcile = partial(decide, deadlines=Deadlines(attempts=AttemptLimits(first_pause=timedelta(0))))

SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
INVOKED_AT = NOON - timedelta(days=30)
URLS = {"no file": (None, None), "file": ("https://files/1", NOON + SECOND), "expired": ("https://files/1", NOON)}
ODD_URLS = {
    "no time": ("https://files/1", None),
    "time before its beginning": ("https://files/1", INVOKED_AT),
    "tracks": (None, NOON + SECOND),
}

# The column of the table, by status and file.
KINDS = {
    **{(ProviderStatus.INVOKED, file): "invoked" for file in URLS},
    **{(ProviderStatus.RECORDING, file): "running" for file in URLS},
    **{(ProviderStatus.PAUSED, file): "running" for file in URLS},
    # An unknown status does not say that it has ended.
    **{(ProviderStatus.UNKNOWN, file): "running" for file in URLS},
    **{(ProviderStatus.UPLOADING, file): "uploading" for file in URLS},
    (ProviderStatus.UPLOADED, "no file"): "expired",
    (ProviderStatus.UPLOADED, "no time"): "there",
    (ProviderStatus.UPLOADED, "time before its beginning"): "there",
    (ProviderStatus.UPLOADED, "tracks"): "tracks",
    (ProviderStatus.UPLOADED, "file"): "there",
    (ProviderStatus.UPLOADED, "expired"): "expired",
    (ProviderStatus.ERRORED, "no file"): "lost",
    (ProviderStatus.ERRORED, "file"): "there",
    (ProviderStatus.ERRORED, "expired"): "lost",
}

# The time since the start, or since the stop of a stopped recording: at each deadline and directly after it.
GRACE_PERIOD, UNSTOPPED, DEAF, LONGEST, NEVER = 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, DAY + 15 * MINUTE, 7 * DAY
OLD = timedelta.max
AGES = [timedelta(0), *(age for end in (GRACE_PERIOD, UNSTOPPED, DEAF, LONGEST, NEVER) for age in (end, end + SECOND))]
# When the session ended, if Cloudflare reports it. After the last one the recording should have stopped.
SESSIONS = [None, NOON, NOON - 5 * MINUTE, NOON - 5 * MINUTE - SECOND]
# Which side has the later end. It must make no difference.
NEWER = [-DAY, DAY]

# Since when Cloudflare reports that there will be no file.
CONFIRMED = NOON - 10 * MINUTE
MISSING = [None, NOON, CONFIRMED + SECOND, CONFIRMED]

type Cell = tuple[timedelta, str, Failure | None]

# Up to and including which age which act. "run" is what a run that is at work is told; see DEAD. A failure with any
# other act than "fail" and "import" is what becomes of it once a second answer confirms it.
TABLE: dict[tuple[str, str], list[Cell]] = {
    ("recording", "invoked"): [(UNSTOPPED, "nothing", None), (DEAF, "stop", None), (OLD, "stop", NEVER_BEGAN)],
    ("recording", "running"): [(LONGEST, "nothing", None), (OLD, "end", None)],
    ("recording", "uploading"): [(OLD, "end", None)],
    ("recording", "there"): [(OLD, "end", None)],
    ("recording", "expired"): [(OLD, "end", EXPIRED)],
    ("recording", "tracks"): [(OLD, "fail", TRACKS)],
    ("recording", "lost"): [(OLD, "fail", LOST)],
    ("recording", "unknown"): [(OLD, "nothing", LOST)],
    ("processing", "invoked"): [(GRACE_PERIOD, "run", None), (UNSTOPPED, "stop", None), (OLD, "stop", NEVER_BEGAN)],
    ("processing", "running"): [(GRACE_PERIOD, "run", None), (NEVER, "stop", None), (OLD, "stop", NEVER_UPLOADED)],
    ("processing", "uploading"): [(NEVER, "run", None), (OLD, "run", NEVER_UPLOADED)],
    ("processing", "there"): [(OLD, "run", None)],
    ("processing", "expired"): [(OLD, "nothing", EXPIRED)],
    ("processing", "tracks"): [(OLD, "fail", TRACKS)],
    ("processing", "lost"): [(OLD, "fail", LOST)],
    ("processing", "unknown"): [(OLD, "nothing", LOST)],
    ("none", "invoked"): [(OLD, "import", None)],
    ("none", "running"): [(OLD, "import", None)],
    ("none", "uploading"): [(OLD, "import", None)],
    ("none", "there"): [(OLD, "import", None)],
    ("none", "expired"): [(OLD, "import", EXPIRED)],
    ("none", "tracks"): [(OLD, "import", TRACKS)],
    ("none", "lost"): [(OLD, "import", LOST)],
    ("none", "unknown"): [(OLD, "nothing", None)],
}
# The action instead of "run" if the execution is dead or has given up.
DEAD = {"uploading": "nothing", "there": "restart", "invoked": "run", "running": "run"}

OURS = ["none", *Status]
PROVIDER_RECORDINGS = [None, *KINDS]


@cache
def ours_of(
    status: str, age: timedelta, *, stalled: bool, delivered: bool, missing: datetime | None = None
) -> Recording | None:
    if status == "none":
        return None
    began = NOON - age
    key = "delivered/a.mp4" if delivered else None
    return a_recording(
        status=Status(status), created_at=began, stalled=stalled, delivery_key=key, missing_since=missing
    )


@cache
def provider_recording_of(
    reported: tuple[ProviderStatus, str] | None, newer: timedelta = timedelta(0)
) -> ProviderRecording | None:
    if reported is None:
        return None
    url, until = (URLS | ODD_URLS)[reported[1]]
    # A recording that was not imported within Cloudflare's retention has no file.
    ended = None if reported[0].running else NOON - 9 * DAY + newer
    return a_capture(
        status=reported[0],
        invoked_at=INVOKED_AT,
        stopped_at=ended,
        download_url=url,
        url_expires_at=until,
        tracks=reported[1] == "tracks",
    )


def wanted(
    status: str,
    reported: tuple[ProviderStatus, str] | None,
    age: timedelta,
    delivered: bool,
    works: bool,
    session: datetime | None = None,
    missing: datetime | None = None,
) -> Decision:
    if status == "failed" and not delivered and reported is not None and KINDS[reported] in {"invoked", "running"}:
        # The builder's failure is `capture_failed`. A running recording disproves it, and is not stopped.
        return Decision(Action.NOTHING)
    if status not in {"none", "recording", "processing"} or (status == "none" and reported is None):
        return Decision(Action.NOTHING)
    kind = "there" if delivered else "unknown" if reported is None else KINDS[reported]
    act, failure = next((act, failure) for upto, act, failure in TABLE[status, kind] if age <= upto)
    if act == "run" and not works:
        act = DEAD[kind]
    if status == "none":
        return Decision(Action(act), failure)
    if failure is not None and act == "end":
        # An end is no negative response. Only an earlier one lets it fail at once.
        confirmed = age >= 10 * MINUTE and missing == CONFIRMED
        return Decision(Action.FAIL, failure, missing) if confirmed else Decision(Action.END)
    if failure is not None:
        confirmed = act == "fail" or (age >= 10 * MINUTE and missing == CONFIRMED)
        return Decision(Action.FAIL if confirmed else Action(act), failure if confirmed else None, missing or NOON)
    if (status, kind, act, session) == ("recording", "running", "nothing", SESSIONS[-1]):
        act = "stop"
    return Decision(Action(act), failure)


def every_case() -> Iterator[tuple[str, tuple[ProviderStatus, str] | None, timedelta, bool, bool, bool]]:
    return product(OURS, PROVIDER_RECORDINGS, AGES, (False, True), (False, True), (False, True))


@pytest.mark.no_cover
def test_every_decision_is_the_one_in_the_table() -> None:
    seen = 0
    distinctions = [*product(SESSIONS, NEWER, [None]), *product([None], [DAY], MISSING[1:])]
    for (status, reported, age, delivered, running_now, stalled), (session, newer, missing) in product(
        every_case(), distinctions
    ):
        recording = ours_of(status, age, stalled=stalled, delivered=delivered, missing=missing)
        provider_recording = provider_recording_of(reported, newer)
        verdict = reconcile(
            recording,
            provider_recording,
            delivered=delivered,
            now=NOON,
            is_running=running_now,
            session_ended_at=session,
        )
        assert verdict == wanted(status, reported, age, delivered, running_now and not stalled, session, missing), (
            status,
            reported,
            str(age),
            delivered,
            running_now,
            stalled,
            session,
            newer,
            missing,
        )
        seen += 1
    assert seen == 6 * len(PROVIDER_RECORDINGS) * len(AGES) * 8 * len(distinctions)


# The status after each action. The others do not change it.
INTO = {Action.END: Status.PROCESSING, Action.FAIL: Status.FAILED}


def test_no_decision_leads_back_or_outside_the_lifecycle() -> None:
    for status, reported, age, delivered, running_now, stalled in every_case():
        recording = ours_of(status, age, stalled=stalled, delivered=delivered)
        verdict = reconcile(
            recording, provider_recording_of(reported), delivered=delivered, now=NOON, is_running=running_now
        )
        assert (verdict.action is Action.IMPORT) <= (recording is None), (status, reported)
        assert (verdict.failure is not None) <= (verdict.action in {Action.FAIL, Action.IMPORT})
        if recording is None:
            continue
        assert (verdict.action is Action.FAIL) <= (verdict.failure is not None)
        if verdict.action in INTO:
            assert INTO[verdict.action] in TRANSITIONS[recording.status].values(), (status, reported, verdict)
        if verdict.action in {Action.RUN, Action.RESTART}:
            assert recording.status is Status.PROCESSING


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        (ProviderStatus.INVOKED, Decision(Action.NOTHING)),
        (ProviderStatus.RECORDING, Decision(Action.NOTHING)),
        (ProviderStatus.PAUSED, Decision(Action.NOTHING)),
        (ProviderStatus.UPLOADING, Decision(Action.NOTHING)),
        (ProviderStatus.UPLOADED, Decision(Action.IMPORT, TRACKS)),
        (ProviderStatus.ERRORED, Decision(Action.IMPORT, TRACKS)),
    ],
)
def test_an_unknown_track_recording_locks_no_room_and_is_imported_as_failed(
    status: ProviderStatus, wanted: Decision
) -> None:
    assert reconcile(None, a_capture(status=status, tracks=True), now=NOON) == wanted


@pytest.mark.parametrize("status", [Status.READY, Status.ARCHIVED])
def test_a_final_recording_never_changes(status: Status) -> None:
    for reported, age, running_now, stalled in product(PROVIDER_RECORDINGS, AGES, (False, True), (False, True)):
        recording = ours_of(status, age, stalled=stalled, delivered=False)
        assert reconcile(recording, provider_recording_of(reported), now=NOON, is_running=running_now) == Decision(
            Action.NOTHING
        )


def test_a_recording_with_a_file_never_fails() -> None:
    for status, reported, age, delivered, running_now in product(
        ("recording", "processing"), PROVIDER_RECORDINGS, AGES, (False, True), (False, True)
    ):
        there = delivered or (reported is not None and KINDS[reported] == "there")
        if there:
            recording = ours_of(status, age, stalled=False, delivered=delivered)
            verdict = reconcile(
                recording, provider_recording_of(reported), delivered=delivered, now=NOON, is_running=running_now
            )
            assert verdict.action in {Action.END, Action.RUN, Action.RESTART}, (status, reported, age, delivered)


def test_the_upload_deadline_counts_from_the_end_that_cloudflare_reports() -> None:
    def act(stopped_at: datetime) -> Action:
        recording = a_recording(
            status=Status.PROCESSING, created_at=NOON - 8 * DAY, stopped_at=stopped_at, missing_since=CONFIRMED
        )
        return reconcile(recording, a_capture(status=ProviderStatus.UPLOADING), now=NOON).action

    assert act(NOON - 7 * DAY) is Action.RUN
    assert act(NOON - 7 * DAY - SECOND) is Action.FAIL


@pytest.mark.parametrize(
    ("failure", "act"),
    [
        (NEVER_BEGAN, Action.STOP),
        (NEVER_UPLOADED, Action.STOP),
        (TRACKS, Action.STOP),
        (None, Action.STOP),
        (LOST, Action.NOTHING),
        (EXPIRED, Action.NOTHING),
    ],
)
@pytest.mark.parametrize("status", [ProviderStatus.INVOKED, ProviderStatus.RECORDING, ProviderStatus.PAUSED])
def test_a_failed_recording_that_runs_is_stopped_unless_it_disproves_the_failure(
    failure: Failure | None, act: Action, status: ProviderStatus
) -> None:
    recording = a_recording(status=Status.FAILED, failure=failure, created_at=NOON - DAY)
    assert reconcile(recording, a_capture(status=status), now=NOON).action is act


@pytest.mark.parametrize("url", ["no file", "expired"])
@pytest.mark.parametrize(("age", "failure"), [(7 * DAY, None), (7 * DAY + SECOND, EXPIRED)])
def test_an_import_does_not_fail_while_cloudflare_may_have_the_file(
    url: str, age: timedelta, failure: Failure | None
) -> None:
    named, until = URLS[url]
    provider_recording = a_capture(
        status=ProviderStatus.UPLOADED,
        invoked_at=NOON - age - DAY,
        stopped_at=NOON - age,
        download_url=named,
        url_expires_at=until,
    )
    assert reconcile(None, provider_recording, now=NOON) == Decision(Action.IMPORT, failure)


@pytest.mark.parametrize("status", [Status.RECORDING, Status.PROCESSING])
def test_no_young_recording_fails_for_a_missing_response(status: Status) -> None:
    # An old `missing_since`, as after an import. The recording must be old enough as well.
    for age, act in ((10 * MINUTE - SECOND, Action.NOTHING), (10 * MINUTE, Action.FAIL)):
        recording = a_recording(status=status, created_at=NOON - age, missing_since=NOON - DAY)
        assert reconcile(recording, None, now=NOON).action is act


def test_the_interval_of_the_second_response_is_configurable() -> None:
    recording = a_recording(status=Status.PROCESSING, created_at=NOON - 5 * SECOND, missing_since=NOON - 5 * SECOND)
    assert reconcile(recording, None, now=NOON, deadlines=Deadlines(second_look=5 * SECOND)).action is Action.FAIL
    assert reconcile(recording, None, now=NOON, deadlines=Deadlines(second_look=6 * SECOND)).action is Action.NOTHING


def test_a_positive_response_resets_a_negative_one() -> None:
    recording = a_recording(status=Status.RECORDING, created_at=NOON - DAY / 2, missing_since=NOON - SECOND)
    assert reconcile(recording, a_capture(status=ProviderStatus.RECORDING), now=NOON) == Decision(Action.NOTHING)
    recording = a_recording(status=Status.PROCESSING, created_at=NOON - DAY / 2, missing_since=NOON - DAY / 4)
    assert reconcile(recording, a_capture(status=ProviderStatus.UPLOADING), now=NOON) == Decision(Action.RUN)
    assert reconcile(recording, None, delivered=True, now=NOON) == Decision(Action.RUN)
