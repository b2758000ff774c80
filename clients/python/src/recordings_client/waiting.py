"""Waiting until a recording can be downloaded."""

from recordings_client import calls
from recordings_client.effects import Steps, Wait
from recordings_client.errors import NotReady, NotReadyInTime
from recordings_client.models import Recording, Status
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
                if recording.archive is None or recording.archive.state == "stored":
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
