"""Transitions of an execution, counted in the definition of its state machine."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

MACHINES: Final = Path(__file__).parents[3] / "statemachines"


def definition_of(machine: str) -> dict[str, Any]:
    """Return the definition of a state machine by its file's name."""
    definition: dict[str, Any] = json.loads((MACHINES / f"{machine}.asl.json").read_text())
    return definition


def transitions(definition: Mapping[str, Any], *, chosen: Mapping[str, Sequence[str]], items: Mapping[str, int]) -> int:
    """Return how many states an execution enters. Each is a transition that is paid for.

    `chosen` has the next states of each choice, one for each time that it is entered; `items` how many items each map
    processes.

    Raises:
        ValueError: a choice cannot lead there
    """
    entered = {name: iter(nexts) for name, nexts in chosen.items()}
    states, name, count = definition["States"], definition["StartAt"], 0
    while name is not None:
        state = states[name]
        count += 1
        match state["Type"]:
            case "Map":
                count += items[name] * transitions(state["ItemProcessor"], chosen={}, items={})
                name = state.get("Next")
            case "Choice":
                following = next(entered[name])
                if following not in {state.get("Default"), *(choice["Next"] for choice in state["Choices"])}:
                    raise ValueError(f"{name} does not lead to {following}")
                name = following
            case _:
                name = state.get("Next")
    return count


def of_processing(segments: int) -> int:
    """Of a recording whose file is not uploaded at first: a webhook has it checked again."""
    return transitions(
        definition_of("processing"),
        chosen={"IsUploaded": ["CheckUpload", "PlanTransfer"], "IsVerified": ["VerifyTransfer"]},
        items={"CopySegments": segments},
    )


def of_archiving(segments: int) -> int:
    """Of a move whose copy is verified by its checksums."""
    return transitions(
        definition_of("archiving"),
        chosen={"IsMoveDecided": ["PlanArchive"], "HasFileMoved": ["CopySegments"], "IsVerified": ["FinishArchive"]},
        items={"CopySegments": segments},
    )


def of_idle_sync() -> int:
    """Of a sync that finds nothing new on one page."""
    return transitions(
        definition_of("sync"),
        chosen={"HasLease": ["ScanProviderRecordings"], "HasMorePages": ["EndSync"]},
        items={"ReconcileBatches": 0},
    )
