"""Lint the state machines, and run each on its examples so that every expression in it is evaluated.

    .venv/bin/python -m tools.checks.machines [folder]

The folder holds `<machine>.asl.json` and `examples/<machine>.json`. First statelint checks the definition against the
Amazon States Language. Then each example is run as an execution. It says what the tasks return (`gives`) or which error
they fail with (`fails`), and in which state the execution ends. The check reports

- an expression that fails or returns nothing: both end an execution (Step Functions Developer Guide, "Transforming data
  with JSONata");
- a path that is in no example, even if the expression returns something without it, as a comparison does;
- a variable that no earlier state has assigned;
- a task whose payload has other keys than the example event of its function;
- a state, a rule of a Choice, a default or a Catch that no example takes.

Prints what it found, and exits with 1 if that is anything.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import jsonata
from statelint.config import Config
from statelint.linter import Linter
from statelint.problem import ProblemType

type Json = dict[str, Any]

ROOT: Final = Path(__file__).resolve().parents[2]
# A whole number is a number: Step Functions takes a BackoffRate of 2.
IGNORED: Final = {ProblemType.FLOAT}
# No example needs as many states. The limit ends a machine that never ends.
MAX_STEPS: Final = 500
EXPRESSION: Final = re.compile(r"^\{%(.*)%\}$", re.DOTALL)
LITERAL: Final = re.compile(r"'[^']*'|\"[^\"]*\"")
PATH: Final = re.compile(r"\$\w+(?:\.\w+)*(?!\w*\s*\()")
FUNCTION: Final = re.compile(r"^\$\{(\w+)Arn\}$")


class ExpressionFault(Exception):
    """An expression that ends the execution. The text says which one and why."""


class TaskFailed(Exception):
    """An example's task fails. `name` is the error's."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def parts(value: Any) -> Iterator[str]:
    """Yield the expressions within a field, without their delimiters."""
    if isinstance(value, str) and (found := EXPRESSION.match(value)):
        yield found[1].strip()
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from parts(inner)


def evaluate(expression: str, bindings: Mapping[str, Any]) -> Any:
    """Return the value of an expression. Raises ExpressionFault if it fails or has no value."""
    # To the library None means "no value". It has another value for null.
    bound = {name: jsonata.utils.Utils.NULL_VALUE if value is None else value for name, value in bindings.items()}
    try:
        value = jsonata.Jsonata.jsonata(expression).evaluate(None, bound)
        there = value is not None or jsonata.Jsonata.jsonata(f"$exists(({expression}))").evaluate(None, bound)
    except Exception as error:  # the library raises exceptions of many classes
        raise ExpressionFault(f"{{% {expression} %}} fails: {error}") from None
    if not there:
        raise ExpressionFault(f"{{% {expression} %}} gives nothing")
    return value


def difference(sent: Any, wanted: Any, at: str = "") -> Iterator[str]:
    """Yield the keys that only one of two documents has. A null in one matches anything in the other."""
    if not isinstance(sent, dict) or not isinstance(wanted, dict):
        return
    for name in sorted(sent.keys() ^ wanted.keys()):
        yield f"{at}{name} is {'not read' if name in sent else 'not sent'}"
    for name in sorted(sent.keys() & wanted.keys()):
        yield from difference(sent[name], wanted[name], f"{at}{name}.")


@dataclass(slots=True)
class Coverage:
    """What the examples of one machine have taken, and which paths they had."""

    taken: set[str] = field(default_factory=set)
    paths: dict[tuple[str, str], bool] = field(default_factory=dict)


