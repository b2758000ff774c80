"""What the cold start benchmark measures, and how it shows it."""

import subprocess
from pathlib import Path

import pytest

from tools.bench import cold_start
from tools.bench.cold_start import BARE, BenchError, Candidate, Row

BARE_APP = "def handler(event, context):\n    pass\n"
BROKEN_APP = "import nothing_like_this\n"


def candidate(folder: Path, name: str, code: str = BARE_APP, max_ratio: float | None = None) -> Candidate:
    place = folder / name
    place.mkdir(parents=True)
    (place / "app.py").write_text(code)
    return Candidate(name, place, (), {}, max_ratio)


def row(name: str, bare_ratio: float, baseline_ratio: float | None, limit: float = 1.5) -> Row:
    return Row(name, 150.0, bare_ratio, limit, 140.0 if baseline_ratio else None, baseline_ratio)


def test_every_function_that_serves_http_is_measured_with_its_limit(tmp_path: Path) -> None:
    found = {one.name: one for one in cold_start.candidates(cold_start.ROOT, tmp_path, ())}

    assert {"StartRecording", "ListRecordings", "ReceiveWebhook"} <= found.keys()
    assert "CopySegment" not in found
    assert (found["StartRecording"].max_ratio, found["ListRecordings"].max_ratio) == (1.8, 1.5)
    assert found["StopRecording"].environment["PROCESSING_ARN"].startswith("arn:")
    assert found["StopRecording"].environment["STALL_AFTER_SECONDS"] == "21600"
    # Lambda sets it: garbage collection depends on it.
    assert found["StopRecording"].environment["LAMBDA_TASK_ROOT"]


def test_all_functions_are_measured_on_request(tmp_path: Path) -> None:
    found = {one.name for one in cold_start.candidates(cold_start.ROOT, tmp_path, (), every=True)}

    assert {"CopySegment", "ReconcileBatch", "StartRecording"} <= found


def test_an_import_sees_nothing_of_the_developers_environment(tmp_path: Path) -> None:
    done = cold_start.run(candidate(tmp_path, "x", f"import pytest\n\n\n{BARE_APP}"))

    assert done.returncode
    assert cold_start.last_line(done.stderr) == "ModuleNotFoundError: No module named 'pytest'"
    assert not [*tmp_path.rglob("__pycache__")]


def test_both_ratios_of_a_function_compare_the_fastest_of_the_same_rounds(tmp_path: Path) -> None:
    bare = candidate(tmp_path / "bare", BARE)
    now = [candidate(tmp_path / "now", "Get", max_ratio=1.5), candidate(tmp_path / "now", "New", max_ratio=1.5)]
    then = [candidate(tmp_path / "then", "Get")]

    bare_ms, (get, new) = cold_start.compare(bare, now, then, 2)

    assert get.fastest_ms is not None
    assert get.baseline_ms is not None
    assert get.bare_ratio == pytest.approx(get.fastest_ms / bare_ms)
    assert get.baseline_ratio == pytest.approx(get.fastest_ms / get.baseline_ms)
    # A function that the baseline did not have is compared with the bare handler alone.
    assert (new.baseline_ms, new.baseline_ratio, new.bare_ratio is not None) == (None, None, True)


@pytest.mark.parametrize(
    ("bare_ratio", "baseline_ratio", "is_over"),
    [
        pytest.param(1.504, 1.104, False, id="at both limits"),
        pytest.param(1.51, 1.0, True, id="over the bare handler's"),
        pytest.param(1.2, 1.11, True, id="over the baseline's"),
        pytest.param(1.2, None, False, id="no baseline"),
    ],
)
def test_a_ratio_over_its_limit_is_marked(bare_ratio: float, baseline_ratio: float | None, is_over: bool) -> None:
    *_, line = cold_start.table(100.0, [row("Get", bare_ratio, baseline_ratio)], "f4069c0").splitlines()

    assert line.endswith("over") == is_over
    assert f"{bare_ratio:.2f}" in line
    assert baseline_ratio is None or f"{baseline_ratio:.2f}" in line


def test_a_function_that_cannot_be_imported_is_a_row(tmp_path: Path) -> None:
    bare, bad = candidate(tmp_path, BARE), candidate(tmp_path, "Bad", BROKEN_APP, 1.5)

    bare_ms, (found,) = cold_start.compare(bare, [bad], [], 1)

    assert found.error == "ModuleNotFoundError: No module named 'nothing_like_this'"
    assert "Bad             cannot be imported: ModuleNotFoundError" in cold_start.table(bare_ms, [found], "f4069c0")


def test_a_measure_that_cannot_be_imported_is_an_error(tmp_path: Path) -> None:
    now, then = candidate(tmp_path / "now", "Get"), candidate(tmp_path / "then", "Get", BROKEN_APP)

    with pytest.raises(BenchError, match="Get of the measure cannot be imported: ModuleNotFoundError"):
        cold_start.compare(candidate(tmp_path, BARE), [now], [then], 1)


def test_the_baseline_is_unpacked_from_git(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    for name in ("layers/recordings/one.py", "functions/api/get/app.py", "template.yaml", "README.md"):
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text("first")
    git = ["git", "-C", str(repository), "-c", "user.name=n", "-c", "user.email=n@example.org"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "first"], ["tag", "first"]):
        subprocess.run([*git, *command], check=True, capture_output=True)
    (repository / "template.yaml").write_text("second")

    source = cold_start.check_out(repository, "first", tmp_path)

    assert sorted(str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()) == [
        "functions/api/get/app.py",
        "layers/recordings/one.py",
        "template.yaml",
    ]
    assert (source / "template.yaml").read_text() == "first"
    assert cold_start.check_out(repository, "first", tmp_path) == source
    with pytest.raises(BenchError, match="git has no commit second: fetch the whole history"):
        cold_start.check_out(repository, "second", tmp_path)
