"""A region that a person annotated, or an import brought: its place in the series, or why it has none."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from timeseries_segmenter.errors import RegionError, SeriesError, TimeFormatError
from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.labeling.series import Series
from timeseries_segmenter.labeling.tables.cells import plain, shown
from timeseries_segmenter.labeling.tag import REGION_TYPE
from timeseries_segmenter.labeling.time.formats import Reading, TimeFormat
from timeseries_segmenter.segment import LabelSet, Segment

UNITS = (1e3, 1e6, 1e9)  # milliseconds, microseconds and nanoseconds in a second
MOST_LISTED = 8  # labels or tags in a message
MOST_TEXT = 60  # characters of a name in a message


def belongs_to(result: object, pair: LabelPair) -> bool:
    """Whether a result of an annotation is a region of this pair of tags.

    Others are relations, what other controls hold, also about a region, and regions of other pairs.

    Raises:
        RegionError: it is not a result, or a region whose tags are none of the labeling config's, and
            it may belong to this pair.

    """
    if not isinstance(result, Mapping):
        raise RegionError("is not a region; export the annotation from Label Studio as JSON")
    control, target = result.get("from_name"), result.get("to_name")
    if (control, target) == (pair.from_name, pair.to_name):
        return True
    known = [(of, on) for of, on in pair.label_tags if _is_named(control, of)]
    if not pair.label_tags or not _is_region(result, pair):
        return False
    if control is None:
        raise RegionError(
            f"has no from_name; write {_quoted(pair.from_name)}, and {_quoted(pair.to_name)} as its to_name"
        )
    targets = {on for _, on in pair.label_tags}
    if not known and (target == pair.to_name or not any(_is_named(target, on) for on in targets)):
        raise RegionError(
            f"is of {_quoted(control)}, and the labeling config has no TimeSeriesLabels of that name, only "
            f"{_listed(dict.fromkeys(of for of, _ in pair.label_tags))}; give the tag its old name again, or "
            "delete the region"
        )
    if control == pair.from_name and not any(_is_named(target, on) for _, on in known):
        raise RegionError(
            f"is on {_quoted(target)}, which TimeSeriesLabels {_quoted(control)} does not label, only "
            f"{_listed(on for _, on in known)}; correct its toName, give the TimeSeries its old name again, "
            "or delete the region"
        )
    return False


def _is_region(result: Mapping[object, object], pair: LabelPair) -> bool:
    """Whether a result is a region of some `TimeSeriesLabels`, or of what once labelled the pair's series."""
    kind, value = str(result.get("type")).lower(), result.get("value")
    if kind == REGION_TYPE or (isinstance(value, Mapping) and REGION_TYPE in value):
        return True
    return kind.endswith("labels") and result.get("to_name") == pair.to_name


def _is_named(name: object, tag: str) -> bool:
    """Whether a tag has that name, or a `Repeater` makes one that has."""
    if "{{" not in tag:
        return name == tag
    pattern = ".*".join(map(re.escape, re.split(r"\{\{.*?\}\}", tag)))
    return isinstance(name, str) and re.fullmatch(pattern, name) is not None


def place(region: Mapping[str, object], pair: LabelPair, series: Series) -> tuple[Segment, str]:
    """A region of the pair as a segment, and what a person should know about it; empty if nothing.

    An instant is one row: the middle one of those that share its time.

    Raises:
        RegionError: it has no start, end or known label, these are not times or in the wrong order, or they
            lie outside the series.

    """
    value = region.get("value")
    if not isinstance(value, Mapping):
        raise RegionError(f"has {shown(value)} as its value; draw it again")
    if REGION_TYPE not in value and "labels" in value:
        raise RegionError(f'has its labels under "labels"; call the key "{REGION_TYPE}"')
    labels, remark = _labels(value.get(REGION_TYPE), pair)
    start, end = (_time(value, name, pair, series) for name in ("start", "end"))
    try:
        rows = series.time.rows(start, end)
    except SeriesError as error:
        raise RegionError(f"has no place in the series: {error}") from error
    if rows is None:
        raise RegionError(
            f"lies outside the series, which runs from {_at(0, series)} to {_at(-1, series)}"
            f"{_guess(_stamps(start, end, series), series)}; correct its times, or delete it"
        )
    identity = region.get("id")
    segment = Segment(*rows, labels, region=identity if isinstance(identity, str) else None)
    instant = value.get("instant")
    if _is_instant(start, end, rows, series) and (len(segment) == 1 or instant is not False):
        segment = segment.as_instant()
    elif instant is True:
        segment = replace(segment, last=segment.first, instant=True)
    if beyond := _beyond(start, end, rows, series):
        remark = "; ".join(filter(None, (remark, f"reaches beyond the series, and is cut {beyond}")))
    return segment, remark


def region_name(region: object) -> str:
    """What a message calls a region: its id, labels and times."""
    if not isinstance(region, Mapping):
        return f"Result {_shown(region)}"
    value = region.get("value")
    of = value if isinstance(value, Mapping) else {}
    labels = of.get(REGION_TYPE)
    names = [str(name)[:MOST_TEXT] for name in labels] if isinstance(labels, list) else []
    times = " to ".join(_shown(of.get(name)) for name in ("start", "end"))
    return f"Region {_quoted(region.get('id'))} ({', '.join([*names[:MOST_LISTED], times])})"


