"""What a recording is told to be: its type, its name and its length, by the file itself."""

import struct
from collections.abc import Callable
from pathlib import Path

import httpx

from tests.e2e.support import Json, a_room, in_status, make, sync
from tests.support.media import Corpus
from tests.support.media_bytes import FTYP, MDAT, box, cluster, ebml, info, mvhd, segment, tracks, trak


def damaged(content: bytes, kind: bytes, at: int, value: bytes) -> bytes:
    """Write over a field of the first box of a kind."""
    place = content.index(kind) + len(kind) + at
    return content[:place] + value + content[place + len(value) :]


# By name: the file, the duration that Cloudflare tells, and type, extension and duration as they must be.
type Case = tuple[Callable[[Corpus], bytes], object, str, str, int | None]
CASES: dict[str, Case] = {
    "a film": (lambda c: c.read("h264-aac.mp4"), 3, "video/mp4", "mp4", 3),
    "told as long as nothing lasts": (lambda c: c.read("h264-aac.mp4"), 10**18, "video/mp4", "mp4", 3),
    "told as less than nothing": (lambda c: c.read("faststart.mp4"), -1, "video/mp4", "mp4", 3),
    "told as much longer than it is": (lambda c: c.read("video.mp4"), 1800, "video/mp4", "mp4", 3),
    "fragments of which the first is counted": (
        lambda c: damaged(c.read("fragments-frag_keyframe.mp4"), b"mvhd", 16, struct.pack(">I", 1)),
        None, "video/mp4", "mp4", 3,
    ),
    "no scale": (
        lambda _: FTYP + box(b"moov", mvhd(0, 5000) + trak()) + MDAT, None, "video/mp4", "mp4", None
    ),
    "QuickTime": (lambda c: c.read("quicktime.mov"), None, "video/quicktime", "mov", 3),
    "Matroska": (lambda c: c.read("h264-aac.mkv"), None, "video/x-matroska", "mkv", 3),
    "WebM": (lambda c: c.read("vp8-vorbis.webm"), None, "video/webm", "webm", 3),
    "WebM of 1e300 ms": (
        lambda _: ebml() + segment(info(1e300), tracks(1, 2), cluster()), None, "video/webm", "webm", None
    ),
    "sound in MP4": (lambda c: c.read("audio.mp4"), None, "audio/mp4", "m4a", 3),
    "sound in WebM": (lambda c: c.read("opus.webm"), 3, "audio/webm", "weba", 3),
    "MP3": (lambda c: c.read("mp3.mp3"), None, "audio/mpeg", "mp3", 3),
}  # fmt: skip


def test_every_file_is_told_to_be_what_it_is(api: httpx.Client, cloudflare: httpx.Client, tmp_path: Path) -> None:
    room, corpus = a_room(api), Corpus(tmp_path)
    files = {name: case[0](corpus) for name, case in CASES.items()}
    for number, name in enumerate(CASES):
        made = make(cloudflare, room["cloudflare_meeting_id"], age_seconds=60 * (len(CASES) - number))
        cloudflare.put(f"/recordings/{made['id']}/file", content=files[name]).raise_for_status()
        reported = {"raw": {"recording_duration": CASES[name][1]}}
        cloudflare.patch(f"/recordings/{made['id']}", json=reported).raise_for_status()
    sync(api)
    rows = api.get("/recordings", params={"limit": 100}).json()["data"]
    for (name, case), row in zip(CASES.items(), reversed(rows), strict=True):
        _, _, kind, extension, seconds = case
        found: Json = in_status(api, row["id"], "ready")
        assert (found["duration_seconds"], found["size_bytes"]) == (seconds, len(files[name])), name
        link = api.get(f"/recordings/{row['id']}/download").json()
        assert (link["duration"], link["file_size"]) == (seconds, len(files[name])), name
        response = httpx.get(link["download_url"])
        assert response.headers["content-type"] == kind, name
        assert f'.{extension}"' in response.headers["content-disposition"], name
        assert response.content == files[name], name
