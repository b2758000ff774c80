"""Unpacks each layer once, and links it into every process that starts.

Lambda too mounts one read-only copy of a layer. The emulator writes the whole archive to a file and unpacks it for each
process, which takes one or two seconds of a cold start.
"""

import hashlib
import io
import os
import tempfile
import threading
import zipfile
from contextvars import ContextVar
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

SHARED: Final = Path(tempfile.gettempdir()) / "unpacked"
# The only member of the archive that stands for an unpacked layer. Its digest follows.
UNPACKED: Final = "unpacked-layer/"

_lock = threading.Lock()
_starting: ContextVar[bool] = ContextVar("starting", default=False)
# The archive that stands for a layer, by the identity of the layer's own, which is kept with it.
_standing_in: dict[int, tuple[bytes, bytes]] = {}
_resolve = lambda_svc._resolve_layer_zip


class SharedZip(zipfile.ZipFile):
    """A ZipFile that links what is unpacked already."""

    def extractall(self, path: Any = None, members: Any = None, pwd: bytes | None = None) -> None:
        """Unpack the archive, or link to the files that it stands for."""
        names = self.namelist()
        if len(names) != 1 or not names[0].startswith(UNPACKED):
            super().extractall(path, members, pwd)
            return
        for entry in (SHARED / names[0].removeprefix(UNPACKED)).iterdir():
            os.symlink(entry, Path(os.fspath(path)) / entry.name)


def standing_in(archive: bytes) -> bytes:
    """Return an archive that stands for the unpacked files of another one."""
    with _lock:
        known = _standing_in.get(id(archive))
        if known is not None:
            return known[1]
        digest = hashlib.sha256(archive).hexdigest()
        if not (SHARED / digest).exists():
            made = SHARED / f"{digest}.making"
            with zipfile.ZipFile(io.BytesIO(archive)) as packed:
                packed.extractall(made)
            made.rename(SHARED / digest)
        written = io.BytesIO()
        with zipfile.ZipFile(written, "w") as packed:
            packed.writestr(f"{UNPACKED}{digest}", "")
        _standing_in[id(archive)] = archive, written.getvalue()
        return written.getvalue()


def resolve(attachment: Any) -> bytes | None:
    """Return the archive of a layer. A process that starts gets the one that stands for it."""
    archive: bytes | None = _resolve(attachment)
    return standing_in(archive) if archive and _starting.get() else archive


def install() -> None:
    """Put these in the emulator's places."""
    spawn = lambda_runtime.Worker._spawn

    def start(worker: lambda_runtime.Worker) -> None:
        token = _starting.set(True)
        try:
            spawn(worker)
        finally:
            _starting.reset(token)

    lambda_runtime.Worker._spawn = start
    lambda_svc._resolve_layer_zip = resolve
    lambda_runtime.zipfile = SimpleNamespace(
        ZipFile=SharedZip,
        BadZipFile=zipfile.BadZipFile,
        LargeZipFile=zipfile.LargeZipFile,
        LargeFileError=zipfile.LargeZipFile,
    )
