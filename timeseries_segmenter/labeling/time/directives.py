"""d3's time directives, one row each: what a letter means, reads, prints and leaves open."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from math import fmod
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

# fmt: off
Part = Literal[
    "milliseconds since 1970", "seconds since 1970", "year", "quarter", "month", "day", "weekday",
    "weekday from Monday", "week from Sunday", "week from Monday", "ISO week", "half-day", "hour", "minute",
    "second", "millisecond", "zone",
]
# fmt: on
WEEKS: frozenset[Part] = frozenset(("week from Sunday", "week from Monday", "ISO week"))
Numbers = NDArray[np.int64]

MS_PER_DAY = 86_400_000
UTC = "+0000"  # the one zone that is printed

_WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


class Unit(Enum):
    """A unit of time, from fine to coarse: its length in milliseconds, and in months."""

    MILLISECOND = (1, 0)
    SECOND = (1000, 0)
    MINUTE = (60_000, 0)
    HOUR = (MS_PER_DAY // 24, 0)
    HALF_DAY = (MS_PER_DAY // 2, 0)
    DAY = (MS_PER_DAY, 0)
    MONTH = (0, 1)
    YEAR = (0, 12)
    CENTURY = (0, 1200)


class Date(NamedTuple):
    """A day in the calendar; months and days count from 0."""

    year: int
    month: int
    day_of_year: int
    day_of_month: int


class Moment:
    """Milliseconds since 1970, in the parts that d3 prints; weekdays count from Sunday, which is 0."""

    def __init__(self, milliseconds: int) -> None:
        self.milliseconds = milliseconds
        self._days, self.in_day = divmod(milliseconds, MS_PER_DAY)
        self.weekday = (self._days + 4) % 7

    @property
    def date(self) -> Date:
        return _date(self._days)

    @property
    def thursday(self) -> Date:
        """The week's Thursday, to whose year an ISO week belongs."""
        return _date(self._days - (self.weekday - 1) % 7 + 3)


