"""`python -m tools.release [--check] VERSION`: a folder in dist/ of the build, and a section of CHANGELOG.md.

`--check` only says whether that version may be released.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, date, datetime
from pathlib import Path

from tools.release import versions
from tools.release.package import SUMS, architecture_of, checksums, package
from tools.release.versions import Refused

ROOT = Path(__file__).parents[2]
PROJECT, CLIENT = "pyproject.toml", "clients/python/pyproject.toml"
OPENAPI, TEMPLATE = "docs/openapi.yaml", "template.yaml"


def today() -> date:
    """The date of the release, in UTC; SOURCE_DATE_EPOCH (reproducible-builds.org) sets another one."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    return (datetime.fromtimestamp(int(given), UTC) if given else datetime.now(UTC)).date()


def changed_files(root: Path, version: str, day: date) -> dict[str, str]:
    """The files of the checkout that name the version, as they are to be. Raises Refused."""
    return {
        "CHANGELOG.md": versions.released((root / "CHANGELOG.md").read_text(), version, day),
        PROJECT: versions.project((root / PROJECT).read_text(), version),
        CLIENT: versions.project((root / CLIENT).read_text(), version),
        OPENAPI: versions.description((root / OPENAPI).read_text(), version),
        TEMPLATE: versions.application((root / TEMPLATE).read_text(), version),
    }


def build_client(source: Path, project: str, target: Path) -> None:
    """The client's wheel and source distribution, with the version that `project` (a pyproject.toml) says."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "client"
        shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__", "dist"))
        (copy / "pyproject.toml").write_text(project)
        done = subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-d", str(target)], cwd=copy, capture_output=True, text=True
        )
        if done.returncode:
            raise Refused(f"the client cannot be built: {done.stderr.strip()}")


def release(root: Path, build: Path, version: str, day: date) -> Path:
    """Make the folder of a release and write the version into the checkout; gives the folder.

    Nothing of the checkout is changed unless the whole folder could be made. Raises Refused.
    """
    files = changed_files(root, version, day)
    made = root / "dist" / f"recordings-{version}-{architecture_of(build)}"
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / made.name
        folder.mkdir()
        package(build, folder)
        template = folder / "template.yaml"
        template.write_text(versions.application(template.read_text(), version))
        build_client((root / CLIENT).parent, files[CLIENT], folder)
        (folder / "openapi.yaml").write_text(files[OPENAPI])
        (folder / "CHANGELOG.md").write_text(files["CHANGELOG.md"])
        (folder / "LICENSE").write_text((root / "LICENSE").read_text())
        (folder / SUMS).write_text("".join(checksums(folder)))
        shutil.rmtree(made, ignore_errors=True)
        shutil.copytree(folder, made)
    for name, text in files.items():
        (root / name).write_text(text)
    return made


def main() -> int:
    """Release; a refusal is one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m tools.release")
    parser.add_argument("version")
    parser.add_argument("--check", action="store_true", help="only say whether this version may be released")
    parser.add_argument("--build", type=Path, default=ROOT / ".aws-sam/build")
    asked = parser.parse_args()
    try:
        if asked.check:
            changed_files(ROOT, asked.version, today())
            return 0
        print(release(ROOT, asked.build, asked.version, today()).relative_to(ROOT))
    except Refused as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