def _labels(names: object, pair: LabelPair) -> tuple[LabelSet, str]:
    """Those of a region that the pair has, and what to say about others. Raises RegionError for none."""
    if not isinstance(names, list):
        raise RegionError(f"has {_shown(names)} in place of a list of labels; give it a label, or delete it")
    if pair.labels_value:  # the task's own list may have been changed since
        new = [name for name in names if isinstance(name, str) and name and not pair.label_set([name])]
        pair = replace(pair, labels=(*pair.labels, *dict.fromkeys(new)))
    labels = pair.label_set(names)
    unknown = [name for name in names if name not in pair.labels and not pair.label_set([name])]
    if not names:
        raise RegionError("has no label; give it one, or delete it")
    if not labels:
        raise RegionError(
            f"has the label {_listed(unknown)}, which TimeSeriesLabels {_quoted(pair.from_name)} of the "
            f"labeling config does not have; it has {_listed(pair.labels)}{_same_but(unknown, pair)}. Add "
            "the label there, or change the region"
        )
    if unknown:
        learned = " + ".join(labels)
        return labels, f"is learned as {learned}: the labeling config has no label {_listed(unknown)}"
    known = dict.fromkeys(label for name in names for label in pair.label_set([name]))
    if len(known) > len(labels):
        return labels, (
            f'is learned as {labels[0]} alone, of {_listed(known)}: write choice="multiple" into '
            f"TimeSeriesLabels {_quoted(pair.from_name)} of the labeling config if a region may have several "
            "labels"
        )
    return labels, ""


def _same_but(unknown: Iterable[object], pair: LabelPair) -> str:
    """A hint at a label that looks the same."""
    known = {plain(label): label for label in pair.labels}
    for name in unknown:
        if isinstance(name, str) and plain(name) in known:
            same = _quoted(known[plain(name)])
            return f" (which differs from {same} in case, blanks or form of characters alone)"
    return ""


def _time(value: Mapping[str, object], name: str, pair: LabelPair, series: Series) -> object:
    """The start or end of a region, as the series understands it."""
    time = value.get(name)
    if time is None or (isinstance(time, float) and math.isnan(time)):
        raise RegionError(f"has no {name}; draw it again")
    if pair.row_format and isinstance(time, str):
        return _row_number(time, pair.row_format, len(series))
    return time


def _row_number(text: str, time_format: str, length: int) -> object:
    """The row that the editor wrote as a date of 1970, as it does if timeFormat has no timeColumn."""
    form = TimeFormat(time_format)
    try:
        row = int(form.parse([text], Reading.REGION)[0])
        if all(int(form.parse([form.format(known)])[0]) == known for known in (1, length - 1)):
            return row
    except TimeFormatError:
        return text
    raise RegionError(
        f"was stored as a date of 1970 instead of its row, which can't be read back from timeFormat "
        f'"{time_format}": timeFormat needs a timeColumn. Add one, or take timeFormat out of the labeling '
        "config, and draw the region again"
    )


def _stamps(start: object, end: object, series: Series) -> tuple[float, float]:
    return series.time.stamp(start), series.time.stamp(end)


def _is_instant(start: object, end: object, rows: tuple[int, int], series: Series) -> bool:
    """Whether start and end are one time. Reading times is slow, and mostly the rows say it."""
    if start == end:
        return True
    stamps = series.time.stamps
    if stamps[rows[0]] != stamps[rows[1]]:
        return False
    first, last = _stamps(start, end, series)
    return first == last


def _beyond(start: object, end: object, rows: tuple[int, int], series: Series) -> str:
    """Where a region that reaches out of the series by more than a sample is cut.

    A clock that starts anew within the series writes times that only seem to be before it.
    """
    if rows[0] > 0 and rows[1] < len(series) - 1:
        return ""
    stamps = _stamps(start, end, series)
    low, high = float(series.time.stamps[0]), float(series.time.stamps[-1])
    step = (high - low) / max(len(series) - 1, 1)
    cuts = []
    if rows[0] == 0 and stamps[0] < low - step:
        cuts.append(f"at {_at(0, series)}")
    if rows[1] == len(series) - 1 and stamps[1] > high + step:
        cuts.append(f"at {_at(-1, series)}")
    return " and ".join(cuts)


def _at(row: int, series: Series) -> str:
    """The time of a row as a message has it."""
    form, stamp = series.time.time_format, float(series.time.stamps[row])
    return form.format(stamp) if form else f"{stamp:.15g}"


def _guess(stamps: tuple[float, float], series: Series) -> str:
    """What the times of a region outside the series may be instead."""
    low, high = float(series.time.stamps[0]), float(series.time.stamps[-1])
    start, end = stamps
    if all(time.is_integer() and 0 <= time < len(series) for time in stamps):
        return "; its times look like row numbers"
    for factor in UNITS:
        if low <= start / factor <= end / factor <= high or low <= start * factor <= end * factor <= high:
            return f"; its times look as if they were in another unit ({factor:.0f} to 1)"
    if start >= 0 and max(start, end * (UNITS[0] if series.time.time_format else 1)) <= high - low:
        return "; its times look as if they counted from the start of the series"
    return ""


def _shown(value: object) -> str:
    """A value of a region as JSON has it."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "null"
    return shown(value)


def _quoted(name: object) -> str:
    return f'"{name[:MOST_TEXT]}"' if isinstance(name, str) else _shown(name)


def _listed(names: Iterable[object]) -> str:
    known = [_quoted(name) for name in names]
    more = len(known) - MOST_LISTED
    return ", ".join(known[:MOST_LISTED]) + (f" and {more} more" if more > 0 else "")
