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
    deadline = policy.clock() + timeout
    tries = 0
    while True:
        try:
            yield from calls.download_url(policy, recording_id)
        except NotReady as not_ready:
            if not_ready.recording_status is Status.ARCHIVED:
                recording = yield from calls.get(policy, recording_id)
                if not _becomes_readable(recording.archive):
                    raise
            left = deadline - policy.clock()
            pause = not_ready.retry_after
            if pause is None:
                pause = min(policy.pause(tries, first=FIRST_WAIT, longest=longest_pause), left)
            if left <= 0 or pause > left:
                raise NotReadyInTime(
                    f"The recording is not ready after {timeout:g} s: {not_ready.detail}",
                    status=not_ready.status,
                    request_id=not_ready.request_id,
                    retry_after=not_ready.retry_after,
                    document=not_ready.document,
                ) from not_ready
            yield Wait(pause)
            tries += 1
        else:
            return (yield from calls.get(policy, recording_id))


def _becomes_readable(archive: Archive | None) -> bool:
    """Whether an archived file becomes readable without another request for a restore."""
    if archive is None:
        return False
    # The restore may have ended between the two requests. A copy also ends.
    restored = archive.state == "restored" and (archive.restored_until or datetime.now(UTC)) > datetime.now(UTC)
    return restored or archive.state in ("moving", "restoring")
