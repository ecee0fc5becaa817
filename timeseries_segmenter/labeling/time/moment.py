"""One time, in the parts that a time format prints."""

import math
from functools import lru_cache

import numpy as np

DAY = 86_400_000  # ms

_WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
NAMES: dict[str, tuple[str, ...]] = {
    "a": tuple(name[:3] for name in _WEEKDAYS),
    "A": _WEEKDAYS,
    "b": tuple(name[:3] for name in _MONTHS),
    "B": _MONTHS,
    "p": ("AM", "PM"),
}
# The most digits that a number has when it is read, and the width that most are padded to.
DIGITS = {
    **dict.fromkeys("quw", 1),
    **dict.fromkeys("degHImMSUVWy", 2),
    **dict.fromkeys("jL", 3),
    **dict.fromkeys("GY", 4),
    "f": 6,
    **dict.fromkeys("Qs", 18),
}


class Moment:
    """Milliseconds since 1970, in the parts that d3 prints."""

    def __init__(self, milliseconds: int) -> None:
        self.milliseconds = milliseconds
        self.days, self.in_day = divmod(milliseconds, DAY)

    def print(self, directive: str, padding: str) -> str:
        """What one directive prints, numbers padded with `padding`, or not where it is empty."""
        if directive in NAMES:
            return NAMES[directive][self._number(directive)]
        if directive == "Z":
            return "+0000"
        number = self._number(directive)
        if directive in "quwQs":
            return str(number)
        width = 3 if directive == "f" else DIGITS[directive]
        text = str(abs(number)).rjust(width, padding) if padding else str(abs(number))
        return "-" * (number < 0) + text + "000" * (directive == "f")

    def _number(self, directive: str) -> int:
        weekday = (self.days + 4) % 7
        match directive:
            case "Q":
                return self.milliseconds
            case "s":
                return self.milliseconds // 1000
            case "L" | "f":
                return self.in_day % 1000
            case "S":
                return self.in_day // 1000 % 60
            case "M":
                return self.in_day // 60_000 % 60
            case "H":
                return self.in_day // 3_600_000
            case "I":
                return self.in_day // 3_600_000 % 12 or 12
            case "p":
                return int(self.in_day >= DAY // 2)
            case "a" | "A" | "w":
                return weekday
            case "u":
                return weekday or 7
        # An ISO week belongs to the year of its Thursday.
        day = self.days - (weekday - 1) % 7 + 3 if directive in "gGV" else self.days
        year, month, in_year, in_month = _date(day)
        match directive:
            case "Y" | "G":
                return int(math.fmod(year, 10_000))
            case "y" | "g":
                return int(math.fmod(year, 100))
            case "q":
                return month // 3 + 1
            case "m":
                return month + 1
            case "b" | "B":
                return month
            case "j":
                return in_year + 1
            case "V":
                return in_year // 7 + 1
            case "U":
                return (in_year + 7 - weekday) // 7
            case "W":
                return (in_year + 7 - (weekday - 1) % 7) // 7
        return in_month + 1


@lru_cache(maxsize=1024)
def _date(day: int) -> tuple[int, int, int, int]:
    """The year of a day since 1970, and month, day of the year and day of the month, from 0."""
    date = np.datetime64(day, "D")
    month, first, new_year = (
        date.astype(unit).astype(kind).astype(np.int64)
        for unit, kind in (("M8[M]", "M8[M]"), ("M8[M]", "M8[D]"), ("M8[Y]", "M8[D]"))
    )
    return int(month) // 12 + 1970, int(month) % 12, day - int(new_year), day - int(first)
