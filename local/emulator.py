"""Runs the AWS emulator with one change: an archive is unpacked once and linked into each worker that asks for it.

Lambda too mounts one read-only copy of the layers; unpacking them anew costs a second or two for every cold start.
"""

import hashlib
import os
import runpy
import tempfile
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ministack.core import lambda_runtime

SHARED = Path(tempfile.gettempdir()) / "unpacked"
LEAST_FILES = 20
_lock = threading.Lock()


class SharedZip(zipfile.ZipFile):
    """A ZipFile that unpacks a large archive to a shared place, and links its top entries to where it was asked for."""

    def namelist(self) -> list[str]:
        """The names that decide where files go: the top ones, for these alone are made in the worker's folder."""
        names = super().namelist()
        if len(names) < LEAST_FILES:
            return names
        return sorted({name.split("/")[0] for name in names})

    def extractall(self, path: Any = None, members: Any = None, pwd: bytes | None = None) -> None:
        if len(super().namelist()) < LEAST_FILES or self.filename is None:
            super().extractall(path, members, pwd)
            return
        source = SHARED / hashlib.sha256(Path(self.filename).read_bytes()).hexdigest()
        with _lock:
            if not source.exists():
                made = source.with_suffix(".making")
                super().extractall(made, super().namelist())
                made.rename(source)
        for entry in source.iterdir():
            os.symlink(entry, Path(os.fspath(path)) / entry.name)


if __name__ == "__main__":
    # So that no worker imports the project from the caller's path: it has its layers.
    os.environ.pop("PYTHONPATH", None)
    shared: Any = SimpleNamespace(
        ZipFile=SharedZip, BadZipFile=zipfile.BadZipFile, LargeZipFile=zipfile.LargeZipFile,
        LargeFileError=zipfile.LargeZipFile,
    )  # fmt: skip
    setattr(lambda_runtime, "zipfile", shared)  # noqa: B010  # a module's import is not an attribute to the type checker
    runpy.run_module("ministack", run_name="__main__", alter_sys=True)
