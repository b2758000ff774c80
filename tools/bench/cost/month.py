"""What a month of so many recordings uses, when every month has been like it for as long as recordings are kept.

What is assumed, and not measured, is a constant here: change it and run the command.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from tools.bench.cost import machines
from tools.bench.cost.measured import ROOT, Measured, Row
from tools.bench.cost.prices import R2_CLASS_A, R2_CLASS_B, Price
from tools.bench.cost.profiles import Profile

GB: Final = 1_000_000_000
# What DynamoDB and S3 call a GB.
GIB: Final = 1 << 30
PART_BYTES: Final = 16 << 20
SEGMENT_BYTES: Final = 2 << 30
SECONDS_OF_MONTH: Final = 30 * 24 * 3600
# A function of 1 GB copies so fast (assumed; docs/figures.md has what this machine does).
COPY_BYTES_A_SECOND: Final = 60_000_000
# Of all calls so many find no warm copy, and wait so long (docs/figures.md, on a third of a processor).
COLD_SHARE: Final = 0.02
COLD_SECONDS: Final = 0.8
# Log lines of a call, with Lambda's own and the API's access log (assumed).
LOG_BYTES: Final = 1600
# X-Ray's default rule: the first request of a second, and 5 % of the others (X-Ray Developer Guide, "Sampling rules").
TRACED_SHARE: Final = 0.05
TRACED_PER_MONTH: Final = SECONDS_OF_MONTH
# Cloudflare sends one for each of RECORDING, UPLOADING and UPLOADED.
WEBHOOKS: Final = 3
# A recording enters recording, processing and ready, and is deleted; each is an event.
EVENTS: Final = 4
# What the stream hands over to AnnounceChanges: these, and notes of progress.
STREAM_CALLS: Final = 8
# A finished recording is listed by the syncs of an hour, and once a day for nine days; two read units each.
LISTINGS: Final = 12 + 9
LISTING_READ_UNITS: Final = 2
LIST_PAGE: Final = 100
SYNCS: Final = 30 * 24 * 12
# Two complete listings a week.
AUDITS: Final = 30 / 3.5
OBJECTS_PAGE: Final = 1000
SECRETS: Final = 2
DASHBOARDS: Final = 1

# By the operation's name, what a call is paid as. None: nothing.
CALL_PRICES: Final[Mapping[str, str | None]] = {
    **{f"r2.{operation}": "r2_class_a" for operation in R2_CLASS_A},
    **{f"r2.{operation}": "r2_class_b" for operation in R2_CLASS_B},
    "r2.DeleteObject": None,
    "s3.PutObject": "archive_writes",
    "s3.CreateMultipartUpload": "archive_writes",
    "s3.UploadPart": "archive_writes",
    "s3.CompleteMultipartUpload": "archive_writes",
    "s3.ListParts": "archive_lists",
    "s3.ListMultipartUploads": "archive_lists",
    "s3.ListObjectsV2": "archive_lists",
    "s3.ListObjectVersions": "archive_lists",
    "s3.HeadObject": "archive_reads",
    "s3.GetObject": "archive_reads",
    "s3.RestoreObject": "restores",
    "s3.DeleteObject": None,
}
# Paid as capacity units, as transitions, as events, or by nobody.
OTHERWISE_PAID: Final = ("dynamodb.", "stepfunctions.", "events.", "cloudflare.")
GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "Lambda": ("lambda_requests", "lambda_gb_seconds"),
    "API Gateway": ("api_requests",),
    "Step Functions": ("transitions",),
    "DynamoDB, requests": ("dynamodb_read_units", "dynamodb_write_units"),
    "DynamoDB, storage and backups": ("dynamodb_storage_gb", "dynamodb_backup_gb"),
    "EventBridge": ("events",),
    "logs, metrics, alarms, traces": ("log_gb", "metrics", "alarms", "dashboards", "traces"),
    "Secrets Manager": ("secrets", "secret_reads"),
    "R2, storage": ("r2_gb",),
    "R2, operations": ("r2_class_a", "r2_class_b"),
    "archive": ("archive_gb", "archive_writes", "archive_lists", "archive_reads", "restores", "restored_gb"),
    "traffic out of AWS": ("traffic_gb",),
}
# Cloudflare's own, which we do not cause: shown below the sum.
RECORDING: Final = "recording_minutes"


# Amounts by the name of their price.
type Usage = defaultdict[str, float]


@dataclass(frozen=True, slots=True)
class Call:
    """A function that runs `times` for each recording. `seconds` is its time beyond its work and its calls."""

    row: Row
    times: float
    is_request: bool = False
    seconds: float = 0


def parts_of(profile: Profile) -> int:
    return max(1, math.ceil(profile.size_bytes / PART_BYTES))


def segments_of(profile: Profile) -> int:
    return max(1, math.ceil(profile.size_bytes / SEGMENT_BYTES))


def calls(measured: Measured, profile: Profile) -> Iterator[Call]:
    """Iterate over what runs for one recording."""

    def request(function: str, case: str, times: float) -> Call:
        return Call(measured.row(function, case), times, is_request=True)

    yield request("StartRecording", "a free room", 1)
    yield request("StopRecording", "that runs", 1)
    yield request("GetRecording", "ready", profile.gets)
    yield request("ListRecordings", "newest", profile.lists)
    yield request("DownloadRecording", "from R2", profile.downloads)
    yield request("ReceiveWebhook", "nothing changed", WEBHOOKS)
    yield request("DeleteRecording", "archived", 1)
    yield Call(measured.row("AnnounceChanges", "2 changes of a status"), STREAM_CALLS)
    yield Call(measured.row("CheckUpload", "not uploaded"), 1)
    yield from _processing(measured, profile)
    yield from _archive(measured, profile)


def _processing(measured: Measured, profile: Profile) -> Iterator[Call]:
    parts, copied = parts_of(profile), profile.size_bytes / COPY_BYTES_A_SECOND
    for function in ("CheckUpload", "PlanTransfer", "CopySegment", "CompleteTransfer", "VerifyTransfer", "MarkReady"):
        row = measured.row(function, "delivered") if profile.delivered else measured.of_parts(function, parts)
        if function != "CopySegment":
            yield Call(row, 1)
            continue
        # A delivered file is read for its checksum. What was measured has two parts.
        more_reads = max(0, parts - 2) if profile.delivered else 0
        yield Call(_without_time(row, more_reads), 1, seconds=copied)


def _archive(measured: Measured, profile: Profile) -> Iterator[Call]:
    share, copied = profile.archived, profile.size_bytes / COPY_BYTES_A_SECOND
    yield Call(measured.row("ArchiveRecording", "ready"), share, is_request=True)
    for function in ("BeginArchive", "PlanArchive", "CopyToArchive", "CompleteArchive", "FinishArchive"):
        row = measured.of_parts(function, parts_of(profile))
        is_copy = function == "CopyToArchive"
        yield Call(_without_time(row) if is_copy else row, share, seconds=copied if is_copy else 0)
    yield Call(measured.row("RestoreRecording", "archived"), profile.restored, is_request=True)
    yield Call(measured.row("TrackRestore"), profile.restored)


def _without_time(row: Row, more_reads: int = 0) -> Row:
    """The row of a copy. Its time is the file's size by the rate."""
    counted = dict(row.calls)
    if more_reads:
        counted["r2.GetObject"] += more_reads
    return Row(row.function, row.read_units, row.write_units, 0, counted, 0)