@lru_cache(maxsize=1024)
def _date(day: int) -> Date:
    date = np.datetime64(day, "D")
    month, first, new_year = (
        date.astype(unit).astype(kind).astype(np.int64)
        for unit, kind in (("M8[M]", "M8[M]"), ("M8[M]", "M8[D]"), ("M8[Y]", "M8[D]"))
    )
    return Date(int(month) // 12 + 1970, int(month) % 12, day - int(new_year), day - int(first))


@dataclass(frozen=True, slots=True)
class Directive:
    """One letter behind a `%`.

    It reads at most `most` characters: digits, or one of `names` in any case. What it reads is the
    number of a `part` by way of `read`, and sets `zero` to 0. It prints `number`, at least `width`
    digits and `suffix`, or the name of that number. `units` are those of which it leaves nothing open.
    """

    letter: str
    part: Part
    most: int
    number: Callable[[Moment], int]
    units: Collection[Unit]
    meaning: str
    names: tuple[str, ...] = ()
    read: Callable[[Numbers], Numbers] | None = None
    zero: Part | None = None
    width: int | None = None  # `most`, if not given
    suffix: str = ""
    padding: str = "0"

    def print(self, moment: Moment, padding: str) -> str:
        """What d3 prints, numbers padded with `padding`, or not if it is empty."""
        if self.part == "zone":
            return UTC
        number = self.number(moment)
        if self.names:
            return self.names[number]
        digits = str(abs(number))
        if padding:
            digits = digits.rjust(self.most if self.width is None else self.width, padding)
        return "-" * (number < 0) + digits + self.suffix


def _in_century(year: Numbers) -> Numbers:
    full: Numbers = year + np.where(year > 68, 1900, 2000)
    return full


# fmt: off
DIRECTIVES = {directive.letter: directive for directive in (
    Directive("Y", "year", 4, lambda at: int(fmod(at.date.year, 10_000)), (Unit.YEAR, Unit.CENTURY),
              "year, four digits"),
    Directive("y", "year", 2, lambda at: int(fmod(at.date.year, 100)), (Unit.YEAR,),
              "year, two digits: 69 to 99 are 1969 to 1999, 00 to 68 are 2000 to 2068", read=_in_century),
    Directive("m", "month", 2, lambda at: at.date.month + 1, (Unit.MONTH,),
              "month, 01 to 12", read=lambda number: number - 1),
    Directive("d", "day", 2, lambda at: at.date.day_of_month + 1, (Unit.DAY,),
              "day, 01 to 31"),
    Directive("e", "day", 2, lambda at: at.date.day_of_month + 1, (Unit.DAY,),
              "day, padded with a space", padding=" "),
    Directive("H", "hour", 2, lambda at: at.in_day // 3_600_000, (Unit.HOUR, Unit.HALF_DAY),
              "hour, 00 to 23"),
    Directive("I", "hour", 2, lambda at: at.in_day // 3_600_000 % 12 or 12, (Unit.HOUR,),
              "hour, 01 to 12"),
    Directive("p", "half-day", 2, lambda at: at.in_day // (MS_PER_DAY // 2), (Unit.HALF_DAY,),
              "AM or PM", names=("AM", "PM")),
    Directive("M", "minute", 2, lambda at: at.in_day // 60_000 % 60, (Unit.MINUTE,),
              "minute"),
    Directive("S", "second", 2, lambda at: at.in_day // 1000 % 60, (Unit.SECOND,),
              "second"),
    Directive("L", "millisecond", 3, lambda at: at.in_day % 1000, (Unit.MILLISECOND,),
              "millisecond"),
    Directive("f", "millisecond", 6, lambda at: at.in_day % 1000, (Unit.MILLISECOND,),
              "microsecond; read and written in whole milliseconds",
              read=lambda number: number // 1000, width=3, suffix="000"),
    Directive("Q", "milliseconds since 1970", 18, lambda at: at.milliseconds, tuple(Unit),
              "milliseconds since 1970", width=0),
    Directive("s", "seconds since 1970", 18, lambda at: at.milliseconds // 1000, tuple(Unit)[1:],
              "seconds since 1970", width=0),
    Directive("Z", "zone", 6, lambda _: 0, (),
              f"offset from UTC; written as `{UTC}`"),
    Directive("a", "weekday", 3, lambda at: at.weekday, (),
              "day of the week, short: Sun", names=tuple(name[:3] for name in _WEEKDAYS)),
    Directive("A", "weekday", 9, lambda at: at.weekday, (),
              "day of the week: Sunday", names=_WEEKDAYS),
    Directive("b", "month", 3, lambda at: at.date.month, (Unit.MONTH,),
              "month, short: Jan", names=tuple(name[:3] for name in _MONTHS)),
    Directive("B", "month", 9, lambda at: at.date.month, (Unit.MONTH,),
              "month: January", names=_MONTHS),
    Directive("j", "day", 3, lambda at: at.date.day_of_year + 1, (Unit.DAY, Unit.MONTH),
              "day of the year, 001 to 366", zero="month"),
    Directive("q", "quarter", 1, lambda at: at.date.month // 3 + 1, (Unit.MONTH,),
              "quarter, 1 to 4"),
    Directive("w", "weekday", 1, lambda at: at.weekday, (),
              "day of the week, 0 is Sunday"),
    Directive("u", "weekday from Monday", 1, lambda at: at.weekday or 7, (),
              "day of the week, 1 is Monday"),
    Directive("U", "week from Sunday", 2, lambda at: (at.date.day_of_year + 7 - at.weekday) // 7,
              (Unit.DAY, Unit.MONTH), "week of the year, from the first Sunday"),
    Directive("W", "week from Monday", 2, lambda at: (at.date.day_of_year + 7 - (at.weekday - 1) % 7) // 7,
              (Unit.DAY, Unit.MONTH), "week of the year, from the first Monday"),
    Directive("V", "ISO week", 2, lambda at: at.thursday.day_of_year // 7 + 1, (Unit.DAY, Unit.MONTH),
              "week, ISO 8601"),
    Directive("G", "year", 4, lambda at: int(fmod(at.thursday.year, 10_000)), (Unit.YEAR, Unit.CENTURY),
              "year of the ISO week"),
    Directive("g", "year", 2, lambda at: int(fmod(at.thursday.year, 100)), (Unit.YEAR,),
              "year of the ISO week, two digits", read=_in_century),
)}
# fmt: on
COMPOSED = {"c": "%-m/%-d/%Y, %-I:%M:%S %p", "x": "%-m/%-d/%Y", "X": "%-I:%M:%S %p"}
