import pickle
from typing import Any

import pytest
from recordings_client import errors
from recordings_client.errors import (
    InvalidRequest,
    NotReady,
    NotReadyInTime,
    RecordingsError,
    RoomAlreadyRecording,
)
from recordings_client.models import Status
from recordings_client.policy import Policy

from tests.integration.client.support import BLOCKER, Caller, Reply, Script, problem

ONCE = Policy(retries=0)
# Both clients share the code that makes errors of responses.
CALL = Caller("blocking")

BY_CODE: list[tuple[int, str, type[RecordingsError]]] = [
    (400, "invalid_request", errors.InvalidRequest),
    (400, "recording_not_archivable", errors.RecordingNotArchivable),
    (400, "recording_not_archived", errors.RecordingNotArchived),
    (400, "recording_not_recoverable", errors.RecordingNotRecoverable),
    (403, "scope_missing", errors.ScopeMissing),
    (403, "tenant_missing", errors.TenantMissing),
    (403, "tenant_invalid", errors.TenantInvalid),
    (403, "actor_missing", errors.ActorMissing),
    (404, "not_found", errors.NotFound),
    (404, "room_not_found", errors.RoomNotFound),
    (404, "recording_not_found", errors.RecordingNotFound),
    (404, "no_active_recording", errors.NoActiveRecording),
    (409, "room_already_recording", errors.RoomAlreadyRecording),
    (409, "room_recording", errors.RoomRecording),
    (409, "meeting_in_use", errors.MeetingInUse),
    (409, "recording_in_progress", errors.RecordingInProgress),
    (409, "recording_failed", errors.RecordingFailed),
    (409, "transition_not_allowed", errors.TransitionNotAllowed),
    (409, "concurrent_update", errors.ConcurrentUpdate),
    (409, "request_in_progress", errors.RequestInProgress),
    (409, "conflict", errors.Conflict),
    (400, "not_possible", errors.NotPossible),
    (413, "body_too_large", errors.BodyTooLarge),
    (422, "idempotency_key_reused", errors.IdempotencyKeyReused),
    (500, "internal_error", errors.InternalError),
    (502, "provider_error", errors.ProviderError),
    (503, "throttled", errors.Throttled),
    (503, "provider_throttled", errors.ProviderThrottled),
    (503, "tenant_throttled", errors.TenantThrottled),
    (504, "provider_timeout", errors.ProviderTimeout),
]

BY_STATUS: list[tuple[int, type[RecordingsError]]] = [
    (400, errors.Refused),
    (401, errors.Unauthorized),
    (403, errors.Forbidden),
    (404, errors.NotFound),
    (405, errors.Refused),
    (409, errors.Conflict),
    (413, errors.BodyTooLarge),
    (422, errors.Refused),
    (429, errors.Throttled),
    (500, errors.ServerFailure),
    (502, errors.ServerFailure),
    (503, errors.ServerFailure),
    (599, errors.ServerFailure),
    (302, errors.UnexpectedAnswer),
]


def every_class(kind: type[RecordingsError] = RecordingsError) -> set[type[RecordingsError]]:
    return {kind}.union(*(every_class(below) for below in kind.__subclasses__()))


@pytest.mark.parametrize(("status", "code", "kind"), BY_CODE)
def test_every_code_has_its_class(status: int, code: str, kind: type[RecordingsError]) -> None:
    with pytest.raises(RecordingsError) as caught:
        CALL(Script(problem(status, code, retry_after="7")), "get", "rec_1", policy=ONCE)

    error = caught.value
    assert type(error) is kind
    assert (error.code, error.status, error.detail) == (code, status, "Do this.")
    assert (error.request_id, error.retry_after) == ("request-1", 7)
    assert str(error) == f"Do this. [{code}, request request-1]"


def test_every_class_that_has_a_code_of_the_api_is_in_the_table() -> None:
    assert set(errors.BY_CODE.values()) == {kind for _, _, kind in BY_CODE}


