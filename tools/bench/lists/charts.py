"""Charts as SVG, with a logarithmic scale. No library: the pictures are a few lines, and the same on every machine."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

WIDTH: Final = 760
INK, PALE = "#24292f", "#d0d7de"
# They differ in lightness too, for printers and for people who see few colors.
COLORS: Final = ("#0550ae", "#e16f24", "#8c959f", "#2da44e")


@dataclass(frozen=True, slots=True)
class Point:
    x: float
    y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """A scale from `low` to `high`, drawn from `start` to `end` in pixels."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = True

    def place(self, value: float) -> float:
        """Return the pixel of a value. What is below the scale is drawn at its beginning."""
        low, high, value = (self._scaled(one) for one in (self.low, self.high, max(value, self.low)))
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self) -> Iterator[float]:
        if not self.logarithmic:
            yield from (self.low + (self.high - self.low) * part / 4 for part in range(5))
            return
        for power in range(round(math.log10(self.low)), math.floor(math.log10(self.high)) + 1):
            yield 10.0**power

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.logarithmic else value


def line_chart(
    title: str,
    series: Mapping[str, Sequence[Point]],
    *,
    x_label: str,
    y_label: str,
    x_logarithmic: bool,
    limit: tuple[str, float] | None = None,
) -> str:
    """Return a chart with a line for each series; `limit` is a horizontal line with its name."""
    height = 420
    points = [point for line in series.values() for point in line]
    last = max(point.x for point in points)
    x_axis = Axis(
        low=min(point.x for point in points) if x_logarithmic else 0,
        high=last if x_logarithmic else _rounded_up(last),
        start=70,
        end=WIDTH - 30,
        logarithmic=x_logarithmic,
    )
    y_axis = Axis(low=1, high=_ceiling(max(point.y for point in points)), start=height - 60, end=80)
    parts = [*_heading(title, list(series)), *_horizontal_grid(y_axis, x_axis), *_x_ticks(x_axis, y_axis.start)]
    parts.append(_text((x_axis.start + x_axis.end) / 2, height - 16, x_label, anchor="middle"))
    parts.append(_text(16, 66, y_label))
    if limit is not None:
        name, value = limit
        at = y_axis.place(value)
        parts.append(_line(x_axis.start, at, x_axis.end, at, INK, extra=' stroke-dasharray="4 3"'))
        parts.append(_text(x_axis.end, at - 5, name, anchor="end"))
    for color, line in zip(COLORS, series.values(), strict=False):
        places = [(x_axis.place(point.x), y_axis.place(point.y)) for point in line]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>')
        if len(places) <= 12:
            parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{color}"/>' for x, y in places]
    return _document(title, height, parts)


def bar_chart(title: str, names: Sequence[str], series: Mapping[str, Sequence[float]], *, x_label: str) -> str:
    """Return a chart with a group of bars for each name, one bar for each series."""
    bar = 9
    group = bar * len(series) + 8
    top = 80
    height = top + group * len(names) + 60
    highest = max(value for values in series.values() for value in values)
    axis = Axis(low=1, high=_ceiling(highest), start=250, end=WIDTH - 70)
    bottom = height - 56
    parts = [*_heading(title, list(series)), *_x_ticks(axis, bottom, top)]
    for at, name in enumerate(names):
        y = top + at * group
        parts.append(_text(axis.start - 8, y + group / 2, name, anchor="end"))
        for place, (color, values) in enumerate(zip(COLORS, series.values(), strict=False)):
            end = axis.place(values[at])
            parts.append(
                f'<rect x="{axis.start}" y="{y + place * bar}" width="{max(1.0, end - axis.start):.1f}"'
                f' height="{bar - 1}" fill="{color}"/>'
            )
            parts.append(_text(end + 4, y + place * bar + bar - 1, number(values[at]), size=9))
    parts.append(_text((axis.start + axis.end) / 2, height - 16, x_label, anchor="middle"))
    return _document(title, height, parts)


def number(value: float) -> str:
    """Return a number for people: 6,252 or 4.5."""
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:,.1f}"


def _ceiling(value: float) -> float:
    return float(10 ** math.ceil(math.log10(max(value, 10))))


def _rounded_up(value: float) -> float:
    """Return the next number with one digit other than zero."""
    step = 10 ** math.floor(math.log10(max(value, 1)))
    return float(math.ceil(value / step) * step)


def _heading(title: str, names: Sequence[str]) -> Iterator[str]:
    yield _text(16, 24, title, size=15)
    x = 16.0
    for color, name in zip(COLORS, names, strict=False):
        yield f'<rect x="{x:.0f}" y="36" width="12" height="12" fill="{color}"/>'
        yield _text(x + 18, 46, name)
        x += 40 + 6.6 * len(name)


def _horizontal_grid(y_axis: Axis, x_axis: Axis) -> Iterator[str]:
    for value in y_axis.ticks():
        at = y_axis.place(value)
        yield _line(x_axis.start, at, x_axis.end, at, PALE)
        yield _text(x_axis.start - 8, at + 4, number(value), anchor="end")


def _x_ticks(axis: Axis, bottom: float, top: float | None = None) -> Iterator[str]:
    for value in axis.ticks():
        at = axis.place(value)
        yield _line(at, bottom if top is None else top, at, bottom + 5, PALE)
        yield _text(at, bottom + 18, number(value), anchor="middle")


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 12) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-family="Helvetica,Arial,sans-serif"'
        f' font-size="{size}" fill="{INK}">{escape(text)}</text>'
    )


def _line(x1: float, y1: float, x2: float, y2: float, color: str, *, extra: str = "") -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{color}"{extra}/>'


def _document(title: str, height: float, parts: Sequence[str]) -> str:
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}"'
        f' viewBox="0 0 {WIDTH} {height:.0f}" role="img">\n<title>{escape(title)}</title>\n'
        f'<rect width="{WIDTH}" height="{height:.0f}" fill="white"/>\n{body}\n</svg>\n'
    )