@dataclass(slots=True)
class Execution:
    """One example, run as an execution. `check_payload` yields what is wrong with what a task sends."""

    example: Json
    defaults: Json
    check_payload: Callable[[str, Any], Iterable[str]]
    coverage: Coverage
    faults: list[str]
    used: dict[str, int] = field(default_factory=dict)
    variables: Json = field(default_factory=dict)

    def run(self, machine: Json) -> str:
        """Return the name of the last state. Raises ExpressionFault, or TaskFailed if nothing catches an error."""
        return self._states(machine, self.example["input"], "")[0]

    def _states(self, machine: Json, data: Any, inside: str, item: Json | None = None) -> tuple[str, Any]:
        name, steps = machine["StartAt"], 0
        while True:
            steps += 1
            if steps > MAX_STEPS:
                raise ExpressionFault(f"no end after {MAX_STEPS} states")
            self.coverage.taken.add(inside + name)
            state = machine["States"][name]
            following, data = self._state(inside + name, state, data, item)
            if following is None:
                return name, data
            name = following

    def _state(self, at: str, state: Json, data: Any, item: Json | None) -> tuple[str | None, Any]:
        context = self._context(at, state, item)
        known = {"input": data, "context": context}
        match state["Type"]:
            case "Choice":
                return self._choice(at, state, data, known)
            case "Fail":
                self._template(at, [state.get("Error"), state.get("Cause")], known)
                return None, data
            case "Succeed":
                return None, self._template(at, state.get("Output", data), known)
            case "Pass":
                output = self._template(at, state.get("Output", data), known)
                self._assign(at, state, known)
                return state.get("Next"), output
        try:
            result = self._task(at, state, known) if state["Type"] == "Task" else self._map(at, state, data, known)
        except TaskFailed as failed:
            return self._caught(at, state, failed, known)
        known["result"] = result
        output = self._template(at, state["Output"], known) if "Output" in state else result
        self._assign(at, state, known)
        return state.get("Next"), output

    def _context(self, at: str, state: Json, item: Json | None) -> Json:
        context: Json = {
            "Execution": {
                "Id": "arn:aws:states:eu-central-1:111122223333:execution:machine:example",
                "Input": self.example["input"],
                "Name": "example",
                "StartTime": "2026-01-06T10:30:00Z",
            },
            "State": {"Name": at.rpartition("/")[2], "EnteredTime": "2026-01-06T10:30:00Z", "RetryCount": 0},
        }
        if ".waitForTaskToken" in state.get("Resource", ""):
            context["Task"] = {"Token": "AQCEAAAAKgAAAAMAAAAA"}
        if item is not None:
            context["Map"] = {"Item": item}
        return context

    def _choice(self, at: str, state: Json, data: Any, known: Json) -> tuple[str, Any]:
        for number, rule in enumerate(state["Choices"]):
            response = self._template(at, rule["Condition"], known)
            if not isinstance(response, bool):
                raise ExpressionFault(f"{at}: {rule['Condition']} is {response!r} and not true or false")
            if response:
                self.coverage.taken.add(f"{at} rule {number + 1}")
                self._assign(at, rule, known)
                return rule["Next"], self._template(at, rule.get("Output", data), known)
        self.coverage.taken.add(f"{at} default")
        self._assign(at, state, known)
        return state["Default"], data

    def _task(self, at: str, state: Json, known: Json) -> Any:
        arguments = self._template(at, state["Arguments"], known)
        named = FUNCTION.match(str(arguments["FunctionName"]))
        if named is None:
            raise ExpressionFault(f"{at}: {arguments['FunctionName']} is no function of the template")
        function = named[1]
        faults = self.check_payload(function, arguments["Payload"])
        self.faults += [f"{at}, payload of {function}: {fault}" for fault in faults]
        given = self.example.get("tasks", {}).get(function, [])
        turn = self.used.get(function, 0)
        self.used[function] = turn + 1
        response = given[turn] if turn < len(given) else self.defaults.get(function)
        if response is None:
            raise ExpressionFault(f"{at}: no example says what {function} gives")
        if "fails" in response:
            raise TaskFailed(response["fails"])
        gives = response["gives"]
        waits = ".waitForTaskToken" in state["Resource"]
        return gives if waits else {"Payload": gives, "StatusCode": 200, "ExecutedVersion": "1"}

    def _map(self, at: str, state: Json, data: Any, known: Json) -> list[Any]:
        items = self._template(at, state["Items"], known)
        if not isinstance(items, list):
            raise ExpressionFault(f"{at}: {state['Items']} is no list")
        outer, results = self.variables, []
        for index, value in enumerate(items):
            item = {"Index": index, "Value": value}
            context = {**known["context"], "Map": {"Item": item}}
            selected = self._template(at, state.get("ItemSelector", value), {**known, "context": context})
            self.variables = dict(outer)
            results.append(self._states(state["ItemProcessor"], selected, f"{at}/", item)[1])
        self.variables = outer
        return results

    def _caught(self, at: str, state: Json, failed: TaskFailed, known: Json) -> tuple[str, Any]:
        for number, rule in enumerate(state.get("Catch", [])):
            if {failed.name, "States.ALL"} & set(rule["ErrorEquals"]):
                self.coverage.taken.add(f"{at} catch {number + 1}")
                error = {"Error": failed.name, "Cause": "{}"}
                known["errorOutput"] = error
                output = self._template(at, rule.get("Output", error), known)
                self._assign(at, rule, known)
                return rule["Next"], output
        raise failed

    def _assign(self, at: str, rule: Json, known: Json) -> None:
        # All expressions of an Assign see the variables as they were before.
        self.variables = self.variables | self._template(at, rule.get("Assign", {}), known)

    def _template(self, at: str, value: Any, known: Json) -> Any:
        """Return a field with its expressions replaced by their values."""
        if isinstance(value, dict):
            return {name: self._template(at, inner, known) for name, inner in value.items()}
        if isinstance(value, list):
            return [self._template(at, inner, known) for inner in value]
        for expression in parts(value):
            bindings = {**self.variables, "states": known}
            self._look_at_paths(at, expression, bindings)
            try:
                return evaluate(expression, bindings)
            except ExpressionFault as fault:
                raise ExpressionFault(f"{at}: {fault}") from None
        return value

    def _look_at_paths(self, at: str, expression: str, bindings: Json) -> None:
        for path in PATH.findall(LITERAL.sub("''", expression)):
            name = path[1:].partition(".")[0]
            if name not in bindings:
                raise ExpressionFault(f"{at}: ${name} in {{% {expression} %}} is no variable")
            there = "." not in path
            if not there:
                try:
                    evaluate(path, bindings)
                    there = True
                except ExpressionFault:
                    if f"$exists({path})" not in expression:
                        self.faults.append(f"{at}: {path} in {{% {expression} %}} is not there")
                        there = True
            key = (at, path)
            self.coverage.paths[key] = self.coverage.paths.get(key, False) or there


