"""Reject a build whose compiled files are for another processor than the functions.

    python -m tools.local.wheels BUILD                      the processor that ARCHITECTURE names
    python -m tools.local.wheels BUILD --config-env prod    the one that samconfig.toml deploys to

A function with such a layer fails at its first import.
"""

import argparse
import os
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

DEFAULT_ARCHITECTURE = "arm64"
# `e_machine` of an ELF file's header, two bytes at 18 (System V ABI, "ELF Header"; little-endian on both).
MACHINE_AT = 18
MACHINES = {62: "x86_64", 183: "arm64"}


def architecture_of(library: Path) -> str:
    """Return the processor of a shared library in Lambda's words, or a text that it is none of Lambda's."""
    with library.open("rb") as file:
        head = file.read(MACHINE_AT + 2)
    if not head.startswith(b"\x7fELF"):
        return "no Linux"
    number = int.from_bytes(head[MACHINE_AT:], "little")
    return MACHINES.get(number, f"ELF machine {number}")


def others(build: Path, architecture: str) -> Iterator[str]:
    """Return a line for each shared library below `build` that is for another processor."""
    for library in sorted(build.rglob("*.so*")):
        found = architecture_of(library)
        if found != architecture:
            yield f"{library} is for {found}, and the functions run on {architecture}"


def deployed_to(samconfig: Path, environment: str) -> str:
    """Return the parameter Architecture that `sam deploy` reads from a samconfig.toml."""
    known = tomllib.loads(samconfig.read_text()).get(environment, {})
    given = known.get("deploy", {}).get("parameters", {}).get("parameter_overrides", "")
    text = given if isinstance(given, str) else " ".join(given)
    found = re.search(r"""(?:^|\s)["']?Architecture["']?=["']?(\w+)""", text)
    return found[1] if found else DEFAULT_ARCHITECTURE


def main() -> int:
    """Exit with 1 after a line for each library that is for another processor, or if there is no library at all."""
    parser = argparse.ArgumentParser(prog="python -m tools.local.wheels")
    parser.add_argument("build", type=Path)
    parser.add_argument("--config-env")
    asked = parser.parse_args()
    build: Path = asked.build
    if asked.config_env is None:
        architecture = os.environ.get("ARCHITECTURE", DEFAULT_ARCHITECTURE)
    else:
        architecture = deployed_to(Path("samconfig.toml"), asked.config_env)
    if not any(build.rglob("*.so*")):
        print(f"error: {build} holds no compiled library: run `make build`.", file=sys.stderr)
        return 1
    wrong = list(others(build, architecture))
    for line in wrong:
        print(f"error: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
