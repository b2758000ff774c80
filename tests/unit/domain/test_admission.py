"""Each row of the admission table, and the pauses and the limit of attempts."""

from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest

from recordings.domain.admission import (
    DOUBTFUL_ATTEMPTS,
    FILE_INVALID,
    RULES,
    SHORT_ATTEMPTS,
    Action,
    AttemptLimits,
    Decision,
    FileEvidence,
    Proof,
    Size,
    admit,
    may_restart,
    next_attempt_at,
)
from recordings.domain.lifecycle import Status
from recordings.domain.provider_recording import ProviderStatus
from recordings.domain.reconciliation import Action as SyncAction
from recordings.domain.reconciliation import reconcile
from recordings.domain.recording import Progress, Recording
from recordings.domain.stored_file import HeldFile
from tests.support.builders import NOON, a_capture, a_file, a_recording

LIMITS = AttemptLimits(max_attempts=12, first_pause=timedelta(minutes=5), max_pause=timedelta(hours=12))
MINUTE = timedelta(minutes=1)
ANNOUNCED = [None, -1, 0, 1, 999, 1000, 1001, 10**18]


def wanted(evidence: FileEvidence, attempts: int, limits: AttemptLimits) -> Action:
    """Return the expected decision, written independently of the table."""
    announced = evidence.announced_bytes
    reported = announced is not None and announced > 0
    left = limits.max_attempts - attempts
    if evidence.expires_at is not None and NOON + limits.pause_after(attempts) >= evidence.expires_at:
        left = 0
    whole = Action.ACCEPT_PARTIAL if evidence.errored else Action.ACCEPT
    if not evidence.is_media:
        return Action.TRY_AGAIN if left > 0 else Action.GIVE_UP
    if evidence.truncated or (reported and evidence.size_bytes < (announced or 0)):
        return Action.TRY_AGAIN if left > 0 and attempts < 6 else Action.ACCEPT_PARTIAL
    if reported and evidence.size_bytes > (announced or 0) and evidence.proof is not Proof.SOURCE:
        return Action.TRY_AGAIN if left > 0 and attempts < 2 else whole
    return whole


def every_evidence() -> list[FileEvidence]:
    return [
        FileEvidence(
            is_media=media,
            size_bytes=size,
            announced_bytes=announced,
            truncated=truncated,
            errored=errored,
            proof=proof,
            expires_at=expires,
        )
        for media, size, announced, truncated, errored, proof, expires in product(
            (True, False),
            (0, 1, 1000),
            ANNOUNCED,
            (False, True),
            (False, True),
            Proof,
            (None, NOON - MINUTE, NOON + 5 * MINUTE, NOON + timedelta(days=7)),
        )
    ]


@pytest.mark.parametrize("most", [1, 2, 3, 12, 100])
def test_every_decision_is_the_one_in_the_table(most: int) -> None:
    limits = replace(LIMITS, max_attempts=most)
    for evidence in every_evidence():
        for attempts in (1, 2, 5, 6, 7, 11, 12, 13):
            decision = admit(evidence, attempts=attempts, now=NOON, limits=limits)
            assert decision.action is wanted(evidence, attempts, limits), (evidence, attempts)
            assert (decision.next_attempt_at is not None) == (decision.action is Action.TRY_AGAIN)
            assert decision.failure == (FILE_INVALID if decision.action is Action.GIVE_UP else None)


@pytest.mark.parametrize("most", [1, 3, 12])
def test_no_media_is_never_accepted_and_a_short_file_only_as_partial(most: int) -> None:
    limits = replace(LIMITS, max_attempts=most)
    for evidence in every_evidence():
        for attempts in range(1, 15):
            action = admit(evidence, attempts=attempts, now=NOON, limits=limits).action
            if not evidence.is_media:
                assert action in {Action.TRY_AGAIN, Action.GIVE_UP}
            elif evidence.size is Size.SHORT:
                assert action in {Action.TRY_AGAIN, Action.ACCEPT_PARTIAL}
            else:
                assert action is not Action.GIVE_UP
            if evidence.errored:
                assert action is not Action.ACCEPT
            # There is always an end.
            assert attempts < most or action is not Action.TRY_AGAIN


def test_the_table_has_a_rule_for_every_case() -> None:
    assert RULES.keys() == set(product((True, False), Size, (True, False)))
    assert (SHORT_ATTEMPTS, DOUBTFUL_ATTEMPTS) == (6, 2)


def test_the_next_attempt_comes_after_the_pause() -> None:
    evidence = FileEvidence(is_media=False, size_bytes=5, announced_bytes=None)
    assert admit(evidence, attempts=3, now=NOON, limits=LIMITS) == Decision(Action.TRY_AGAIN, NOON + 20 * MINUTE)


