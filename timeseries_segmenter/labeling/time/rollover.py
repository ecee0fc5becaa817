"""Times that a time format writes alike: it has no hour, no day, no year, …"""

from collections.abc import Iterator

import numpy as np

from timeseries_segmenter.labeling.time.formats import TimeFormat
from timeseries_segmenter.labeling.time.moment import DAY

_MOST = 500  # steps that are looked at: more than one match is all that counts
_WEEK = range(-7, 8)  # a day of the week moves by as much from one year to the next

# From fine to coarse: a unit in ms, or in months, and the directives that tell which one it is.
_UNITS: tuple[tuple[str, int, str], ...] = (
    ("ms", 1, "LfQ"),
    ("ms", 1000, "SsQ"),
    ("ms", 60_000, "MsQ"),
    ("ms", DAY // 24, "HIsQ"),
    ("ms", DAY // 2, "HpsQ"),
    ("ms", DAY, "dejVUWsQ"),
    ("months", 1, "mbBjqVUWsQ"),
    ("months", 12, "YGygsQ"),
    ("months", 1200, "YGsQ"),
)


def written_alike(form: TimeFormat, stamp: float, first: float, last: float) -> list[float]:
    """The times from `first` to `last` that are written as `stamp` is, in ms since 1970 and in order.

    A format such as `%M:%S` starts anew each hour; the editor counts on while it reads, and
    writes 62:50 as `02:50`.
    """
    text = form.format(stamp)
    repeats = _repeats(form)
    if repeats is None:
        return [stamp] if first <= stamp <= last else []
    kind, step = repeats
    steps = _fixed(stamp, step, first, last) if kind == "ms" else _calendar(stamp, step, first, last)
    return sorted({time for time in steps if first <= time <= last and form.format(time) == text})


def shortest_gap(form: TimeFormat) -> float:
    """No two times that are written alike lie closer than this, in ms; infinite where all are told apart."""
    repeats = _repeats(form)
    if repeats is None:
        return np.inf
    kind, step = repeats
    if kind == "ms":
        return step
    has_day = not form.directives.isdisjoint("dej") and form.directives.isdisjoint("VUW")
    return 28 * DAY if has_day else 0


def _repeats(form: TimeFormat) -> tuple[str, int] | None:
    """After which time the format writes the same again: the finest unit that it leaves out."""
    told = [not form.directives.isdisjoint(directives) for _, _, directives in _UNITS]
    finest = told.index(True) if any(told) else len(told)  # a day of the week alone tells no time
    return next(
        (unit[:2] for unit, known in zip(_UNITS[finest:], told[finest:], strict=True) if not known), None
    )


def _fixed(stamp: float, step: int, first: float, last: float) -> Iterator[float]:
    low = int(np.ceil((first - stamp) / step))
    high = int(np.floor((last - stamp) / step))
    return (stamp + count * step for count in range(low, min(high, low + _MOST) + 1))


def _calendar(stamp: float, months: int, first: float, last: float) -> Iterator[float]:
    month = _month(stamp)
    low = (_month(first) - month) // months - 1
    high = min((_month(last) - month) // months + 1, low + _MOST)
    for origin in {month, month // 12 * 12}:
        since = stamp - _start(origin)
        for count in range(low, high + 1):
            time = _start(origin + count * months) + since
            yield from (time + day * DAY for day in (_WEEK if months > 1 else (0,)))


def _month(stamp: float) -> int:
    """Months from January 1970 to that of a time."""
    return int(np.datetime64(int(stamp), "ms").astype("datetime64[M]").astype(np.int64))


def _start(month: int) -> float:
    return float(np.datetime64(month, "M").astype("datetime64[ms]").astype(np.int64))
