"""Waiting until a recording can be downloaded."""

from datetime import UTC, datetime

from recordings_client import calls
from recordings_client.effects import Steps, Wait
from recordings_client.errors import NotReady, NotReadyInTime
from recordings_client.models import Archive, Recording, Status
from recordings_client.policy import Policy

FIRST_WAIT = 1.0


def wait_until_ready(
    policy: Policy, recording_id: str, *, timeout: float = 600.0, longest_pause: float = 30.0
) -> Steps[Recording]:
    """Wait until the file can be downloaded: after processing, or after a restore that was asked for.

    Raises RecordingFailed when there will be none, NotReady when it lies in cold storage and no restore runs, and
    NotReadyInTime after `timeout` seconds. The work goes on, so waiting again is fine.
    """
    deadline = policy.clock() + timeout
    tries = 0
    while True:
        try:
            yield from calls.download_url(policy, recording_id)
        except NotReady as told:
            if told.recording_status is Status.ARCHIVED:
                recording = yield from calls.get(policy, recording_id)
                if not _on_its_way(recording.archive):
                    raise
            left = deadline - policy.clock()
            pause = told.retry_after
            if pause is None:
                pause = min(policy.pause(tries, first=FIRST_WAIT, longest=longest_pause), left)
            if left <= 0 or pause > left:
                raise NotReadyInTime(
                    f"The recording is not ready after {timeout:g} s: {told.detail}",
                    status=told.status,
                    request_id=told.request_id,
                    retry_after=told.retry_after,
                    document=told.document,
                ) from told
            yield Wait(pause)
            tries += 1
        else:
            return (yield from calls.get(policy, recording_id))


def _on_its_way(archive: Archive | None) -> bool:
    """Whether what lies in cold storage comes out of it without anybody asking again."""
    if archive is None:
        return False
    # Restored, it came between our two questions, unless the copy is gone again.
    there = archive.state == "restored" and (archive.restored_until or datetime.now(UTC)) > datetime.now(UTC)
    return there or archive.state in ("moving", "restoring")