def test_pauses_double_up_to_the_maximum() -> None:
    pauses = [LIMITS.pause_after(attempts) for attempts in range(1, 13)]
    assert [pause // MINUTE for pause in pauses] == [5, 10, 20, 40, 80, 160, 320, 640, 720, 720, 720, 720]
    for limits in (LIMITS, AttemptLimits(first_pause=timedelta(seconds=1)), AttemptLimits(first_pause=timedelta(12))):
        assert limits.pause_after(10**9) == limits.max_pause
        assert limits.pause_after(0) == limits.pause_after(1)


def processing(**changes: object) -> Recording:
    return a_recording(status=Status.PROCESSING, stopped_at=NOON, **changes)


def failed(attempts: int, due: timedelta | None) -> Recording:
    at = NOON + due if due is not None else None
    progress = Progress(step="stalled", attempt=attempts, next_step_due=at)
    return processing(attempt=attempts, automatic_attempts=attempts, stalled=True, progress=progress)


def test_a_failed_attempt_is_followed_by_another_up_to_the_limit() -> None:
    for attempts in range(1, 15):
        due = next_attempt_at(failed(attempts, None), now=NOON, limits=LIMITS)
        assert due == (NOON + LIMITS.pause_after(attempts) if attempts < 12 else None)


@pytest.mark.parametrize(("seconds", "may"), [(-1, False), (0, True), (1, True)])
def test_a_restart_waits_for_its_time(seconds: int, may: bool) -> None:
    now = NOON + timedelta(hours=1, seconds=seconds)
    assert may_restart(failed(3, timedelta(hours=1)), now=now, limits=LIMITS) is may


@pytest.mark.parametrize(
    ("attempts", "seconds", "may"), [(1, 299, False), (1, 300, True), (4, 2399, False), (4, 2400, True)]
)
@pytest.mark.parametrize("recovered", [False, True])
def test_the_pause_after_an_attempt_that_died_is_counted_from_its_beginning(
    attempts: int, seconds: int, may: bool, recovered: bool
) -> None:
    began = timedelta(hours=3) if recovered else timedelta(0)
    dead = processing(automatic_attempts=attempts, recovered_at=NOON + began if recovered else None)
    assert may_restart(dead, now=NOON + began + timedelta(seconds=seconds), limits=LIMITS) is may


def test_restarts_are_limited_with_one_more_for_a_delivered_file() -> None:
    later = NOON + timedelta(days=5)
    assert [n for n in range(1, 20) if may_restart(failed(n, timedelta(0)), now=later, limits=LIMITS)] == [
        *range(1, 12)
    ]
    last = [n for n in range(1, 20) if may_restart(failed(n, timedelta(0)), now=later, limits=LIMITS, last_chance=True)]
    assert last == [*range(1, 13)]


def test_an_attempt_that_a_person_asks_for_is_not_counted() -> None:
    recording = failed(12, None)
    assert recording.recovered(at=NOON).automatic_attempts == 12
    assert recording.recovered(at=NOON, automatic=True).automatic_attempts == 13


def test_only_a_failed_attempt_has_a_next_one() -> None:
    assert failed(1, MINUTE).next_attempt_at == NOON + MINUTE
    assert failed(1, None).next_attempt_at is None
    assert replace(failed(1, MINUTE), stalled=False).next_attempt_at is None
    assert processing(stalled=True, progress=None).next_attempt_at is None


def test_held_media_becomes_the_file_instead_of_a_failure() -> None:
    recording = processing(held=HeldFile(a_file(), 7))
    after = recording.failed(FILE_INVALID, at=NOON, cause="file_invalid")
    assert (after.status, after.partial, after.file, after.duration_seconds) == (Status.READY, True, a_file(), 7)
    assert (after.failure, after.held, after.history[-1].cause) == (None, None, "file_incomplete")
    assert after.version == recording.version + 1
    assert after.failed(FILE_INVALID, at=NOON, cause="x") is after


def test_only_a_recording_in_processing_is_retried() -> None:
    for status in Status:
        recording = a_recording(status=status)
        after = recording.retry_scheduled(at=NOON, held=None)
        assert (after is recording) == (status is not Status.PROCESSING)
    after = processing().retry_scheduled(at=NOON + MINUTE, held=None)
    assert (after.status, after.stalled, after.next_attempt_at) == (Status.PROCESSING, True, NOON + MINUTE)


@pytest.mark.parametrize(
    ("attempts", "delivered", "action"),
    [
        (1, False, SyncAction.RESTART),
        (11, False, SyncAction.RESTART),
        (12, False, SyncAction.NOTHING),
        # Cloudflare's copy is gone, and the delivered file is not accepted yet.
        (12, True, SyncAction.RESTART),
        (13, True, SyncAction.FAIL),
    ],
)
def test_reconciliation_respects_the_limit_of_attempts(attempts: int, delivered: bool, action: SyncAction) -> None:
    there = a_capture(status=ProviderStatus.UPLOADED, download_url="https://files/1")
    provider_recording = None if delivered else there
    decision = reconcile(
        failed(attempts, timedelta(0)), provider_recording, now=NOON + timedelta(hours=1), delivered=delivered
    )
    assert decision.action is action
    assert (decision.failure is not None) == (action is SyncAction.FAIL)
    assert (
        reconcile(failed(1, 2 * MINUTE), provider_recording, now=NOON + MINUTE, delivered=delivered).action
        is SyncAction.NOTHING
    )