def ways(machine: Json, inside: str = "") -> Iterator[str]:
    """Yield all that an example can take in a machine: states, rules, defaults and catches."""
    for name, state in machine["States"].items():
        at = inside + name
        yield at
        for number in range(len(state.get("Choices", []))):
            yield f"{at} rule {number + 1}"
        if "Default" in state:
            yield f"{at} default"
        for number in range(len(state.get("Catch", []))):
            yield f"{at} catch {number + 1}"
        if "ItemProcessor" in state:
            yield from ways(state["ItemProcessor"], f"{at}/")


def event_of(function: str) -> Any:
    """Return the example event of a function."""
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", function).lower()
    path = ROOT / "events" / f"{name}.json"
    if not path.exists():
        raise ExpressionFault(f"there is no function {function}: {path.name} is missing")
    return json.loads(path.read_text())


def faults(machine: Json, examples: Json) -> list[str]:
    """Return what is wrong with a machine: what statelint reports, or else what its examples show."""
    found: list[str] = Linter.validate(machine, Config(IGNORED, False, True))
    if found:
        # An invalid definition cannot be run.
        return found
    coverage = Coverage()
    payloads = examples.get("payloads", {})

    def check_payload(function: str, sent: Any) -> Iterator[str]:
        return difference(sent, payloads[function] if function in payloads else event_of(function))

    for example in examples["executions"]:
        try:
            end, why = Execution(example, examples["tasks"], check_payload, coverage, found).run(machine), ""
        except TaskFailed as failed:
            end, why = "an error that nothing catches", f": {failed}"
        except ExpressionFault as fault:
            end, why = "a fault", f": {fault}"
        if end != example["ends"]:
            found.append(f"{example['name']}: ends in {end} and not in {example['ends']}{why}")
    found += [f"{path} of {at} is in no example" for (at, path), there in coverage.paths.items() if not there]
    found += [f"no example takes {way}" for way in ways(machine) if way not in coverage.taken]
    return list(dict.fromkeys(found))


def main(arguments: Iterable[str]) -> int:
    """Check all machines of a folder."""
    folder = Path(next(iter(arguments), ROOT / "statemachines"))
    code = 0
    for path in sorted(folder.glob("*.asl.json")):
        name = path.name.removesuffix(".asl.json")
        examples = json.loads((folder / "examples" / f"{name}.json").read_text())
        for fault in faults(json.loads(path.read_text()), examples):
            print(f"{path.name}: {fault}")
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
