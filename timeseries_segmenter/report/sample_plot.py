"""A series with what is annotated and what is predicted. Slow to import: see `report_picture`."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, ScalarFormatter

from timeseries_segmenter.project.evaluation import TOLERANCE
from timeseries_segmenter.report.colours import FAINT, INK, MUTED, PANEL, SIGNAL, colour, text_on
from timeseries_segmenter.report.content import LEVELS, POSITIONS, Sample, SampleRegion
from timeseries_segmenter.report.picture import (
    WIDE,
    Picture,
    axes,
    columns,
    figure,
    picture,
    short,
    write,
)
from timeseries_segmenter.segment import Segment, class_by_row
from timeseries_segmenter.words import counted

LEFT, RIGHT = 1.05, 0.75  # inches beside the series, at least
LONGEST_CHANNEL = 20  # columns of its name
LANE = 0.27  # inches, of the annotated and of the predicted segments
DIFFERENCE = 0.1
LETTER = 0.078  # inches
MILLISECONDS_A_DAY = 86_400_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def sample(shown: Sample, class_names: Sequence[str]) -> Picture:
    """Segments above, annotated over predicted; where they differ; the channels below, on one time axis."""
    channel = _height(len(shown.channels))
    heights = channel * len(shown.channels), 2 * LANE + DIFFERENCE + 0.1
    bottom = 0.32
    fig = figure(WIDE, bottom + sum(heights) + 0.16)
    names = [short(each.name, LONGEST_CHANNEL) for each in shown.channels]
    left = max(LEFT, 0.2 + LETTER * 1.1 * max(columns(name) for name in names))
    width = WIDE - left - RIGHT
    signals = axes(fig, left, bottom, width, heights[0])
    lanes = axes(fig, left, bottom + heights[0] + 0.12, width, heights[1])
    _lanes(lanes, shown, class_names, width)
    _signals(signals, shown, channel)
    _time(signals, shown)
    differs = sum(end - start for start, end in _differences(shown)) / POSITIONS
    return picture(
        fig,
        f"Task {shown.task}: {len(shown.drawn)} annotated and "
        f"{counted(len(shown.predicted), 'predicted segment')} on {counted(len(shown.channels), 'channel')}; "
        f"they differ on {differs:.0%} of the time shown.",
    )


def _height(channels: int) -> float:
    return 1.5 if channels == 1 else max(0.32, min(0.8, 2.6 / channels))


def _lanes(plot: Axes, shown: Sample, class_names: Sequence[str], width: float) -> None:
    total = 2 * LANE + DIFFERENCE + 0.1
    plot.set_xlim(0, POSITIONS)
    plot.set_ylim(total, 0)
    plot.set_xticks([])
    plot.set_yticks([])
    for top, height, name, regions in (
        (0.0, LANE, "annotated", shown.drawn),
        (LANE + 0.04, LANE, "predicted", shown.predicted),
    ):
        plot.add_patch(Rectangle((0, top), POSITIONS, height - 0.02, color=FAINT, alpha=0.55, linewidth=0))
        _blocks(plot, regions, top, height - 0.02)
        write(plot, -0.008 * POSITIONS, top + height / 2, name, ha="right", va="center", weight="bold")
        for region in regions:
            text = short(class_names[region.number])
            room = (region.end - region.start) / POSITIONS * width
            if not region.instant and columns(text) * LETTER < room - 0.06:
                write(
                    plot,
                    (region.start + region.end) / 2,
                    top + height / 2 - 0.01,
                    text,
                    ha="center",
                    va="center",
                    fontsize=8.5,
                    color=text_on(colour(region.number)),
                    clip_on=True,
                )
    for start, end in shown.unknown:
        plot.add_patch(
            Rectangle(
                (start, 0),
                end - start,
                2 * LANE + 0.02,
                facecolor=PANEL,
                edgecolor=FAINT,
                hatch="////",
                linewidth=0,
            )
        )
    top = 2 * LANE + 0.1
    for start, end in _differences(shown):
        plot.add_patch(
            Rectangle((start, top), max(end - start, 12), DIFFERENCE - 0.03, color=INK, linewidth=0)
        )
    write(
        plot,
        -0.008 * POSITIONS,
        top + DIFFERENCE / 2,
        "differs",
        ha="right",
        va="center",
        fontsize=8,
        color=MUTED,
    )


def _blocks(plot: Axes, regions: Sequence[SampleRegion], top: float, height: float) -> None:
    ranges = [region for region in regions if not region.instant]
    blocks = [Rectangle((region.start, top), max(region.end - region.start, 8), height) for region in ranges]
    plot.add_collection(
        PatchCollection(blocks, facecolors=[colour(region.number) for region in ranges], linewidths=0),
        autolim=False,
    )
    instants = [region for region in regions if region.instant]
    ticks = [[(region.start, top + 0.02), (region.start, top + height - 0.02)] for region in instants]
    shades = [colour(region.number) for region in instants]
    plot.add_collection(LineCollection(ticks, colors=shades, linewidths=2.4), autolim=False)


def _signals(plot: Axes, shown: Sample, height: float) -> None:
    count = len(shown.channels)
    plot.set_xlim(0, POSITIONS)
    plot.set_ylim(count, 0)
    plot.set_yticks([])
    ranges = [region for region in shown.drawn if not region.instant]
    bands = [Rectangle((region.start, 0), region.end - region.start, count) for region in ranges]
    plot.add_collection(
        PatchCollection(
            bands, facecolors=[colour(region.number) for region in ranges], alpha=0.13, linewidths=0
        ),
        autolim=False,
    )
    instants = [region for region in shown.drawn if region.instant]
    plot.add_collection(
        LineCollection(
            [[(region.start, 0), (region.start, count)] for region in instants],
            colors=[colour(region.number) for region in instants],
            alpha=0.4,
            linewidths=1,
        ),
        autolim=False,
    )
    edges = np.array(shown.positions, float)
    wide = np.diff(edges)
    times = np.stack([edges[:-1] + wide / 4, edges[:-1] + 3 * wide / 4], axis=1).ravel()
    for place, channel in enumerate(shown.channels):
        levels = np.array([np.nan if level is None else level for level in channel.levels])
        plot.plot(times, place + 0.92 - 0.84 * levels / LEVELS, color=SIGNAL, linewidth=0.8)
        write(
            plot,
            -0.008 * POSITIONS,
            place + 0.5,
            short(channel.name, LONGEST_CHANNEL),
            ha="right",
            va="center",
        )
        if height >= 0.3 and channel.high > channel.low:
            for value, at in ((channel.high, 0.5 - 0.07 / height), (channel.low, 0.5 + 0.07 / height)):
                write(
                    plot,
                    1.006 * POSITIONS,
                    place + at,
                    f"{value:.3g}".replace("-", "\N{MINUS SIGN}"),
                    va="center",
                    fontsize=7.5,
                    color=MUTED,
                )
        if np.isnan(levels).all():
            write(plot, POSITIONS / 2, place + 0.5, "no values", ha="center", va="center", color=MUTED)


def _differences(shown: Sample) -> list[tuple[int, int]]:
    """Stretches of different classes, and instants without one of their class within the tolerance."""
    annotated, predicted = (
        class_by_row(
            [Segment(each.start, each.end - 1, (str(each.number),)) for each in regions if not each.instant],
            lambda segment: int(segment.labels[0]),
            POSITIONS,
        )
        for regions in (shown.drawn, shown.predicted)
    )
    differ = np.flatnonzero(np.diff(annotated != predicted, prepend=False, append=False)).reshape(-1, 2)
    tolerance = (TOLERANCE + 0.5) / max(1, shown.last - shown.first) * POSITIONS
    one, other = (
        {(region.start, region.number) for region in regions if region.instant}
        for regions in (shown.drawn, shown.predicted)
    )
    alone = [
        (place, place)
        for mine, theirs in ((one, other), (other, one))
        for place, number in mine
        if not any(number == also and abs(place - at) <= tolerance for at, also in theirs)
    ]
    return [*((int(start), int(end)) for start, end in differ), *sorted(alone)]


def _time(plot: Axes, shown: Sample) -> None:
    """Ticks at round times, over the positions."""
    start, stop = shown.start, shown.stop if shown.stop > shown.start else shown.start + 1
    ticks, labels = _dates(start, stop) if shown.dates else _numbers(start, stop)
    inside = [(tick, label) for tick, label in zip(ticks, labels, strict=True) if start <= tick <= stop]
    plot.set_xticks(
        [(tick - start) / (stop - start) * POSITIONS for tick, _ in inside], [label for _, label in inside]
    )
    plot.grid(visible=True, axis="x", color=FAINT, linewidth=0.8)
    plot.set_axisbelow(True)
    write(
        plot,
        1.006 * POSITIONS,
        len(shown.channels),
        short(shown.time_name, 10),
        va="top",
        color=MUTED,
        fontsize=8.5,
    )


def _dates(start: float, stop: float) -> tuple[list[float], list[str]]:
    """Round moments between two, in milliseconds since 1970, and how they are written."""
    locator: Any = AutoDateLocator(tz=UTC, minticks=3, maxticks=8)  # type: ignore[no-untyped-call]
    formatter: Any = ConciseDateFormatter(locator, tz=UTC)  # type: ignore[no-untyped-call]
    days = locator.tick_values(*(_EPOCH + timedelta(milliseconds=each) for each in (start, stop)))
    return [day * MILLISECONDS_A_DAY for day in days], formatter.format_ticks(days)


def _numbers(start: float, stop: float) -> tuple[list[float], list[str]]:
    """Round numbers between two, and how they are written."""
    ticks = list(MaxNLocator(8).tick_values(start, stop))
    formatter = ScalarFormatter(useOffset=False, useMathText=False)
    formatter.set_scientific(False)
    formatter.create_dummy_axis()
    return ticks, formatter.format_ticks(ticks)
