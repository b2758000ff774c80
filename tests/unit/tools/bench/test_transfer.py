"""What the transfer benchmark computes and prints, and how it calls rclone."""

from collections import Counter
from pathlib import Path

import pytest

from tools.bench.transfer import __main__ as command
from tools.bench.transfer import cost, rclone
from tools.bench.transfer.cost import GB, Counted, Prices
from tools.bench.transfer.errors import BenchError
from tools.bench.transfer.measure import Bar, Copy, Measured, Scheme, Turn, bars, table
from tools.bench.transfer.rclone import MIB, Usage
from tools.local import stack
from tools.local.template import read

# 60 parts in one segment.
CALLS = {
    "plan": Counter({"s3.ListMultipartUploads": 1, "s3.CreateMultipartUpload": 1, "dynamodb.TransactedItem": 1}),
    "copy": Counter({"s3.ListParts": 1, "s3.UploadPart": 60, "dynamodb.BatchedItem": 60, "dynamodb.UpdateItem": 1}),
    "complete": Counter({"s3.ListParts": 1, "s3.CompleteMultipartUpload": 1, "dynamodb.Query": 1}),
    "verify": Counter({"s3.HeadObject": 1, "s3.GetObject": 4}),
}


def counted(**tasks: Counter[str]) -> Counted:
    return Counted({**CALLS, **tasks}, transitions=9, parts=60, segments=1, memory_mb=1024)


def measured(*turns: tuple[Usage, Usage, Usage], scheme: Scheme = "http") -> Measured:
    nothing = Copy(Usage(1, 1), 200.0, {}, {}, {})
    return Measured(scheme, [Turn(100_000_000, *turn) for turn in turns], nothing, Counter())


def test_the_cost_of_the_recording_that_was_counted_is_what_was_counted() -> None:
    one = cost.cost(counted(), 60 * 16 * MIB, 16 * MIB, 1, 100_000_000)

    assert (one.parts, one.segments) == (60, 1)
    assert one.class_a == 60 + 5
    assert one.class_b == 5
    assert one.writes == 60 + 1 + 2
    assert one.transitions == 10
    assert one.gb_seconds == pytest.approx(60 * 16 * MIB / 100_000_000)
    assert one.slow_gb_seconds == pytest.approx(5 * one.gb_seconds)


def test_the_cost_of_a_larger_one_grows_by_parts_segments_and_pages() -> None:
    one = cost.cost(counted(), 2500 * 16 * MIB, 16 * MIB, 20, 100_000_000)

    # Three pages of parts, listed for each segment and once to complete.
    assert one.class_a == 2500 + 3 * 20 + 3 + 3
    assert one.class_b == 5
    assert one.writes == 2500 + 20 + 2
    assert one.transitions == 9 + 20


def test_less_memory_costs_less() -> None:
    half = Counted(CALLS, 9, 60, 1, memory_mb=512)

    assert cost.cost(half, GB, 16 * MIB, 1, 100_000_000).gb_seconds == pytest.approx(5)


def test_an_operation_of_no_known_price_is_told_and_not_left_out() -> None:
    with pytest.raises(BenchError, match="CopyObject"):
        cost.cost(counted(other=Counter({"s3.CopyObject": 1})), GB, 16 * MIB, 1, 100_000_000)


def test_prices_of_aws_are_asked_for_and_never_guessed() -> None:
    one = cost.cost(counted(), 60 * 16 * MIB, 16 * MIB, 1, 100_000_000)

    assert Prices().aws(one) is None
    assert Prices(gb_second=1.0, thousand_transitions=1.0).aws(one) is None
    assert Prices(gb_second=1.0, thousand_transitions=1000.0, million_writes=1e6).aws(one) == pytest.approx(
        one.gb_seconds + 10 + 63
    )
    assert Prices(class_a=1e6, class_b=0.0).r2(one) == 65
    assert "AWS" not in cost.cost_table([one], Prices(), 1e8)
    assert "AWS, USD" in cost.cost_table([one], Prices(1, 1, 1, 1, 1), 1e8)


FAST, SLOW, DEFAULT = Usage(1.0, 2.0), Usage(1.2, 2.5), Usage(1.3, 3.0)


def test_the_figures_of_each_turn_and_their_medians_are_printed() -> None:
    found = measured((FAST, SLOW, DEFAULT), (Usage(2.0, 1.0), SLOW, DEFAULT), (Usage(0.5, 9.0), SLOW, DEFAULT))

    lines = table(found).splitlines()

    assert len(lines) == 2 + 3 + 1
    assert lines[2].split() == ["1", "100.0", "2.00", "83.3", "2.50", "76.9", "3.00"]
    assert lines[-1].split() == ["median", "100.0", "2.00", "83.3", "2.50", "76.9", "3.00"]


def test_the_bars_are_medians_of_the_ratios_of_each_turn() -> None:
    # The second turn met a slow machine: what was measured in it is compared with itself only.
    found = measured(
        (FAST, SLOW, DEFAULT), (Usage(10, 20), Usage(12, 25), Usage(13, 30)), (Usage(9, 9), SLOW, DEFAULT), scheme="TLS"
    )

    assert [(round(bar.value, 3), bar.is_met) for bar in bars(found)] == [
        (1.2, True),
        (0.8, True),
        (1.3, True),
        (0.667, True),
    ]
    assert str(bars(found)[0]) == "TLS, rclone with the same parts: throughput, ratio: 1.20 (at least 1.10): met"


@pytest.mark.parametrize(
    ("value", "at_least", "met"),
    [(1.1, True, True), (1.09, True, False), (1.1, False, True), (1.11, False, False)],
)
def test_a_bar_is_met_at_its_limit_and_not_beyond(value: float, at_least: bool, met: bool) -> None:
    bar = Bar("throughput", value, 1.1, at_least)

    assert bar.is_met is met
    assert str(bar).endswith(": met" if met else ": MISSED")


@pytest.mark.parametrize(("authority", "trust"), [(None, []), (Path("/x.pem"), ["--ca-cert=/x.pem"])])
def test_rclone_copies_in_the_engines_parts_as_many_at_once(authority: Path | None, trust: list[str]) -> None:
    line = rclone.copy_command(
        "rclone", "http://x/f?signature=s", "bucket", "key", part_size=32 * MIB, concurrency=4, authority=authority
    )

    assert line[:4] == ["rclone", "copyurl", "http://x/f?signature=s", "r2:bucket/key"]
    assert {"--s3-chunk-size=32M", "--s3-upload-concurrency=4", "--s3-upload-cutoff=0"} <= {*line}
    assert [argument for argument in line if "ca-cert" in argument] == trust


def test_a_missing_rclone_is_one_line_that_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(rclone, "TOOL", tmp_path / "rclone")
    monkeypatch.setattr("sys.argv", ["tools.bench.transfer"])
    monkeypatch.setattr("sys.platform", "linux")

    assert command.main() == 1

    reported = capsys.readouterr()
    assert reported.out == ""
    assert reported.err.count("\n") == 1
    assert "apt-get install -y rclone" in reported.err


def test_the_memory_of_the_copying_function_is_the_templates() -> None:
    assert cost.memory_of("CopySegment") >= 512
    assert cost.memory_of("MarkReady") == read(stack.ROOT / "template.yaml")["Globals"]["Function"]["MemorySize"]
