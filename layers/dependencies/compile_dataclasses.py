"""Compile the methods that the dataclasses of some packages will have, so that no cold start does.

    python compile_dataclasses.py FOLDER NAME PACKAGE...

FOLDER holds the packages. The script writes `FOLDER/NAME-dataclasses.cpython-313.bin`, which
`recordings/compiled_dataclasses.py` reads. `dataclasses` writes the source of `__init__`, `__eq__` and the like for
each class and compiles it at import. No .pyc file has this code, and the compiler takes nine tenths of the time that a
dataclass needs, which is an eighth of a cold start.

Nothing is imported, because the libraries may be those of another processor. The source of the methods depends only on
the names, options and defaults of the fields, so the script reads them and makes a class that has the same. A class
that it reads wrongly costs time only, because a function compiles what it does not find. A class that it cannot make
stops the build. Standard library only, as it runs before anything is installed. The recordings layer has a link to this
file, because SAM builds each layer from its own folder.
"""

import ast
import dataclasses
import marshal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Final

# Annotations that `dataclasses` treats otherwise than a field's.
SPECIAL: Final = {"ClassVar": ClassVar[object], "InitVar": dataclasses.InitVar[object], "KW_ONLY": dataclasses.KW_ONLY}
# The parameters of `field` whose value the source of the methods does not contain.
PLACEHOLDERS: Final[dict[str, Any]] = {"default": None, "default_factory": list, "metadata": None, "doc": None}
# `__init__` calls the first. A class that defines the second gets no generated one.
METHODS: Final = {"__post_init__", "__hash__"}


def code_of(package: Path, folder: Path) -> dict[str, bytes]:
    """Return, for each module that has dataclasses, its marshalled code objects by the source of their methods."""
    modules = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = ast.parse(path.read_bytes())
    return {
        module: marshal.dumps({source: compile(source, "<string>", "exec") for source in sources})
        for module, sources in sources_of(modules).items()
        if sources
    }


def sources_of(modules: Mapping[str, ast.Module]) -> dict[str, list[str]]:
    """Return, for each module, the sources that `dataclasses` generates for its classes."""
    nodes = {
        module: [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and _options(node) is not None]
        for module, tree in modules.items()
    }
    everywhere = {node.name: node for found in nodes.values() for node in found}
    # A base is a class of the same module, or else the class of this name in another.
    scopes = {
        node: {name: one for name, one in (everywhere | {one.name: one for one in found}).items() if one is not node}
        for found in nodes.values()
        for node in found
    }
    sources: dict[ast.ClassDef, str] = {}
    classes: dict[ast.ClassDef, type] = {}

    def make(node: ast.ClassDef) -> type:
        if node not in classes:
            scope = scopes[node]
            bases = tuple(make(scope[name]) for base in node.bases if (name := _name(base)) in scope)
            made = type(node.name, bases, {"__doc__": "", "__module__": __name__, **_namespace(node)})
            with _recording(lambda source: sources.update({node: source})):
                classes[node] = dataclasses.dataclass(**_options(node) or {})(made)
        return classes[node]

    for found in nodes.values():
        for node in found:
            make(node)
    return {module: [sources[node] for node in found] for module, found in nodes.items()}


@contextmanager
def _recording(record: Callable[[str], object]) -> Iterator[None]:
    """Call `record` with each source that `dataclasses` executes within the block."""

    def execute(source: str, namespace: dict[str, Any], local: dict[str, Any]) -> None:
        record(source)
        exec(source, namespace, local)

    dataclasses.exec = execute  # type: ignore[attr-defined]
    try:
        yield
    finally:
        del dataclasses.exec  # type: ignore[attr-defined]


def _options(node: ast.ClassDef) -> dict[str, Any] | None:
    """Return the arguments of a class's `@dataclass`; None if the class is no dataclass.

    `**options` is left out: pydantic passes `slots` so, which changes no method.
    """
    for decorator in node.decorator_list:
        call = decorator.func if isinstance(decorator, ast.Call) else decorator
        if _name(call) == "dataclass":
            keywords = decorator.keywords if isinstance(decorator, ast.Call) else []
            return {one.arg: ast.literal_eval(one.value) for one in keywords if one.arg is not None}
    return None


def _namespace(node: ast.ClassDef) -> dict[str, Any]:
    """Return what the body of a dataclass defines, with placeholders for its annotations, defaults and methods."""
    annotations: dict[str, Any] = {}
    namespace: dict[str, Any] = {"__annotations__": annotations}
    for statement in node.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            name, value = statement.target.id, statement.value
            annotations[name] = _annotation(statement.annotation)
            if value is not None:
                namespace[name] = _default(value)
        elif isinstance(statement, ast.FunctionDef) and statement.name in METHODS:
            namespace[statement.name] = object
    return namespace


def _annotation(node: ast.expr) -> object:
    root = node.value if isinstance(node, ast.Subscript) else node
    return SPECIAL.get(_name(root), object)


def _default(value: ast.expr) -> Any:
    if not isinstance(value, ast.Call) or _name(value.func) != "field":
        return None
    options = {
        one.arg: PLACEHOLDERS[one.arg] if one.arg in PLACEHOLDERS else ast.literal_eval(one.value)
        for one in value.keywords
        if one.arg is not None
    }
    return dataclasses.field(**options)


def _name(node: ast.expr) -> str:
    """Return the last part of a dotted name; an empty text for another expression."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def main(folder: Path, name: str, packages: list[str]) -> None:
    code: dict[str, bytes] = {}
    for package in packages:
        code |= code_of(folder / package, folder)
    (folder / f"{name}-dataclasses.{sys.implementation.cache_tag}.bin").write_bytes(marshal.dumps(code))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
