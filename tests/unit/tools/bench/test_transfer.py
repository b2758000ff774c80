"""What the transfer benchmark computes and prints, and how it calls rclone."""

from collections import Counter
from pathlib import Path

import pytest

from tools.bench import transfer
from tools.bench.transfer import GB, MIB, BenchError, Copy, Counted, Prices
from tools.local.template import read

# 60 parts in one segment.
CALLS = {
    "plan": Counter({"s3.ListMultipartUploads": 1, "s3.CreateMultipartUpload": 1, "dynamodb.TransactedItem": 1}),
    "copy": Counter({"s3.ListParts": 1, "s3.UploadPart": 60, "dynamodb.PutItem": 60, "dynamodb.UpdateItem": 1}),
    "complete": Counter({"s3.ListParts": 1, "s3.CompleteMultipartUpload": 1, "dynamodb.Query": 1}),
    "verify": Counter({"s3.HeadObject": 1, "s3.GetObject": 4}),
}


def counted(**tasks: Counter[str]) -> Counted:
    return Counted({**CALLS, **tasks}, transitions=9, parts=60, segments=1, memory_mb=1024)


def a_copy(rate: float, cpu: float) -> Copy:
    return Copy(rate, cpu, 200.0, {}, {}, {})


def test_the_cost_of_the_recording_that_was_counted_is_what_was_counted() -> None:
    one = transfer.cost(counted(), 60 * 16 * MIB, 16 * MIB, 1, 100_000_000)

    assert (one.parts, one.segments) == (60, 1)
    assert one.class_a == 60 + 5
    assert one.class_b == 5
    assert one.writes == 60 + 1 + 2
    assert one.transitions == 10
    assert one.gb_seconds == pytest.approx(60 * 16 * MIB / 100_000_000)
    assert one.slow_gb_seconds == pytest.approx(5 * one.gb_seconds)


def test_the_cost_of_a_larger_one_grows_by_parts_segments_and_pages() -> None:
    one = transfer.cost(counted(), 2500 * 16 * MIB, 16 * MIB, 20, 100_000_000)

    # Three pages of parts, listed for each segment and once to complete.
    assert one.class_a == 2500 + 3 * 20 + 3 + 3
    assert one.class_b == 5
    assert one.writes == 2500 + 20 + 2
    assert one.transitions == 9 + 20


def test_less_memory_costs_less() -> None:
    half = Counted(CALLS, 9, 60, 1, memory_mb=512)

    assert transfer.cost(half, GB, 16 * MIB, 1, 100_000_000).gb_seconds == pytest.approx(5)


def test_an_operation_of_no_known_price_is_told_and_not_left_out() -> None:
    with pytest.raises(BenchError, match="CopyObject"):
        transfer.cost(counted(other=Counter({"s3.CopyObject": 1})), GB, 16 * MIB, 1, 100_000_000)


def test_prices_of_aws_are_asked_for_and_never_guessed() -> None:
    one = transfer.cost(counted(), 60 * 16 * MIB, 16 * MIB, 1, 100_000_000)

    assert Prices().aws(one) is None
    assert Prices(gb_second=1.0, thousand_transitions=1.0).aws(one) is None
    assert Prices(gb_second=1.0, thousand_transitions=1000.0, million_writes=1e6).aws(one) == pytest.approx(
        one.gb_seconds + 10 + 63
    )
    assert Prices(class_a=1e6, class_b=0.0).r2(one) == 65
    assert "AWS" not in transfer.cost_table([one], Prices(), 1e8)
    assert "AWS, USD" in transfer.cost_table([one], Prices(1, 1, 1, 1, 1), 1e8)


def test_the_throughput_is_printed_as_medians_and_their_ratio() -> None:
    engine = [a_copy(rate, 4.0) for rate in (90e6, 300e6, 100e6)]
    rclone = [a_copy(rate, 5.0) for rate in (125e6, 10e6, 130e6)]

    last = transfer.throughput_table(engine, rclone).splitlines()[-1]

    assert last.split() == ["median", "100.0", "4.0", "125.0", "5.0", "ratio", "0.80"]


def test_rclone_copies_in_the_engines_parts_as_many_at_once() -> None:
    command = transfer.rclone_command("rclone", "http://x/f?signature=s", "bucket", "key", 32 * MIB, 4)

    assert command[:4] == ["rclone", "copyurl", "http://x/f?signature=s", "r2:bucket/key"]
    assert {"--s3-chunk-size=32M", "--s3-upload-concurrency=4", "--s3-upload-cutoff=0"} <= {*command}


def test_a_missing_rclone_is_one_line_that_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(transfer, "TOOL", tmp_path / "rclone")
    monkeypatch.setattr("sys.argv", ["tools.bench.transfer"])
    monkeypatch.setattr("sys.platform", "linux")

    assert transfer.main() == 1

    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert "apt-get install -y rclone" in told.err


def test_the_memory_of_the_copying_function_is_the_templates() -> None:
    assert transfer.memory_of("CopySegment") >= 512
    assert transfer.memory_of("MarkReady") == read(transfer.ROOT / "template.yaml")["Globals"]["Function"]["MemorySize"]
