"""What the cold start benchmark takes for its subjects and how it tells of them."""

from pathlib import Path

from tools.bench import cold_start
from tools.bench.cold_start import BARE, Candidate, Row
from tools.local.template import read


def test_every_function_that_answers_http_is_measured(tmp_path: Path) -> None:
    template = read(cold_start.ROOT / "template.yaml")

    found = {one.name: one for one in cold_start.candidates(template, tmp_path)}

    assert {BARE, "StartRecording", "ListRecordings", "ReceiveWebhook"} <= found.keys()
    assert "CopySegment" not in found
    assert (found["StartRecording"].target, found["ListRecordings"].target, found[BARE].target) == (1.6, 1.3, None)
    assert found["StopRecording"].environment["PROCESSING_ARN"].startswith("arn:")
    assert found["StopRecording"].environment["STALL_AFTER_SECONDS"] == "21600"


def test_an_import_sees_nothing_of_the_developers_environment(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import pytest\n\n\ndef handler(event, context):\n    return {}\n")

    done = cold_start.run(Candidate("x", tmp_path, {}, None), [])

    assert done.returncode
    assert cold_start.last_line(done.stderr) == "ModuleNotFoundError: No module named 'pytest'"
    assert not [*tmp_path.glob("__pycache__")]


def test_a_ratio_over_its_target_is_marked_and_a_broken_import_is_told() -> None:
    rows = [
        Row(BARE, 100.0, 99.0, 1.0, None),
        Row("Fast", 130.4, 120.0, 1.304, 1.3),
        Row("Slow", 131.0, 120.0, 1.31, 1.3),
        Row("Broken", None, None, None, 1.3, "ModuleNotFoundError: No module named 'x'"),
    ]

    lines = cold_start.table(rows).splitlines()[1:]

    assert [line.endswith("over") for line in lines] == [False, False, True, False]
    assert "cannot be imported: ModuleNotFoundError" in lines[3]


def test_a_function_that_cannot_be_imported_is_a_row_and_no_crash(tmp_path: Path) -> None:
    for name, code in (("bare", "def handler(event, context):\n    pass\n"), ("bad", "import nothing_like_this\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "app.py").write_text(code)
    found = [Candidate(BARE, tmp_path / "bare", {}, None), Candidate("Bad", tmp_path / "bad", {}, 1.3)]

    bare, bad = cold_start.measure(found, [], 1)

    assert bare.ratio == 1.0
    assert bad.error == "ModuleNotFoundError: No module named 'nothing_like_this'"
