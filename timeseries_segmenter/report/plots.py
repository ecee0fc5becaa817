"""The plots of a report's metrics. Slow to import: see `report_picture`."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from timeseries_segmenter.project.card import Confusion, Metrics
from timeseries_segmenter.report.colours import (
    ACCENT,
    FAINT,
    INK,
    MUTED,
    OTHER,
    PANEL,
    RIGHT,
    SIGNAL,
    WRONG,
    colour,
)
from timeseries_segmenter.report.content import CurvePoint
from timeseries_segmenter.report.picture import (
    HALF,
    Picture,
    axes,
    columns,
    figure,
    grid,
    picture,
    short,
    write,
)
from timeseries_segmenter.words import counted

LETTER = 0.088  # inches, of a wide one
MOST_TEXT = 14  # classes of a confusion matrix with numbers in it
SMALL = 8.0  # points
LEAST_SHARE = 0.005  # of a class: less is left blank
LEAST_IN_BIN = 0.001  # of all rows: fewer tell nothing


def learning_curve(curve: Sequence[CurvePoint]) -> Picture:
    """Loss above, scores below, by epoch."""
    fig = figure(HALF, 3.6)
    epochs = [point.epoch for point in curve]
    losses = axes(fig, 0.5, 2.3, HALF - 0.65, 1.0)
    scores = axes(fig, 0.5, 0.5, HALF - 0.65, 1.35)
    lines = (
        (losses, "loss", [point.loss for point in curve], SIGNAL, "-"),
        (scores, "balanced accuracy", [point.balanced_accuracy for point in curve], ACCENT, "-"),
        (scores, "F1 of the worst class", [point.min_f1 for point in curve], OTHER, "--"),
    )
    for plot, _, values, shade, line in lines:
        plot.plot(
            epochs, values, color=shade, linewidth=1.8, linestyle=line, marker="o" if len(curve) < 3 else ""
        )
    scores.set_ylim(-0.02, 1.02)
    scores.set_yticks([0, 0.5, 1])
    losses.set_ylim(0, 1.08 * max((point.loss for point in curve), default=1.0) or 1.0)
    losses.yaxis.set_major_locator(MaxNLocator(3))
    for plot in (losses, scores):
        plot.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)
        plot.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        grid(plot, "y")
    losses.set_xticklabels([])
    write(scores, 0.5, -0.3, "epoch", transform=scores.transAxes, ha="center", color=MUTED)
    write(losses, 0, 1.1, "loss", transform=losses.transAxes, color=SIGNAL, weight="bold")
    write(scores, 0, 1.1, "— balanced accuracy", transform=scores.transAxes, color=ACCENT, weight="bold")
    write(
        scores,
        1,
        1.1,
        "- - F1 of the worst class",
        transform=scores.transAxes,
        color=OTHER,
        weight="bold",
        ha="right",
    )
    last = curve[-1]
    return picture(
        fig,
        f"Learning curve over {counted(last.epoch, 'epoch')}: the loss ends at {last.loss:.3f}, "
        f"balanced accuracy at {last.balanced_accuracy:.3f}, the F1 of the worst class at {last.min_f1:.3f}.",
    )


def confusion_matrix(confusion: Confusion) -> Picture:
    """Share of each annotated class that is predicted as each class."""
    counts = np.array(confusion.counts)
    names = [short(name, 16) for name in confusion.names]
    size = len(names)
    cell = min(0.62, max(0.2, 3.3 / size))
    margin = 0.25 + LETTER * max(columns(name) for name in names)
    slanted = max(columns(name) for name in names) * LETTER > cell
    top = 0.45 + (margin * 0.75 if slanted else 0.15)
    width = max(HALF, margin + cell * size + (0.7 * margin if slanted else 0.1))
    height = top + cell * size + 0.1
    fig = figure(width, height)
    plot = axes(fig, margin, 0.1, cell * size, cell * size)
    totals = counts.sum(axis=1, keepdims=True)
    if confusion.unit == "instants":
        # where nothing is annotated can't be counted: what is predicted there is a share of all predicted
        totals = np.vstack([counts.sum(axis=0), np.repeat(totals[1:], size, axis=1)])
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    for row in range(size):
        for column in range(size):
            share = float(shares[row, column])
            right = row == column
            plot.add_patch(
                Rectangle(
                    (column + 0.03, row + 0.03),
                    0.94,
                    0.94,
                    color=FAINT if not counts[row, column] else RIGHT if right else WRONG,
                    alpha=0.45 if not counts[row, column] else 0.12 + 0.88 * share,
                    linewidth=0,
                )
            )
            shown_as = _cell(confusion, int(counts[row, column]), share)
            if size <= MOST_TEXT and shown_as:
                write(
                    plot,
                    column + 0.5,
                    row + 0.5,
                    shown_as,
                    ha="center",
                    va="center",
                    fontsize=SMALL if cell < 0.45 else 9.5,
                    color="#ffffff" if share > 0.6 else INK,
                )
    plot.set_xlim(0, size)
    plot.set_ylim(size, 0)
    plot.set_xticks([])
    plot.set_yticks([])
    for place, name in enumerate(names):
        write(plot, -0.12, place + 0.5, name, ha="right", va="center")
        write(
            plot,
            place + (0.4 if slanted else 0.5),
            -0.12,
            name,
            ha="left" if slanted else "center",
            va="bottom",
            rotation=45 if slanted else 0,
            rotation_mode="anchor",
        )
    write(
        plot,
        0,
        1 + (top - 0.2) / (cell * size),
        "predicted →",
        transform=plot.transAxes,
        color=MUTED,
        va="center",
    )
    write(
        plot,
        -0.12 / size,
        1 + (top - 0.2) / (cell * size),
        "annotated ↓",
        transform=plot.transAxes,
        color=MUTED,
        va="center",
        ha="right",
    )
    values = "; ".join(
        f"{name} {shares[place, place]:.0%}" for place, name in enumerate(names) if counts[place].any()
    )
    return picture(fig, f"Confusion matrix of {confusion.unit}. Predicted as annotated: {values}.")


def _cell(confusion: Confusion, count: int, share: float) -> str:
    """The text of a cell: the share of rows, the number of instants; nothing for next to nothing."""
    if confusion.unit == "instants":
        return f"{count}" if count else ""
    return f"{share:.0%}" if share >= LEAST_SHARE else ""


def class_bars(metrics: Metrics) -> Picture:
    """F1 of each class as a bar, precision and recall as marks on it."""
    shown = [
        (number, each)
        for number, each in enumerate(metrics.classes)
        if (each.support or each.predicted) and (number or not metrics.of_instants)
    ]
    names = [short(each.name) for _, each in shown]
    margin = 0.2 + LETTER * max(columns(name) for name in names)
    bar = 0.36
    fig = figure(HALF, 0.45 + bar * len(shown) + 0.35)
    plot = axes(fig, margin, 0.35, HALF - margin - 0.55, bar * len(shown))
    for place, (number, each) in enumerate(shown):
        f1 = each.f1 or 0.0
        plot.barh(place, f1, height=0.62, color=colour(number), zorder=2)
        if each.precision is not None:
            plot.plot(
                each.precision,
                place,
                "D",
                color=PANEL,
                markeredgecolor=INK,
                markersize=6,
                zorder=4,
                clip_on=False,
            )
        if each.recall is not None:
            plot.plot(
                each.recall,
                place,
                "o",
                color=INK,
                markeredgecolor=PANEL,
                markersize=6,
                zorder=3,
                clip_on=False,
            )
        write(plot, -0.025, place, names[place], ha="right", va="center")
        write(
            plot, 1.045, place, "\N{EN DASH}" if each.f1 is None else f"{f1:.2f}", va="center", weight="bold"
        )
    plot.set_xlim(0, 1)
    plot.set_ylim(len(shown) - 0.45, -0.55)
    plot.set_yticks([])
    plot.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", ".25", ".5", ".75", "1"])
    grid(plot, "x")
    above = 1 + 0.2 / (bar * len(shown))
    write(plot, 0, above, "▬ F1   ◇ precision   ● recall", transform=plot.transAxes, color=MUTED, va="center")
    values = "; ".join(
        f"{each.name} {'unknown' if each.f1 is None else f'{each.f1:.2f}'}" for _, each in shown
    )
    return picture(fig, f"F1 by class: {values}.")


def reliability(metrics: Metrics) -> Picture:
    """Share of rows that is right, by the probability given; dots are as large as their share of rows."""
    fig = figure(HALF, 3.6)
    plot = axes(fig, 0.6, 0.6, HALF - 0.8, 2.6)
    plot.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle="--")
    total = sum(each.count for each in metrics.reliability) or 1
    confidence = [each.confidence for each in metrics.reliability]
    accuracy = [each.accuracy for each in metrics.reliability]
    plotted = [each for each in metrics.reliability if each.count >= LEAST_IN_BIN * total]
    plot.plot(
        [each.confidence for each in plotted],
        [each.accuracy for each in plotted],
        color=ACCENT,
        linewidth=1.6,
    )
    plot.scatter(
        confidence,
        accuracy,
        [20 + 260 * each.count / total for each in metrics.reliability],
        color=ACCENT,
        zorder=3,
        clip_on=False,
    )
    plot.set_xlim(0, 1)
    plot.set_ylim(0, 1)
    for axis in (plot.xaxis, plot.yaxis):
        axis.set_ticks([0, 0.25, 0.5, 0.75, 1], ["0", ".25", ".5", ".75", "1"])
    grid(plot, "both")
    write(
        plot,
        0.5,
        -0.18,
        "probability that the model gives",
        transform=plot.transAxes,
        ha="center",
        color=MUTED,
    )
    write(plot, 0, 1.06, "share that is right", transform=plot.transAxes, color=MUTED)
    write(plot, 0.04, 0.92, "too modest", color=MUTED, va="top")
    write(plot, 0.96, 0.06, "too sure", color=MUTED, ha="right")
    return picture(
        fig, f"Reliability diagram; the expected calibration error is {metrics.calibration_error or 0:.3f}."
    )


def change(before: Mapping[str, float], now: Mapping[str, float]) -> Picture:
    """What metrics were in the version before, hollow, and are now, filled; each by its name."""
    names = [name for name in now if name in before]
    shown = [short(name, 22) for name in names]
    margin = 0.2 + LETTER * max(columns(name) for name in shown)
    row = 0.34
    fig = figure(HALF, 0.45 + row * len(names) + 0.35)
    plot = axes(fig, margin, 0.35, HALF - margin - 0.75, row * len(names))
    for place, name in enumerate(names):
        shade = ACCENT if now[name] >= before[name] else OTHER
        plot.plot(
            [before[name], now[name]], [place, place], color=shade, linewidth=2.5, zorder=2, clip_on=False
        )
        plot.plot(
            before[name],
            place,
            "o",
            color=PANEL,
            markeredgecolor=shade,
            markeredgewidth=1.6,
            markersize=7,
            zorder=3,
            clip_on=False,
        )
        plot.plot(now[name], place, "o", color=shade, markersize=8, zorder=4, clip_on=False)
        write(plot, -0.03, place, shown[place], ha="right", va="center")
        write(
            plot,
            1.05,
            place,
            f"{now[name] - before[name]:+.2f}".replace("-", "\N{MINUS SIGN}"),
            va="center",
            color=shade,
            weight="bold",
        )
    plot.set_xlim(0, 1)
    plot.set_ylim(len(names) - 0.45, -0.55)
    plot.set_yticks([])
    plot.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", ".25", ".5", ".75", "1"])
    grid(plot, "x")
    write(
        plot,
        0,
        1 + 0.2 / (row * len(names)),
        "○ version before   ● this version",
        transform=plot.transAxes,
        color=MUTED,
        va="center",
    )
    values = "; ".join(f"{name} from {before[name]:.2f} to {now[name]:.2f}" for name in names)
    return picture(fig, f"Change since the version before: {values}.")
