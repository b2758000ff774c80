from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings.domain.errors import TransitionNotAllowed
from recordings.domain.lifecycle import TRANSITIONS, Command, Observation, Status, allowed, observed


def test_every_status_has_a_row() -> None:
    assert set(TRANSITIONS) == set(Status)


def test_every_status_can_be_reached() -> None:
    seen, new = set[Status](), {Status.RECORDING}
    while new:
        seen |= new
        new = {after for status in new for after in TRANSITIONS[status].values()} - seen
    assert seen == set(Status)


def test_no_transition_is_stored_that_the_contract_does_not_name() -> None:
    contract = {
        ("recording", "processing"),
        ("recording", "failed"),
        ("processing", "ready"),
        ("processing", "failed"),
        ("ready", "archived"),
        ("archived", "ready"),
    }
    assert {(before, after) for before, row in TRANSITIONS.items() for after in row.values()} == contract


@pytest.mark.parametrize(("status", "command"), [*product(Status, Command)])
def test_a_command_outside_the_table_is_refused(status: Status, command: Command) -> None:
    if command in TRANSITIONS[status]:
        assert allowed(status, command) is TRANSITIONS[status][command]
    else:
        with pytest.raises(TransitionNotAllowed, match=f"cannot {command} a recording that is {status}"):
            allowed(status, command)


@given(st.lists(st.sampled_from(Observation)))
def test_no_observation_changes_a_failed_recording(news: list[Observation]) -> None:
    status = Status.FAILED
    for observation in news:
        status = observed(status, observation)
    assert status is Status.FAILED


@given(st.sampled_from(Status), st.sampled_from(Observation))
def test_a_repeated_observation_changes_nothing(status: Status, observation: Observation) -> None:
    once = observed(status, observation)
    assert observed(once, observation) is once
