"""The client of the command line. It shows on stderr what it waits for."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from recordings_client.client import Client
from recordings_client.downloads import ProgressCallback
from recordings_client.effects import Answer, Effect, Fetch, Send, Wait
from recordings_client.errors import error_of
from recordings_client.policy import Policy
from recordings_client.terminal import Bar, Waiting


class ShownClient(Client):
    """A client that shows on stderr what it waits for. If `quiet`, it shows nothing."""

    def __init__(self, url: str, token: str, *, timeout: float, retries: int, quiet: bool) -> None:
        super().__init__(url, token, timeout=timeout, policy=Policy(retries=retries))
        self._host, self._last = url, ""
        self._quiet, self.waiting = quiet, Waiting(quiet=quiet)
        self.bar: Bar | None = None

    def _do(self, effect: Effect) -> Answer | None:
        if isinstance(effect, Fetch) and self.bar is not None and self.bar.shown:
            return super()._do(effect)
        with self.waiting.on(lambda: self._what(effect)):
            try:
                response = super()._do(effect)
            except httpx.HTTPError:
                self._last = "No answer"
                raise
        if isinstance(effect, Send) and response is not None:
            self._last = "" if response.status == 200 else error_of(response).detail
        return response

    def _what(self, effect: Effect) -> str:
        if isinstance(effect, Wait):
            return f"{self._last or 'Waiting'} Asking again after {effect.seconds:.0f} s".lstrip()
        if isinstance(effect, Fetch):
            return str(self.bar) if self.bar is not None else "Downloading"
        return f"Waiting for {self._host} to answer"

    @contextmanager
    def showing(self, recording_id: str) -> Iterator[ProgressCallback | None]:
        """Show the progress of the download in the block."""
        self.bar = Bar(recording_id, quiet=self._quiet)
        try:
            with self.bar as progress:
                yield progress
        finally:
            self.bar = None
