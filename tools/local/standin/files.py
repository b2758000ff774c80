"""The files of recordings behind presigned URLs, as R2 serves them: GET only, ranges, If-Match and If-Range."""

import asyncio
import hashlib
import hmac
import re
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote

from aiohttp import web

from tools.local.standin.lies import Answer
from tools.local.standin.media import Media
from tools.local.standin.state import Fault, Recording, now
from tools.local.standin.world import World

URL_SECRET = b"stand-in"


class Files:
    """Creates the URLs and serves the files."""

    def __init__(self, world: World) -> None:
        self.world = world

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/media/{id}/{name}", self.media, allow_head=False)]

    def url(self, recording: Recording, name: str | None = None) -> str:
        """Return a new presigned URL. It is valid until the file expires."""
        assert recording.url_until is not None
        until = int(recording.url_until.timestamp())
        path = f"/media/{recording.id}/{quote(name or recording.file_name, safe='')}"
        return f"{self.world.origin}{path}?until={until}&signature={self._signature(recording, until)}"

    def download_url(self, recording: Recording) -> Any:
        """Return `download_url` of a stored recording. The settings choose the form for tracks."""
        if recording.tracks is None:
            return self.url(recording)
        names = recording.tracks.file_names(recording.invoked_at)
        if self.world.settings.track_rows == "reference":
            return self.url(recording, names[0])
        files = {name: {"download_url": self.url(recording, name)} for name in names}
        return [{"layer_name": "default", "download_urls": files}]

    def _signature(self, recording: Recording, until: int) -> str:
        text = f"{recording.id}:{recording.generation}:{until}".encode()
        return hmac.new(URL_SECRET, text, hashlib.sha256).hexdigest()

    async def media(self, request: web.Request) -> web.StreamResponse:
        """Serve a file as R2 does: GET only, ranges, If-Match and If-Range."""
        world, recording = self.world, self.world.recordings.get(request.match_info["id"])
        asked_range = request.headers.get("Range", "")
        world.requests.append({"operation": "media", "path": request.path, "range": asked_range, "at": time.time()})
        query = request.query
        held = self._of_file(recording, "hold") if recording is not None else None
        if held is not None:
            await world.held(held)
        if recording is None or recording.media is None or not query.get("until", "").isdecimal():
            return _xml(403, "AccessDenied")
        until = int(query["until"])
        expired = until <= max(time.time(), recording.run_out)
        expired = expired or (recording.url_until is not None and recording.url_until <= now())
        fits = hmac.compare_digest(query.get("signature", ""), self._signature(recording, until))
        if expired or not fits:
            return _xml(403, "ExpiredRequest" if fits else "SignatureDoesNotMatch")
        fault = self._of_file(recording, "answer", "delay", "drop")
        if fault is not None:
            await asyncio.sleep(fault.seconds)
            if fault.kind == "drop":
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            if fault.kind == "answer":
                return _xml(fault.status, "InternalError")
        response = recording.lies.response(asked_range) or Answer()
        if not response.is_file:
            headers = response.changed({"Content-Type": "application/octet-stream"})
            return web.Response(status=response.status or 200, body=response.content, headers=headers)
        return await self._serve(request, recording, response)

    async def _etag(self, recording: Recording, media: Media) -> str:
        """Return the file's ETag in the form of the settings; empty for none."""
        settings = self.world.settings
        if settings.etag == "none":
            return ""
        if settings.etag == "opaque":
            return f'"{recording.id.replace("-", "")}{recording.generation + recording.rewritten}"'
        part = settings.part_mib * 1024 * 1024 if settings.etag == "parts" else None
        etag = await asyncio.get_running_loop().run_in_executor(self.world.threads, media.etag, part)
        return f'"{etag}"'

    def _of_file(self, recording: Recording, *kinds: str, served: range | None = None) -> Fault | None:
        """Return the fault of one of these kinds for this read of a file."""
        return self.world.fault(
            "media",
            recording_id=recording.id,
            meeting_id=recording.meeting_id,
            kinds=frozenset(kinds),
            served=served,
        )

    async def _serve(self, request: web.Request, recording: Recording, lie: Answer) -> web.StreamResponse:
        media, world = recording.media, self.world
        assert media is not None
        if lie.first_bytes is not None:
            media = media.first(lie.first_bytes)
        etag, modified = await self._etag(recording, media), _modified(recording)
        headers = {"Content-Type": recording.content_type, "Last-Modified": modified} | (
            {"ETag": f"W/{etag}" if lie.weak_etag else etag} if etag else {}
        )
        wanted, since = request.headers.get("If-Match"), request.headers.get("If-Unmodified-Since")
        if wanted not in (None, "*", etag) or (wanted is None and since not in (None, modified)):
            return _xml(412, "PreconditionFailed")
        first, last, status = 0, media.size - 1, 200
        given = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", ""))
        if given and world.settings.ranges and request.headers.get("If-Range", etag) == etag:
            first = int(given[1])
            if first >= media.size:
                return web.Response(status=416, headers={"Content-Range": f"bytes */{media.size}"})
            last = min(int(given[2]), last) if given[2] else last
            status = 206
            headers["Content-Range"] = f"bytes {first}-{last}/{media.size if lie.total_known else '*'}"
        if world.settings.ranges:
            headers["Accept-Ranges"] = "bytes"
        headers["Content-Length"] = str(last - first + 1)
        response = web.StreamResponse(status=status, headers=lie.changed(headers))
        await response.prepare(request)
        cut = self._of_file(recording, "cut")
        slow = self._of_file(recording, "slow")
        flip = self._of_file(recording, "flip", served=range(first, last + 1))
        allowed = world.random.expovariate(1 / cut.every_bytes) if cut else None
        at = first
        for block in media.read(first, last):
            sent = block
            if flip is not None and at <= flip.at < at + len(block):
                place = flip.at - at
                sent = block[:place] + bytes([block[place] ^ 1]) + block[place + 1 :]
            if allowed is not None and at + len(block) - first > allowed:
                await response.write(sent[: max(0, int(allowed) - (at - first))])
                assert request.transport is not None
                request.transport.abort()
                return response
            await response.write(sent)
            at += len(block)
            if slow is not None:
                await asyncio.sleep(len(block) / slow.bytes_per_second)
        await response.write_eof()
        return response


def _modified(recording: Recording) -> str:
    """Return when the file was stored. Each replacement counts as stored one hour later."""
    hours = timedelta(hours=recording.generation + recording.rewritten)
    return format_datetime(datetime(2026, 9, 1, 10, tzinfo=UTC) + hours, usegmt=True)


def _xml(status: int, code: str) -> web.Response:
    text = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'
    return web.Response(status=status, text=text, content_type="application/xml")
