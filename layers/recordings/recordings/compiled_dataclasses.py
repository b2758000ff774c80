"""Use the compiled methods of dataclasses that the layers have.

`dataclasses` writes the source of each class's methods and compiles it whenever the class is made, which is an eighth
of a cold start. `layers/dependencies/compile_dataclasses.py` compiles the same sources when the layers are built. Here
`dataclasses` gets the compiled code instead, if its source is the same to the letter. Anything else it compiles as
always: a class that the build did not find, or all of them if another Python generates another source.
"""

import dataclasses
import marshal
import os
import sys
from typing import Any, Final

LAYERS: Final = ("dependencies", "recordings")


def use_compiled_dataclasses() -> None:
    """Let `dataclasses` execute compiled code. Without the layers' files, in a checkout, nothing changes."""
    modules = _read()
    if not modules:
        return
    known: dict[str, Any] = {}

    def execute(source: str, namespace: dict[str, Any], local: dict[str, Any]) -> None:
        # Unmarshalling is the larger part of what is left, so a module's code waits for its first dataclass.
        code = modules.pop(namespace.get("__name__", ""), None)
        if code is not None:
            known.update(marshal.loads(code))
        exec(known.get(source, source), namespace, local)

    # The module's only call of `exec` runs the source that it generated. It has no parameter for it.
    dataclasses.exec = execute  # type: ignore[attr-defined]


def _read() -> dict[str, bytes]:
    """Return the marshalled code of each module's dataclasses.

    The name of a file ends as the name of a .pyc file does: another Python has another bytecode.
    """
    found: dict[str, bytes] = {}
    for layer in LAYERS:
        for folder in sys.path:
            path = os.path.join(folder, f"{layer}-dataclasses.{sys.implementation.cache_tag}.bin")
            if os.path.exists(path):
                with open(path, "rb") as file:
                    found |= marshal.load(file)
                break
    return found
