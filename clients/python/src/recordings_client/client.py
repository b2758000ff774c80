"""The client that blocks. Its methods describe the API; `calls`, `downloads` and `waiting` carry them out."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias, TypeVar

import httpx

from recordings_client import calls, downloads, waiting

# Both clients can be imported from here.
from recordings_client.async_client import AsyncClient as AsyncClient
from recordings_client.calls import Pages, Tier
from recordings_client.downloads import ProgressCallback
from recordings_client.effects import Answer, Effect, Fetch, Steps, Wait
from recordings_client.models import (
    Access,
    Archived,
    Deleted,
    Download,
    Page,
    Recording,
    RecordingStatus,
    RecordingSummary,
    Recovering,
    Restoring,
    Room,
    Started,
    Stopped,
    Synced,
)
from recordings_client.policy import Policy
from recordings_client.transport import VERSION as VERSION
from recordings_client.transport import api_request, base_url, checked_timeout, file_request, headers

T = TypeVar("T")

Token: TypeAlias = str | Callable[[], str]


class Client:
    """Calls the API at `url`. `token` is an access token, or a function that returns one for each request.

    `timeout` is in seconds, for connecting and for each read. Threads can share a client, as httpx allows it.
    """

    def __init__(
        self,
        url: str,
        token: Token,
        *,
        timeout: float = 30.0,
        policy: Policy | None = None,
        sleep: Callable[[float], None] = time.sleep,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._url, self._token, self._sleep = base_url(url), token, sleep
        self._policy = policy or Policy()
        self._http = httpx.Client(timeout=checked_timeout(timeout), headers=headers(), transport=transport)

    def put_room(
        self, room_id: str, *, name: str, cloudflare_meeting_id: str | None = None, record_on_start: bool | None = None
    ) -> Room:
        """Create or update a room. An argument that is None keeps the stored value; a new room takes the API's default.

        A new room without `cloudflare_meeting_id` gets a Cloudflare meeting of its own.

        Raises:
            MeetingInUse: the meeting belongs to another room or tenant
            RoomRecording: the room changes its meeting, but is being recorded
        """
        return self._run(
            calls.put_room(
                self._policy,
                room_id,
                name=name,
                cloudflare_meeting_id=cloudflare_meeting_id,
                record_on_start=record_on_start,
            )
        )

    def get_room(self, room_id: str) -> Room:
        """Return a room.

        Raises:
            RoomNotFound: the room does not exist
        """
        return self._run(calls.get_room(self._policy, room_id))

    def list_rooms(self, *, limit: int | None = None, cursor: str | None = None) -> Page[Room]:
        """Return one page of rooms, ordered by id. `limit` is 1 to 100, `cursor` the previous page's `next_cursor`."""
        return self._run(calls.list_rooms(self._policy, limit=limit, cursor=cursor))

    def iter_rooms(self, *, page_size: int = 100) -> Iterator[Room]:
        """Iterate over all rooms, ordered by id. A page is requested when it is needed."""
        return self._each(calls.iter_rooms(self._policy, page_size=page_size))

    def delete_room(self, room_id: str, *, idempotency_key: str | None = None) -> None:
        """Delete a room. Its recordings stay.

        Raises:
            RoomNotFound: the room does not exist
            RoomRecording: the room is being recorded
        """
        return self._run(calls.delete_room(self._policy, room_id, idempotency_key=idempotency_key))

    def start(
        self, room_id: str, *, max_duration_seconds: int | None = None, idempotency_key: str | None = None
    ) -> Started:
        """Start recording a room. Cloudflare stops the recording after `max_duration_seconds`.

        Raises:
            RoomAlreadyRecording: the room is being recorded; the error's `recording` names the recording
            RoomNotFound: the room does not exist
        """
        return self._run(
            calls.start(
                self._policy, room_id, max_duration_seconds=max_duration_seconds, idempotency_key=idempotency_key
            )
        )

    def stop(self, room_id: str, *, idempotency_key: str | None = None) -> Stopped:
        """Stop the recording of a room.

        Raises:
            NoActiveRecording: the room is not being recorded
        """
        return self._run(calls.stop(self._policy, room_id, idempotency_key=idempotency_key))

    def sync(self, room_id: str, *, idempotency_key: str | None = None) -> Synced:
        """Compare a room's recordings with Cloudflare's, and import what is missing."""
        return self._run(calls.sync(self._policy, room_id, idempotency_key=idempotency_key))

    def list_recordings(
        self,
        *,
        limit: int | None = None,
        offset: int | None = None,
        cursor: str | None = None,
        room_id: str | None = None,
        status: str | Iterable[str] | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
    ) -> Page[RecordingSummary]:
        """Return one page of recordings, newest first. `limit` is 1 to 100; `status` is one status or several.

        Raises:
            ValueError: both `offset` and `cursor` are given, or a time has no zone
        """
        return self._run(
            calls.list_recordings(
                self._policy,
                limit=limit,
                offset=offset,
                cursor=cursor,
                room_id=room_id,
                status=status,
                created_after=created_after,
                created_before=created_before,
            )
        )

    def iter_recordings(
        self,
        *,
        page_size: int = 100,
        room_id: str | None = None,
        status: str | Iterable[str] | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
    ) -> Iterator[RecordingSummary]:
        """Iterate over all matching recordings, newest first. A page is requested when it is needed.

        Raises:
            ValueError: a time has no zone
        """
        return self._each(
            calls.iter_recordings(
                self._policy,
                page_size=page_size,
                room_id=room_id,
                status=status,
                created_after=created_after,
                created_before=created_before,
            )
        )

    def get(self, recording_id: str) -> Recording:
        """Return a recording.

        Raises:
            RecordingNotFound: the recording does not exist, or is deleted
        """
        return self._run(calls.get(self._policy, recording_id))

    def list_access(self, recording_id: str, *, limit: int | None = None, cursor: str | None = None) -> Page[Access]:
        """Return one page of who was given a download URL, the latest first. Needs the scope `recordings:audit`.

        `limit` is 1 to 100, `cursor` the previous page's `next_cursor`.

        Raises:
            RecordingNotFound: the recording does not exist, or is deleted
        """
        return self._run(calls.list_access(self._policy, recording_id, limit=limit, cursor=cursor))

    def iter_access(self, recording_id: str, *, page_size: int = 100) -> Iterator[Access]:
        """Iterate over everybody who was given a download URL, the latest first. Needs the scope `recordings:audit`.

        Raises:
            RecordingNotFound: the recording does not exist, or is deleted
        """
        return self._each(calls.iter_access(self._policy, recording_id, page_size=page_size))

    def download_url(self, recording_id: str, *, expires_in: int | None = None) -> Download:
        """Return the presigned URL of the file. It is valid for `expires_in` seconds.

        Raises:
            NotReady: the file is not stored yet, or is archived
            RecordingFailed: there is no file, and will be none
        """
        return self._run(calls.download_url(self._policy, recording_id, expires_in=expires_in))

    def download(
        self,
        recording_id: str,
        to_path: str | os.PathLike[str],
        *,
        resume: bool = True,
        progress: ProgressCallback | None = None,
        expires_in: int | None = None,
    ) -> Path:
        """Download the file to `to_path` and return its path.

        In a directory the file's name is the recording's id with the extension of its type. A broken download continues
        where it stopped; with `resume`, that of an earlier call continues too. An expired URL is replaced. Only the
        whole file replaces `to_path`. `progress` receives the bytes so far and in total.

        Raises:
            NotReady: the file is not stored yet, or is archived
            RecordingFailed: there is no file, and will be none
            DownloadFailed: the storage did not return the whole file
            OSError: the file cannot be written
        """
        return self._run(
            downloads.download(
                self._policy, recording_id, to_path, resume=resume, progress=progress, expires_in=expires_in
            )
        )

    def archive(self, recording_id: str, *, idempotency_key: str | None = None) -> Archived:
        """Start the move of a recording to cold storage. `Recording.archive` shows its progress.

        Raises:
            RecordingNotArchivable: the recording is not ready, or is archived
        """
        return self._run(calls.archive(self._policy, recording_id, idempotency_key=idempotency_key))

    def restore(
        self,
        recording_id: str,
        *,
        days: int | None = None,
        tier: Tier | None = None,
        idempotency_key: str | None = None,
    ) -> Restoring:
        """Request a readable copy of an archived recording, for 1 to 30 `days`.

        Raises:
            RecordingNotArchived: the recording is not in cold storage
        """
        return self._run(
            calls.restore(self._policy, recording_id, days=days, tier=tier, idempotency_key=idempotency_key)
        )

    def recover(self, recording_id: str, *, idempotency_key: str | None = None) -> Recovering:
        """Process a recording again that is stuck in `processing`.

        Raises:
            RecordingNotRecoverable: the recording is not in `processing`
        """
        return self._run(calls.recover(self._policy, recording_id, idempotency_key=idempotency_key))

    def delete(self, recording_id: str, *, idempotency_key: str | None = None) -> Deleted:
        """Delete a recording. `undelete` restores it.

        Raises:
            RecordingNotFound: the recording does not exist, or is deleted
            RecordingInProgress: the recording is still being recorded
        """
        return self._run(calls.delete(self._policy, recording_id, idempotency_key=idempotency_key))

    def undelete(self, recording_id: str, *, idempotency_key: str | None = None) -> RecordingStatus:
        """Restore a deleted recording.

        Raises:
            RecordingNotFound: the recording does not exist, or is purged
        """
        return self._run(calls.undelete(self._policy, recording_id, idempotency_key=idempotency_key))

    def wait_until_ready(self, recording_id: str, *, timeout: float = 600.0, longest_pause: float = 30.0) -> Recording:
        """Wait until the file can be downloaded: after processing, or after a restore.

        The work continues after a timeout, so the call can be repeated. Times are in seconds.

        Raises:
            NotReadyInTime: the file is not ready after `timeout` seconds
            NotReady: the recording is archived, and no restore is under way
            RecordingFailed: there is no file, and will be none
        """
        return self._run(
            waiting.wait_until_ready(self._policy, recording_id, timeout=timeout, longest_pause=longest_pause)
        )

    def close(self) -> None:
        """Close the connections, as the end of a `with` block does."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, steps: Steps[T]) -> T:
        try:
            effect = next(steps)
            while True:
                try:
                    outcome = self._do(effect)
                except Exception as error:
                    effect = steps.throw(error)
                else:
                    effect = steps.send(outcome)
        except StopIteration as done:
            result: T = done.value
            return result
        finally:
            steps.close()

    def _each(self, pages: Pages[T]) -> Iterator[T]:
        cursor = None
        while True:
            page = self._run(pages(cursor))
            yield from page.items
            # A server that returns the same cursor again would never end the loop.
            if page.next_cursor is None or page.next_cursor == cursor:
                return
            cursor = page.next_cursor

    def _do(self, effect: Effect) -> Answer | None:
        if isinstance(effect, Wait):
            self._sleep(effect.seconds)
            return None
        if isinstance(effect, Fetch):
            response = self._http.send(file_request(self._http, effect), stream=True)
            with closing(response):
                take = effect.receive(response.status_code, response.headers)
                if take is not None:
                    for chunk in response.iter_raw():
                        take(chunk)
            return Answer(response.status_code, response.headers)
        token = self._token if isinstance(self._token, str) else self._token()
        response = self._http.send(api_request(self._http, self._url, effect, token))
        return Answer(response.status_code, response.headers, response.content)
