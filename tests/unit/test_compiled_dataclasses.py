"""`dataclasses` executes the code that the layers have compiled, and compiles what they do not have."""

import dataclasses
import marshal
import sys
from pathlib import Path

import pytest

from recordings.compiled_dataclasses import use_compiled_dataclasses

# Where code is from that `dataclasses` compiled, and code of the layers in these tests.
GENERATED, COMPILED = "<string>", "<compiled>"


@pytest.fixture
def layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of layers on the path. The module `dataclasses` is as it was after the test."""
    monkeypatch.setattr(dataclasses, "exec", exec, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def store(layer: Path, name: str, module: str, *sources: str) -> None:
    code = {source: compile(source, COMPILED, "exec") for source in sources}
    path = layer / f"{name}-dataclasses.{sys.implementation.cache_tag}.bin"
    path.write_bytes(marshal.dumps({module: marshal.dumps(code)}))


def generated(*fields: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The source that `dataclasses` writes for a class with these fields."""
    found = []

    def record(source: str, *namespaces: dict[str, object]) -> None:
        found.append(source)
        exec(source, *namespaces)

    with monkeypatch.context() as patch:
        patch.setattr(dataclasses, "exec", record)
        dataclasses.make_dataclass("Recorded", fields, frozen=True)
    (source,) = found
    return source


def made(*fields: str) -> type:
    """A dataclass of this module with these fields."""
    return dataclasses.make_dataclass("Made", fields, frozen=True, module=__name__)


def origin(cls: type) -> str:
    """The file of a class's generated methods."""
    filename: str = cls.__init__.__code__.co_filename  # type: ignore[misc]
    return filename


@pytest.mark.parametrize("name", ["recordings", "dependencies"])
def test_a_dataclass_gets_the_code_that_a_layer_has(layer: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store(layer, name, __name__, generated("first", "second", monkeypatch=monkeypatch))

    use_compiled_dataclasses()
    cls = made("first", "second")

    assert origin(cls) == COMPILED
    assert cls(1, second=2) == cls(first=1, second=2) != cls(1, 3)
    assert repr(cls(1, 2)) == "Made(first=1, second=2)"
    with pytest.raises(dataclasses.FrozenInstanceError):
        cls(1, 2).first = 3


def test_another_source_is_compiled(layer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store(layer, "recordings", __name__, generated("first", "second", monkeypatch=monkeypatch))

    use_compiled_dataclasses()

    assert origin(made("first", "third")) == GENERATED
    assert origin(made("first", "second")) == COMPILED


def test_the_code_of_another_module_is_not_read(layer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store(layer, "recordings", "recordings.domain.never", generated("first", monkeypatch=monkeypatch))

    use_compiled_dataclasses()

    assert origin(made("first")) == GENERATED


def test_without_a_layer_dataclasses_stays_as_it_is(layer: Path) -> None:
    use_compiled_dataclasses()

    assert vars(dataclasses)["exec"] is exec
