"""Following a recording until nothing more happens to it by itself."""

import time
from collections.abc import Iterator

from recordings_client.errors import NotReadyInTime
from recordings_client.models import Recording, Status
from recordings_client.showing import ShownClient
from recordings_client.words import line_of


def changes(
    client: ShownClient, recording_id: str, *, interval: float, give_up_after: float | None
) -> Iterator[Recording]:
    """Yield the recording each time it differs, until no more changes are expected. Times are in seconds.

    Raises:
        NotReadyInTime: changes are still expected after `give_up_after`
    """
    began, seen = time.monotonic(), None
    while True:
        recording = client.get(recording_id)
        if recording != seen:
            seen = recording
            yield recording
        moving = recording.archive is not None and recording.archive.state in ("moving", "restoring")
        # A status that this version does not know may not be the last one.
        settled = recording.status.is_known and recording.status not in (Status.RECORDING, Status.PROCESSING)
        if settled and not moving:
            return
        if give_up_after is not None and time.monotonic() - began + interval > give_up_after:
            raise NotReadyInTime(f"After {give_up_after:g} s the recording is still {line_of(recording)}")
        with client.waiting.on(f"Still {line_of(recording)}".__str__):
            time.sleep(interval)
