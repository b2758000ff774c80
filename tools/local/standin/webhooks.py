"""Sends webhooks: signed, at least once, again after a 5xx (realtimekit/webhooks)."""

import asyncio
import json
import uuid
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout

from tools.local.standin.state import ORGANIZATION, Recording, instant
from tools.local.standin.world import World

PAUSES = (0.3, 1, 2, 4, 8, 16)


class Sender:
    """Sends to every webhook that is registered for recordings."""

    def __init__(self, world: World, url_of: Any) -> None:
        self.world, self._url_of = world, url_of
        self._client: ClientSession | None = None

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()

    def body(self, recording: Recording) -> dict[str, Any]:
        """Return the event for the current state of a recording. Keys are camelCase, and fileSize is a string."""
        meeting = self.world.meetings.get(recording.meeting_id)
        reported: dict[str, Any] = {
            "id": recording.id,
            "recordingId": recording.id,
            "status": recording.status,
            "startedTime": instant(recording.started_at),
            "stoppedTime": instant(recording.stopped_at),
            "outputFileName": recording.file_name,
            "meetingId": recording.meeting_id,
            "organizationId": ORGANIZATION,
            "roomUUID": recording.session_id,
        }
        if recording.status == "UPLOADED" and recording.media is not None:
            reported |= {
                "downloadUrl": self._url_of(recording) if recording.keeps_url else None,
                "downloadUrlExpiry": instant(recording.url_until),
                "fileSize": str(recording.media.size),
                "recordingDuration": recording.duration,
            }
        if recording.error:
            reported["errMessage"] = recording.error
        return {
            "event": "recording.statusUpdate",
            "recording": recording.lies.news(reported),
            "meeting": {
                "id": recording.meeting_id,
                "sessionId": recording.session_id,
                "title": meeting.title if meeting else None,
                "status": "LIVE",
                "createdAt": instant(meeting.created_at) if meeting else None,
                "startedAt": instant(recording.started_at),
                "organizedBy": {"id": ORGANIZATION, "name": "local"},
            },
        }

    def announce(self, recording: Recording) -> None:
        """Send the recording's status to every registered webhook."""
        settings = self.world.settings
        if recording.status in settings.webhook_statuses and settings.webhooks:
            body = json.dumps(self.body(recording)).encode()
            for _ in range(settings.webhook_copies):
                self.send(body)

    def send(self, body: bytes, *, forged: bool = False, unsigned: bool = False, altered: bool = False) -> None:
        """Send these bytes to every enabled webhook in the background."""
        for hook in [*self.world.webhooks.values()]:
            if hook["enabled"] and "recording.statusUpdate" in hook["events"]:
                headers = {"Content-Type": "application/json", "rtk-webhook-id": hook["id"]}
                if not unsigned:
                    headers["rtk-signature"] = self.world.signer.signature(body, forged=forged)
                self.world.spawn(self._deliver(hook["url"], body + b" " if altered else body, headers))

    async def _deliver(self, url: str, body: bytes, headers: dict[str, str]) -> None:
        await asyncio.sleep(self.world.settings.webhook_delay)
        if self._client is None:
            self._client = ClientSession(timeout=ClientTimeout(total=120))
        delivery: dict[str, Any] = {"url": url, "body": body.decode("utf-8", "replace"), "answers": []}
        self.world.deliveries.append(delivery)
        for pause in (*PAUSES, None):
            try:
                async with self._client.post(
                    url, data=body, headers=headers | {"rtk-uuid": str(uuid.uuid4())}
                ) as response:
                    delivery["answers"].append(response.status)
                    if response.status < 500:
                        return
            except (ClientError, TimeoutError) as error:
                delivery["answers"].append(type(error).__name__)
            if pause is not None:
                await asyncio.sleep(pause)
