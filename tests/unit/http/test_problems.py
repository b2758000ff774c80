from collections.abc import Iterator

import pytest

from recordings.domain.errors import InfrastructureError, RecordingFailed, RecordingsError, RoomNotFound
from recordings.http.problems import DETAIL_OF, STATUS_OF, detail_of, status_of


def kinds(of: type[RecordingsError]) -> Iterator[type[RecordingsError]]:
    for kind in of.__subclasses__():
        yield kind
        yield from kinds(kind)


EVERY = [*kinds(RecordingsError)]


@pytest.mark.parametrize("kind", EVERY)
def test_every_domain_error_is_the_callers_to_understand(kind: type[RecordingsError]) -> None:
    assert status_of(kind()) != 500 or kind is InfrastructureError
    assert kind.code != RecordingsError.code


@pytest.mark.parametrize("kind", EVERY)
def test_every_domain_error_says_what_to_do_even_without_words(kind: type[RecordingsError]) -> None:
    detail = detail_of(kind())
    assert detail[0].isupper()
    assert detail.endswith(".")
    assert detail != detail_of(RecordingsError())


@pytest.mark.parametrize("status", sorted(set(STATUS_OF.values())))
def test_every_status_is_reached(status: int) -> None:
    assert status in {status_of(kind()) for kind in EVERY}


def test_nothing_is_listed_that_is_no_error_of_ours() -> None:
    assert STATUS_OF.keys() <= set(EVERY)
    assert DETAIL_OF.keys() <= {RecordingsError, *EVERY}


def test_an_unlisted_error_is_a_bug() -> None:
    assert status_of(RecordingsError()) == 500


@pytest.mark.parametrize(
    ("own", "told"), [("no such room", "No such room."), ("It is lost.", "It is lost."), ("  gone ", "Gone.")]
)
def test_an_errors_own_words_become_one_sentence(own: str, told: str) -> None:
    assert detail_of(RoomNotFound(own)) == told
    assert detail_of(RecordingFailed(own)) == told
