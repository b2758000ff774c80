"""Remove from pydantic what only type checkers read.

    python prune_pydantic.py PACKAGES

PACKAGES is the folder that holds `pydantic_core`. Its `core_schema` describes schemas as 70 TypedDict classes. Python
compiles the text of each of their annotations when it imports the module, which is a twentieth of a cold start, and
nothing reads them: a TypedDict is a dict. The classes stay, because other annotations name them, and so do the line
numbers. Standard library only: it runs in the build, before anything is installed.
"""

import ast
import sys
from pathlib import Path
from typing import Final

CORE_SCHEMA: Final = Path("pydantic_core/core_schema.py")


def without_fields(source: str) -> str:
    """Return a module in which each TypedDict has its docstring and no field. Empty lines take the fields' place."""
    lines = source.splitlines(keepends=True)
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.ClassDef) or not any(_is_typed_dict(base) for base in node.bases):
            continue
        fields = [statement for statement in node.body if isinstance(statement, ast.AnnAssign)]
        for field in fields:
            # `end_lineno` is None only in a tree that was not parsed.
            for number in range(field.lineno, (field.end_lineno or field.lineno) + 1):
                lines[number - 1] = "\n"
        if fields == node.body:
            lines[fields[0].lineno - 1] = f"{' ' * fields[0].col_offset}pass\n"
    return "".join(lines)


def _is_typed_dict(base: ast.expr) -> bool:
    return isinstance(base, ast.Name) and base.id == "TypedDict"


def main(packages: Path) -> None:
    """Prune the package."""
    path = packages / CORE_SCHEMA
    path.write_text(without_fields(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
