"""The tables of costs and quotas, and their places in the documents."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from tools.bench.cost.measured import ROOT, Measured
from tools.bench.cost.month import GROUPS, RECORDING, costs, of_month
from tools.bench.cost.prices import UNCONFIRMED, Price
from tools.bench.cost.profiles import MEETINGS, PROFILES, Profile
from tools.bench.cost.quotas import PEAK, Quota, quotas

SCALES: Final = tuple(10**power for power in range(3, 8))
BEGIN: Final = "<!-- python -m tools.bench.cost --write writes {}: begin -->"
END: Final = "<!-- {}: end -->"


class NoPlace(Exception):
    """A document has no place for a table."""


def usd(amount: float) -> str:
    """Format an amount for people: without cents from 100 on."""
    return f"{amount:,.0f}" if amount >= 100 else f"{amount:,.2f}"


def heading(profile: Profile) -> str:
    """Say in one line what a profile is."""
    how = "delivered by Cloudflare" if profile.delivered else "copied by us"
    archived = f", {profile.archived:.0%} archived after {profile.r2_months}" if profile.archived else ""
    return (
        f"{profile.name}: {profile.minutes} minutes, {profile.size_bytes / 1e6:,.0f} MB, {how};"
        f" {profile.gets:g} reads, {profile.lists:g} lists, {profile.downloads:g} downloads;"
        f" kept {profile.kept_months} months{archived}"
    )


def cost_lines(prices: Mapping[str, Price], measured: Measured, profile: Profile) -> Iterator[str]:
    """Iterate over the lines of a profile's table: USD a month, a column for each scale."""
    months = [of_month(measured, profile, scale) for scale in SCALES]
    columns = [costs(prices, month) for month in months]

    def line(name: str, amounts: Sequence[float]) -> str:
        return f"{name:32}" + "".join(f"{usd(amount):>14}" for amount in amounts)

    yield heading(profile)
    yield f"{'begin in a month':32}" + "".join(f"{scale:14,}" for scale in SCALES)
    for group in GROUPS:
        yield line(group, [column[group] for column in columns])
    checksums = [sum(column.values()) for column in columns]
    yield line("sum, USD", checksums)
    yield f"{'sum for each recording':32}" + "".join(
        f"{total / scale:14.4f}" for total, scale in zip(checksums, SCALES, strict=True)
    )
    yield line("Cloudflare's own recording", [prices[RECORDING].of(month[RECORDING]) for month in months])


def price_lines(prices: Mapping[str, Price]) -> Iterator[str]:
    """Iterate over the prices that could not be confirmed."""
    unconfirmed = [name for name, price in prices.items() if price.read == UNCONFIRMED]
    dates = sorted({price.read for price in prices.values() if price.read != UNCONFIRMED})
    yield f"{len(prices)} prices; read {dates[0]} to {dates[-1]}; unconfirmed: {', '.join(unconfirmed) or 'none'}"


def quota_lines(measured: Measured, profile: Profile) -> Iterator[str]:
    """Iterate over the lines of the table of limits, the first one that is met at the beginning."""
    yield heading(profile)
    yield f"share of the limit in the busiest minute, {PEAK} times the average"
    yield f"{'limit':42}{'':>24}" + "".join(f"{scale:>12,}" for scale in SCALES) + f"{'met at':>16}"
    for quota in quotas(measured, profile):
        yield _quota_line(quota)


def _quota_line(quota: Quota) -> str:
    limit = f"{usd(quota.limit)} {quota.unit}"
    shares = "".join(f"{_percent(quota.share(scale)):>12}" for scale in SCALES)
    return f"{quota.name:42}{limit:>24}{shares}{_rounded(quota.recordings):>16}"


def _percent(share: float) -> str:
    return f"{share:,.0%}" if share >= 0.1 else f"{share:.1%}"


def _rounded(recordings: float) -> str:
    return f"{float(f'{recordings:.2g}'):,.0f}"


def ask_lines(measured: Measured, profile: Profile) -> Iterator[str]:
    """Iterate over what to ask for at each scale, as a Markdown table."""
    yield "| recordings a month | first limit that is met | what to raise before |"
    yield "| --- | --- | --- |"
    before = 0
    for scale in SCALES:
        met = [quota for quota in quotas(measured, profile) if before < quota.recordings <= scale]
        before = scale
        names = "; ".join(f"{quota.name} (at {_rounded(quota.recordings)})" for quota in met) or "none more"
        yield f"| {scale:,} | {names} | {'; '.join(quota.ask for quota in met) or 'nothing more'} |"


def blocks(prices: Mapping[str, Price], measured: Measured) -> Mapping[str, str]:
    """Return each table by its name."""
    return {
        "costs": _text(*(cost_lines(prices, measured, profile) for profile in PROFILES), price_lines(prices)),
        "cost of meetings": _text(cost_lines(prices, measured, MEETINGS)),
        "quotas": _text(quota_lines(measured, MEETINGS)),
        "what to ask for": "\n".join(ask_lines(measured, MEETINGS)),
    }


def _text(*tables: Iterator[str]) -> str:
    return "```text\n" + "\n\n".join("\n".join(lines) for lines in tables) + "\n```"


PLACES: Final[Mapping[str, Path]] = {
    "costs": ROOT / "docs/costs.md",
    "cost of meetings": ROOT / "docs/scale.md",
    "quotas": ROOT / "docs/scale.md",
    "what to ask for": ROOT / "docs/scale.md",
}


def placed(document: str, name: str, block: str) -> str:
    """Return the document with a table in its place. Raises NoPlace."""
    begin, end = BEGIN.format(name), END.format(name)
    before, found, rest = document.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise NoPlace(f"the document must contain {begin!r} and {end!r}")
    return f"{before}{begin}\n\n{block}\n\n{end}{after}"


def write(tables: Mapping[str, str]) -> None:
    """Put the tables into the documents."""
    for name, path in PLACES.items():
        path.write_text(placed(path.read_text(), name, tables[name]))


def outdated(tables: Mapping[str, str]) -> list[str]:
    """Return the names of tables that the documents do not show as they are now."""
    return [name for name, path in PLACES.items() if placed(path.read_text(), name, tables[name]) != path.read_text()]
