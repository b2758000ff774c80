import pytest
from recordings_client.errors import NotReady, NotReadyInTime, RecordingFailed, RecordingNotFound
from recordings_client.policy import Policy

from tests.integration.client.support import (
    ARCHIVED,
    LINK,
    RECORDING,
    WAIT,
    Caller,
    Reply,
    Script,
    a_recording,
    data,
    problem,
)

BUSY = Reply(202, WAIT)
COLD = Reply(202, ARCHIVED)


@pytest.fixture
def policy(call: Caller) -> Policy:
    """A clock that only waiting moves."""
    return Policy(jitter=lambda: 1.0, clock=lambda: sum(call.slept))


def in_cold_storage(state: str, until: str | None = None) -> Reply:
    archive = {"state": state, "storage_class": "GLACIER", "restored_until": until}
    return data(a_recording(status="archived", archive=archive))


def test_waiting_ends_when_the_file_is_stored(call: Caller, policy: Policy) -> None:
    api = Script(BUSY, BUSY, BUSY, Reply(200, LINK), data(RECORDING))

    found = call(api, "wait_until_ready", "rec_1", policy=policy)

    assert found.id == "rec_1"
    assert call.slept == [1, 2, 4]
    assert [request.url.path.rpartition("/")[2] for request in api.requests] == [*["download"] * 4, "rec_1"]


def test_waiting_obeys_retry_after(call: Caller, policy: Policy) -> None:
    call(
        Script(Reply(202, WAIT, {"Retry-After": "10"}), Reply(200, LINK), data(RECORDING)),
        "wait_until_ready",
        "rec_1",
        policy=policy,
    )

    assert call.slept == [10]


def test_waiting_ends_at_the_timeout_with_retry_after(call: Caller, policy: Policy) -> None:
    with pytest.raises(NotReadyInTime) as caught:
        call(Script(BUSY), "wait_until_ready", "rec_1", timeout=10, policy=policy)

    assert call.slept == [1, 2, 4, 3]
    assert caught.value.detail.startswith("The recording is not ready after 10 s: Recording is still")


def test_waiting_ends_if_retry_after_is_beyond_the_timeout(call: Caller, policy: Policy) -> None:
    with pytest.raises(NotReadyInTime) as caught:
        call(Script(Reply(202, WAIT, {"Retry-After": "11"})), "wait_until_ready", "rec_1", timeout=10, policy=policy)

    assert call.slept == []
    assert caught.value.retry_after == 11


def test_the_pauses_have_a_maximum(call: Caller, policy: Policy) -> None:
    with pytest.raises(NotReadyInTime):
        call(Script(BUSY), "wait_until_ready", "rec_1", timeout=20, longest_pause=5, policy=policy)

    assert call.slept == [1, 2, 4, 5, 5, 3]


def test_waiting_continues_during_a_restore(call: Caller, policy: Policy) -> None:
    api = Script(COLD, in_cold_storage("restoring"), Reply(200, LINK), in_cold_storage("restored"))

    found = call(api, "wait_until_ready", "rec_1", policy=policy)

    assert found.archive.state == "restored"


def test_a_restore_that_ends_between_two_requests_is_seen(call: Caller, policy: Policy) -> None:
    there = in_cold_storage("restored", "2999-01-01T00:00:00Z")

    assert call(Script(COLD, there, Reply(200, LINK), there), "wait_until_ready", "rec_1", policy=policy)


@pytest.mark.parametrize(
    "cold",
    [
        in_cold_storage("stored"),
        in_cold_storage("restored", "2000-01-01T00:00:00Z"),
        data(a_recording(status="archived", archive=None)),
    ],
    ids=["never asked", "gone again", "nothing known"],
)
def test_waiting_ends_for_an_archived_recording_without_a_restore(call: Caller, policy: Policy, cold: Reply) -> None:
    with pytest.raises(NotReady) as caught:
        call(Script(COLD, cold), "wait_until_ready", "rec_1", policy=policy)

    assert type(caught.value) is NotReady
    assert call.slept == []


@pytest.mark.parametrize(
    ("reply", "kind"),
    [(problem(409, "recording_failed"), RecordingFailed), (problem(404, "recording_not_found"), RecordingNotFound)],
)
def test_waiting_ends_for_a_failed_recording(call: Caller, policy: Policy, reply: Reply, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        call(Script(BUSY, reply), "wait_until_ready", "rec_1", policy=policy)

    assert call.slept == [1]