@pytest.mark.parametrize(("status", "kind"), BY_STATUS)
def test_an_answer_without_a_code_is_known_by_its_status(status: int, kind: type[RecordingsError]) -> None:
    with pytest.raises(RecordingsError) as caught:
        CALL(Script(Reply(status, b"")), "get", "rec_1", policy=ONCE)

    assert type(caught.value) is kind
    assert caught.value.status == status
    assert str(status) in caught.value.detail
    assert caught.value.request_id is None


@pytest.mark.parametrize(
    "body",
    [b"<html>Bad</html>", b"[1]", b'"text"', b"\xff\xfe", b"[" * 100_000, {"code": 7, "detail": 7}],
    ids=["html", "array", "text", "not utf-8", "too deep", "of other types"],
)
def test_a_body_that_is_no_problem_document_changes_nothing(body: object) -> None:
    with pytest.raises(RecordingsError) as caught:
        CALL(Script(Reply(502, body)), "get", "rec_1", policy=ONCE)

    assert type(caught.value) is errors.ServerFailure
    assert (caught.value.status, caught.value.code) == (502, "server_failure")
    assert "502" in caught.value.detail


@pytest.mark.parametrize(("status", "kind"), BY_STATUS)
def test_an_unknown_code_has_the_class_of_its_status(status: int, kind: type[RecordingsError]) -> None:
    with pytest.raises(kind) as caught:
        CALL(Script(problem(status, "brand_new")), "get", "rec_1", policy=ONCE)

    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.detail) == ("brand_new", "Do this.")


def test_the_gateways_401_is_unauthorized(call: Caller) -> None:
    api = Script(Reply(401, {"message": "Unauthorized"}, {"Apigw-Requestid": "gateway-1"}))

    with pytest.raises(errors.Unauthorized) as caught:
        call(api, "start", "room_1")

    assert (caught.value.code, caught.value.detail) == ("unauthorized", "Unauthorized")
    assert caught.value.request_id == "gateway-1"
    assert len(api.requests) == 1


def test_an_invalid_request_names_the_fields(call: Caller) -> None:
    fields = [{"field": "limit", "message": "is too much"}]

    with pytest.raises(InvalidRequest) as caught:
        call(Script(problem(400, "invalid_request", errors=fields)), "list_recordings", limit=1000)

    assert [(one.field, one.message) for one in caught.value.errors] == [("limit", "is too much")]


def test_a_room_already_recording_names_the_recording(call: Caller) -> None:
    with pytest.raises(RoomAlreadyRecording) as caught:
        call(Script(problem(409, "room_already_recording", recording=BLOCKER)), "start", "room_1")

    assert caught.value.recording
    assert (caught.value.recording.id, caught.value.recording.status) == ("rec_9", Status.RECORDING)


@pytest.mark.parametrize("extra", [{}, {"recording": None, "errors": None}, {"recording": {"id": 1}, "errors": [1]}])
def test_an_error_without_details_has_none(extra: dict[str, Any]) -> None:
    assert RoomAlreadyRecording(document=extra).recording is None
    assert InvalidRequest(document=extra).errors == ()


@pytest.mark.parametrize("kind", sorted(every_class(), key=str))
def test_every_error_can_be_pickled(kind: type[RecordingsError]) -> None:
    error = pickle.loads(pickle.dumps(kind("Do this.", status=409, request_id="request-1")))

    assert type(error) is kind
    assert (error.detail, error.code, error.status, error.request_id) == ("Do this.", kind.code, 409, "request-1")


def test_no_two_classes_have_one_code() -> None:
    kinds = every_class()

    assert len({kind.code for kind in kinds}) == len(kinds)


def test_every_class_is_in_the_tree_of_the_module() -> None:
    assert errors.__doc__
    assert {kind.__name__ for kind in every_class()} <= set(errors.__doc__.replace(",", " ").split())


def test_waiting_too_long_is_a_timeout_error() -> None:
    assert issubclass(NotReadyInTime, NotReady)
    assert issubclass(NotReadyInTime, TimeoutError)
