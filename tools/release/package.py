"""Packs a build of SAM into a folder that `sam deploy` takes as it is: the template, and all that it names."""

import hashlib
import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tools.local import wheels
from tools.release.versions import Refused

# The earliest time that a ZIP file can hold: the same files give the same bytes.
NO_TIME: Final = (1980, 1, 1, 0, 0, 0)
READABLE: Final = 0o100644 << 16
ARTIFACT: Final = re.compile(
    r"(?m)^(\s+(?P<kind>CodeUri|ContentUri|DefinitionUri|LicenseUrl|ReadmeUrl): )(?P<path>\S+)$"
)
SUMS: Final = "SHA256SUMS"


def zip_folder(folder: Path, target: Path) -> None:
    """Pack a folder's files, in order, without times or owners, so that the same files give the same bytes."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted(folder.rglob("*"), key=lambda one: one.relative_to(folder).as_posix()):
            if path.is_file():
                entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), NO_TIME)
                entry.external_attr = READABLE
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, path.read_bytes(), compresslevel=9)


def architecture_of(build: Path) -> str:
    """The processor that a build is for. Raises Refused."""
    found = {wheels.architecture_of(library) for library in build.rglob("*.so*")}
    if len(found) != 1 or not found <= set(wheels.MACHINES.values()):
        raise Refused(f"{build} is for {', '.join(sorted(found)) or 'no processor'}: run `make build` again.")
    return found.pop()


def package(build: Path, target: Path) -> None:
    """Write a template that names files beside it, and these files, into the empty folder `target`.

    The parameter Architecture takes only the processor that the layers were built for. Raises Refused.
    """
    source = build / "template.yaml"
    if not source.exists():
        raise Refused(f"{build} holds no build: run `make build`.")

    def packed(found: re.Match[str]) -> str:
        held = (build / found["path"]).resolve()
        if held.is_file():
            name = f"statemachines/{held.name}" if found["kind"] == "DefinitionUri" else held.name
            (target / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(held, target / name)
        else:
            name = f"{'functions' if found['kind'] == 'CodeUri' else 'layers'}/{held.name}.zip"
            (target / name).parent.mkdir(exist_ok=True)
            zip_folder(held, target / name)
        return f"{found[1]}{name}"

    (target / "template.yaml").write_text(
        for_one_processor(ARTIFACT.sub(packed, source.read_text()), architecture_of(build))
    )


def for_one_processor(template: str, architecture: str) -> str:
    """A template whose parameter Architecture has one value. Raises Refused."""
    changed, places = re.subn(
        r"(?m)^(  Architecture:\n    Type: String\n    Default: )\w+\n    AllowedValues:\n(?:    - \w+\n)+",
        rf"\g<1>{architecture}\n    AllowedValues:\n    - {architecture}\n",
        template,
    )
    if places != 1:
        raise Refused("the built template has no parameter Architecture with a default and its values")
    return changed


def checksums(folder: Path) -> Iterator[str]:
    """A line for `sha256sum --check` for every file below a folder."""
    for path in sorted(folder.rglob("*"), key=lambda one: one.relative_to(folder).as_posix()):
        if path.is_file() and path.name != SUMS:
            yield f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder).as_posix()}\n"
