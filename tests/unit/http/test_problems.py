from collections.abc import Iterator

import pytest

from recordings.domain.errors import InfrastructureError, RecordingFailed, RecordingsError, RoomNotFound
from recordings.http.problems import PROBLEMS, detail_of, row_of
from recordings.http.responses.base import MAX_DETAIL_CHARACTERS


def kinds(base: type[RecordingsError]) -> Iterator[type[RecordingsError]]:
    for kind in base.__subclasses__():
        yield kind
        yield from kinds(kind)


EVERY = [*kinds(RecordingsError)]


def test_every_domain_error_has_a_row_and_every_row_an_error() -> None:
    assert PROBLEMS.keys() == {RecordingsError, *EVERY}


@pytest.mark.parametrize("kind", EVERY)
def test_only_a_failure_of_ours_is_a_500(kind: type[RecordingsError]) -> None:
    assert (row_of(kind).status == 500) is issubclass(kind, InfrastructureError)
    assert kind.code != RecordingsError.code


@pytest.mark.parametrize("kind", EVERY)
def test_an_error_without_a_text_says_what_to_do(kind: type[RecordingsError]) -> None:
    detail = detail_of(kind())
    assert detail[0].isupper()
    assert detail.endswith(".")
    assert len(detail) <= MAX_DETAIL_CHARACTERS
    assert detail != detail_of(RecordingsError())


def test_an_error_without_a_row_of_its_own_has_the_row_of_its_base() -> None:
    class OtherRoomNotFound(RoomNotFound):
        pass

    assert row_of(OtherRoomNotFound) == PROBLEMS[RoomNotFound]


@pytest.mark.parametrize(
    ("own", "detail"), [("no such room", "No such room."), ("It is lost.", "It is lost."), ("  gone ", "Gone.")]
)
def test_the_text_of_an_error_becomes_a_sentence(own: str, detail: str) -> None:
    assert detail_of(RoomNotFound(own)) == detail
    assert detail_of(RecordingFailed(own)) == detail


def test_the_text_of_a_failure_of_ours_is_not_returned() -> None:
    assert "AccessDenied" not in detail_of(InfrastructureError("GetItem failed: AccessDenied"))