def of_calls(measured: Measured, some: Iterator[Call]) -> Usage:
    """Return what these calls use, by the name of its price."""
    used: Usage = defaultdict(float)
    for call in some:
        row, memory_gb = call.row, measured.memory_mb(call.row.function) / 1024
        seconds = measured.seconds(row) + call.seconds + COLD_SHARE * COLD_SECONDS
        used["lambda_requests"] += call.times
        used["lambda_gb_seconds"] += call.times * seconds * memory_gb
        used["dynamodb_read_units"] += call.times * row.read_units
        used["dynamodb_write_units"] += call.times * row.write_units
        used["log_gb"] += call.times * LOG_BYTES / GB
        used["api_requests"] += call.times * call.is_request
        for name, times in row.calls.items():
            price = CALL_PRICES[name] if not name.startswith(OTHERWISE_PAID) else None
            if price is not None:
                used[price] += call.times * times
    return used


def of_recording(measured: Measured, profile: Profile) -> Usage:
    """Return what one recording uses, from its start until it is deleted, but for storage."""
    used = of_calls(measured, calls(measured, profile))
    segments = segments_of(profile)
    used["transitions"] += machines.of_processing(segments) + profile.archived * machines.of_archiving(segments)
    used["events"] += EVENTS + profile.archived
    used["dynamodb_read_units"] += LISTINGS * LISTING_READ_UNITS
    used["r2_class_b"] += profile.downloads
    used["archive_reads"] += profile.restored
    used["restored_gb"] += profile.restored * profile.size_bytes / GIB
    used["traffic_gb"] += (profile.restored + (not profile.delivered)) * profile.size_bytes / GB
    used[RECORDING] += profile.minutes
    return used


