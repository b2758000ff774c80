"""How the bench of lists judges and shows what it measured."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

from recordings.domain.lifecycle import Status
from tools.bench.lists import postgres, report
from tools.bench.lists.cases import Case
from tools.bench.lists.data import generate
from tools.bench.lists.measure import CaseCost, PageCost, WrongPage, check, row
from tools.bench.lists.postgres import PostgresCost, PostgresMissing, QueryCost
from tools.bench.lists.results import LayoutCosts, SizeResult, missed_bars

NAMES = ("no filter", "failed <&>")


def costs(units: float = 10, *, trips: int = 3, cpu_ms: float = 5, get_ms: float = 2) -> LayoutCosts:
    pages = [PageCost(offset, units, trips, trips, cpu_ms / 1000) for offset in (0, 50, 99)]
    return LayoutCosts([CaseCost(Case(name=name), 100, pages) for name in NAMES], get_ms)


def result(rows: LayoutCosts, live: int = 1000, *, with_postgres: bool = True) -> SizeResult:
    queries = {name: PostgresCost(Case(name=name), [QueryCost(0, 12, 0.5)]) for name in NAMES}
    return SizeResult(live, rows, costs(800), costs(50_000), queries if with_postgres else {})


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        pytest.param(costs(26), "1,000, no filter: 26 read units, the limit is 25", id="units"),
        pytest.param(costs(trips=5), "1,000, no filter: 5 trips, the limit is 4", id="trips"),
        pytest.param(costs(12.5), "1,000: a median of 12.5 read units, the limit is 12", id="median"),
        pytest.param(
            costs(cpu_ms=20), "1,000: 20.0 ms of CPU for a list, 2.0 ms for a get; the limit is 15 ms or 8 x", id="CPU"
        ),
    ],
)
def test_a_bar_that_does_not_hold_is_named(rows: LayoutCosts, sentence: str) -> None:
    assert sentence in list(missed_bars([result(rows)]))


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(costs(12, trips=4, cpu_ms=15), id="all at their limits"),
        pytest.param(costs(cpu_ms=40, get_ms=5), id="a slow machine, on which a get is slow too"),
    ],
)
def test_bars_that_hold_are_not_named(rows: LayoutCosts) -> None:
    assert list(missed_bars([result(rows)])) == []


def test_growth_is_between_the_smallest_and_the_largest() -> None:
    results = [result(costs(units), live) for live, units in ((1000, 4), (10_000, 12), (100_000, 11.5))]
    assert list(missed_bars(results)) == []

    results.append(result(costs(12), 1_000_000))
    assert list(missed_bars(results)) == [
        f"the {name} page costs 4 read units at 1,000 and 12 at 1,000,000, which is not less than 3 x"
        for name in ("worst", "median")
    ]


@pytest.mark.parametrize("with_postgres", [pytest.param(True, id="PostgreSQL"), pytest.param(False, id="without")])
def test_the_tables_have_a_row_for_each_size_and_each_filter(with_postgres: bool) -> None:
    results = [result(costs(), live, with_postgres=with_postgres) for live in (1000, 1_000_000)]

    text = report.block(results, ["seed 1"])

    lines = text.splitlines()
    assert any(line.split()[:4] == ["1000000", "10", "10", "3"] for line in lines)
    assert any(line.startswith("failed <&>") and "50,000" in line for line in lines)
    assert ("8 KB" in text) is with_postgres
    for name in report.pictures(results):
        assert f"(pictures/{name}.svg)" in text


@pytest.mark.parametrize("with_postgres", [pytest.param(True, id="PostgreSQL"), pytest.param(False, id="without")])
def test_pictures_are_svg_that_fits_its_frame(with_postgres: bool) -> None:
    results = [result(costs(), live, with_postgres=with_postgres) for live in (1000, 1_000_000)]

    pictures = report.pictures(results)

    assert pictures.keys() == {"list-by-offset", "list-by-filter", "list-by-size"}
    for _, picture in pictures.values():
        root = ET.fromstring(picture)
        width, height = float(root.attrib["width"]), float(root.attrib["height"])
        places = list(_places(root))
        assert len(places) > 20
        assert all(0 <= x <= width and 0 <= y <= height for x, y in places)


def _places(root: ET.Element) -> Iterator[tuple[float, float]]:
    for element in root.iter():
        found = element.attrib
        for x, y in (("x", "y"), ("cx", "cy"), ("x1", "y1"), ("x2", "y2")):
            if x in found:
                yield float(found[x]), float(found[y])
        for point in found.get("points", "").split():
            left, _, right = point.partition(",")
            yield float(left), float(right)


def test_what_is_written_replaces_what_was_between_the_markers(tmp_path: Path) -> None:
    path = tmp_path / "figures.md"
    path.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")

    report.write(path, "new")

    assert path.read_text() == f"before\n{report.BEGIN}\n\nnew\n\n{report.END}\nafter\n"


def test_a_file_without_markers_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "figures.md"
    path.write_text("text\n")

    with pytest.raises(ValueError, match="no place"):
        report.write(path, "new")

    assert path.read_text() == "text\n"


def test_a_page_that_differs_in_anything_is_wrong() -> None:
    dataset = generate(1000)
    selected = Case(name="all").selected(dataset)
    data = [row(dataset, at) for at in selected[20:40]]
    meta = {"total": 1000, "limit": 20, "offset": 20, "next_cursor": "x"}

    check({"data": data, "meta": meta}, dataset, selected, 20, 20)

    for wrong in (
        {"data": data[1:], "meta": meta},
        {"data": [data[0] | {"size_bytes": 1}, *data[1:]], "meta": meta},
        {"data": data, "meta": meta | {"total": 999}},
        {"data": data, "meta": meta | {"next_cursor": None}},
        {"data": data, "meta": meta | {"offset": None}},
    ):
        with pytest.raises(WrongPage):
            check(wrong, dataset, selected, 20, 20)


def test_a_filter_in_sql_names_each_of_its_parts() -> None:
    dataset = generate(1000)
    at = dataset.created_at(500)
    case = Case(name="all", room_id="room-1", statuses=(Status.FAILED, Status.READY), after=at, before=at)

    assert postgres.conditions(Case(name="none")) == "true"
    assert postgres.conditions(case) == (
        f"room_id = 'room-1' AND status IN ('failed', 'ready') AND created_at > '{at.isoformat()}'"
        f" AND created_at < '{at.isoformat()}'"
    )


def test_a_plan_tells_pages_and_time() -> None:
    plan = (
        '[{"Plan": {"Shared Hit Blocks": 3, "Shared Read Blocks": 2}, "Planning": {"Shared Hit Blocks": 1},'
        ' "Planning Time": 0.25, "Execution Time": 1.5}]'
    )

    first, second = postgres.statement_costs(f"{plan}\n{plan}\n")

    assert first == second
    assert (first.pages, first.milliseconds) == (5, 1.75)


def test_a_machine_without_postgresql_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(PostgresMissing, match=r"apt-get install -y postgresql.*POSTGRES=off"):
        postgres.programs(debian=tmp_path)
