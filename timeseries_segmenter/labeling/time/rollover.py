"""Times that a time format writes alike: it has no hour, no day, no year, …"""

from collections.abc import Iterator
from itertools import dropwhile

import numpy as np

from timeseries_segmenter.labeling.time.directives import MS_PER_DAY, WEEKS, Unit
from timeseries_segmenter.labeling.time.formats import TimeFormat

_MOST = 500  # steps that are looked at: more than one match is all that counts
_WEEK = range(-7, 8)  # a day of the week moves by as much from one year to the next


def written_alike(form: TimeFormat, stamp: float, first: float, last: float) -> list[float]:
    """The times from `first` to `last` that are written as `stamp` is, in ms since 1970 and in order.

    A format such as `%M:%S` restarts each hour; the editor counts on while it reads, and
    writes 62:50 as `02:50`.
    """
    text = form.format(stamp)
    missing = missing_unit(form)
    if missing is None:
        return [stamp] if first <= stamp <= last else []
    step, months = missing.value
    steps = _calendar(stamp, months, first, last) if months else _fixed(stamp, step, first, last)
    return sorted({time for time in steps if first <= time <= last and form.format(time) == text})


def shortest_gap(form: TimeFormat) -> float:
    """No two times that are written alike lie closer than this, in ms; infinite if no two are."""
    missing = missing_unit(form)
    if missing is None:
        return np.inf
    step, months = missing.value
    parts = {directive.part for directive in form.directives}
    has_day = "day" in parts and parts.isdisjoint(WEEKS)
    return (28 * MS_PER_DAY if has_day else 0) if months else step


def missing_unit(form: TimeFormat) -> Unit | None:
    """The unit after which the format writes the same again: above the finest it has, the first it lacks."""
    written = {unit for directive in form.directives for unit in directive.units}
    from_finest = dropwhile(lambda unit: unit not in written, Unit)
    return next((unit for unit in from_finest if unit not in written), None)


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
            yield from (time + day * MS_PER_DAY for day in (_WEEK if months > 1 else (0,)))


def _month(stamp: float) -> int:
    """Months from January 1970 to that of a time."""
    return int(np.datetime64(int(stamp), "ms").astype("datetime64[M]").astype(np.int64))


def _start(month: int) -> float:
    return float(np.datetime64(month, "M").astype("datetime64[ms]").astype(np.int64))