def fixed(measured: Measured) -> Usage:
    """Return what a month uses without any recording."""
    idle = [
        Call(measured.row(name, "nothing new"), SYNCS) for name in ("BeginSync", "ScanProviderRecordings", "EndSync")
    ]
    used = of_calls(measured, iter(idle))
    used["transitions"] += SYNCS * machines.of_idle_sync()
    used["events"] += SYNCS
    used["secrets"] += SECRETS
    used["dashboards"] += DASHBOARDS
    used["alarms"] += measured.count("AWS::CloudWatch::Alarm")
    used["metrics"] += len(own_metrics())
    return used


def own_metrics() -> set[str]:
    """The names that the code counts under."""
    sources = [*(ROOT / "functions").rglob("app.py"), *(ROOT / "layers/recordings/recordings").rglob("*.py")]
    return {name for path in sources for name in re.findall(r'\bcount\(\s*"(\w+)"', path.read_text())}


def of_month(measured: Measured, profile: Profile, recordings: float) -> Usage:
    """Return what a month uses in which so many recordings begin and as many are deleted."""
    used = fixed(measured)
    for name, amount in of_recording(measured, profile).items():
        used[name] += amount * recordings
    in_archive = profile.archived * max(0, profile.kept_months - profile.r2_months)
    used["r2_gb"] += recordings * profile.size_bytes * (profile.kept_months - in_archive) / GB
    used["archive_gb"] += recordings * profile.size_bytes * in_archive / GIB
    stored = recordings * profile.kept_months
    for name in ("dynamodb_storage_gb", "dynamodb_backup_gb"):
        used[name] += stored * measured.recording_bytes / GIB
    # An audit reads all records, 1 KB each, and lists all files.
    used["dynamodb_read_units"] += AUDITS * stored / 4
    used["r2_class_a"] += AUDITS * stored / OBJECTS_PAGE
    used["traces"] += min(used["lambda_requests"], TRACED_PER_MONTH + TRACED_SHARE * used["lambda_requests"])
    # Each copy of a function that is warm reads its secrets once in `SecretTtlSeconds`.
    warm = 1 + used["lambda_gb_seconds"] / SECONDS_OF_MONTH
    used["secret_reads"] += SECRETS * warm * SECONDS_OF_MONTH / measured.default("SecretTtlSeconds")
    return used


def costs(prices: Mapping[str, Price], used: Mapping[str, float]) -> dict[str, float]:
    """Return USD for each group of GROUPS."""
    return {group: sum(prices[name].of(used.get(name, 0)) for name in names) for group, names in GROUPS.items()}
