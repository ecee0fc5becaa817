"""Time columns as people write them, made by chance: numbers, dates, elapsed times, clocks that roll over."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from random import Random

HOUR = 3600
DAY = 24 * HOUR


Made = tuple[str, list[str]]


def make_times(random: Random, rows: int) -> tuple[str, str, list[str]]:
    """The kind of a time column, its `timeFormat`, "" where it holds numbers, and its cells."""
    kind = random.choice(list(KINDS))
    time_format, cells = KINDS[kind](random, rows)
    if random.random() < 0.04:
        return f"{kind}, damaged", time_format, _damage(random, cells)
    return kind, time_format, cells


def _damage(random: Random, cells: list[str]) -> list[str]:
    """One cell is empty, a word, or out of order."""
    row = random.randrange(len(cells))
    cells[row] = random.choice(["", "x", "NaN", cells[0], cells[-1]])
    return cells


def _seconds(random: Random, rows: int, start: float, steps: Sequence[float]) -> list[float]:
    """Times that go on by a step of a kind, or by steps of all kinds."""
    steps = random.choice([steps, [random.choice(steps)]])
    times = [start]
    while len(times) < rows:
        times.append(times[-1] + random.choice(steps))
    return times


def _whole_numbers(random: Random, rows: int) -> Made:
    start = random.choice([-20, 0, 1, 1000, 1_700_000_000, 1_700_000_000_000, -1_700_000_000_000])
    return "", [f"{time:d}" for time in map(int, _seconds(random, rows, start, [1, 2, 10, 1000]))]


def _decimal_numbers(random: Random, rows: int) -> Made:
    places = random.choice([1, 2, 3, 6, 9])
    start = random.choice([-1.5, 0.0, 0.125, 99.9, 1_700_000_000.25])
    return "", [f"{time:.{places}f}" for time in _seconds(random, rows, start, [0.1, 0.25, 1.0])]


def _exponents(random: Random, rows: int) -> Made:
    return "", [f"{time:.7e}" for time in _seconds(random, rows, 0.5, [0.5, 2.0, 250.0])]


def _equal_stamps(random: Random, rows: int) -> Made:
    return "", [f"{time:g}" for time in _seconds(random, rows, random.choice([-3, 0, 5]), [0, 0, 1])]


def _dates(random: Random, rows: int, time_format: str, steps: Sequence[float]) -> list[str]:
    start = datetime(2024, random.choice([2, 6, 12]), 28, random.choice([0, 11, 23]), 58, 50, tzinfo=UTC)
    times = [start + timedelta(seconds=each) for each in _seconds(random, rows, 0, steps)]
    return [each.strftime(time_format) for each in times]


def _date_and_clock(random: Random, rows: int) -> Made:
    forms = (
        *("%Y-%m-%d %H:%M:%S", "%Y/%m/%d %H:%M:%S", "%d.%m.%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S"),
        *("%Y-%m-%dT%H:%M:%SZ", "%Y%m%d%H%M%S", "%y-%m-%d %H:%M:%S", "%d %b %Y %H:%M:%S", "%Y%m%d %H%M%S"),
        *("%Y-%j %H:%M:%S", "%A %d %B %Y %H:%M:%S", "%Y-%m-%d %I:%M:%S %p", "%m/%d/%Y %I:%M:%S %p"),
    )
    form = random.choice(forms)
    return form, _dates(random, rows, form, [0, 1, 7, 60, 3600])


def _days(random: Random, rows: int) -> Made:
    weeks = ["%G-W%V-%u", "%Y %U %w", "%Y %W %w"]
    form = random.choice(["%Y-%m-%d", "%d.%m.%Y", "%Y%m%d", "%d-%b-%y", *weeks])
    return form, _dates(random, rows, form, [DAY, 3 * DAY])


def _unpadded(random: Random, rows: int) -> Made:
    times = _seconds(random, rows, 0, [1, 59, 3600])
    moments = [datetime(2024, 1, 9, 8, 5, 7, tzinfo=UTC) + timedelta(seconds=time) for time in times]
    cells = [f"{t.year}-{t.month}-{t.day} {t.hour}:{t.minute}:{t.second}" for t in moments]
    if random.random() < 0.3:
        return "%x %X", [moment.strftime("%-m/%-d/%Y %-I:%M:%S %p") for moment in moments]
    return random.choice(["%Y-%m-%d %H:%M:%S", "%Y-%-m-%-d %-H:%-M:%-S"]), cells


def _milliseconds(random: Random, rows: int) -> Made:
    """With three digits, with fewer, or without zeros at the end."""
    times = _seconds(random, rows, random.choice([0.0, 5.5, 3599.9]), [0.001, 0.01, 0.1, 0.5, 1.0])
    digits = random.choice([3, 3, 2, 1, 0])
    cells = []
    for time in times:
        whole, fraction = f"{round(time, digits or 3):.3f}".split(".")
        fraction = fraction[:digits] if digits else fraction.rstrip("0")
        cells.append(f"{_clock(int(whole))}.{fraction}" if fraction else f"{_clock(int(whole))}.0")
    return "%H:%M:%S.%L", cells


def _microseconds(random: Random, rows: int) -> Made:
    times = _seconds(random, rows, 30.0, [0.001, 0.25, 0.000_5, 1.0])
    digits = random.choice([6, 6, 3])
    return "%H:%M:%S.%f", [
        f"{_clock(int(time))}.{int(time % 1 * 1_000_000):06d}"[: 9 + digits] for time in times
    ]


def _minutes_past_an_hour(random: Random, rows: int) -> Made:
    start = random.choice([0, 55 * 60, 59 * 60 + 40])
    times = map(int, _seconds(random, rows, start, [5, 20, 61]))
    return "%M:%S", [f"{time // 60:02d}:{time % 60:02d}" for time in times]


def _hours_past_a_day(random: Random, rows: int) -> Made:
    times = map(int, _seconds(random, rows, random.choice([0, 23 * HOUR, 47 * HOUR]), [1, 600, 1800]))
    if random.random() < 0.5:
        return "%H:%M:%S", [_clock(time) for time in times]
    return "%H:%M", [_clock(time)[:-3] for time in times]


def _midnight_as_24(random: Random, rows: int) -> Made:
    """The last row of a day says 24:00; with a date, the next one begins a new day."""
    step = random.choice([5, 15, 60])
    minutes = [24 * 60 - step * (rows - 1 - row) for row in range(rows)]
    if minutes[0] < 0:
        minutes = [minute - minutes[0] for minute in minutes]
    return "%H:%M", [_clock(minute * 60)[:-3] for minute in minutes]


def _noon_without_half(random: Random, rows: int) -> Made:
    times = map(int, _seconds(random, rows, random.choice([0, 11 * HOUR, 12 * HOUR]), [60, 600]))
    return "%I:%M", [f"{(time // HOUR - 1) % 12 + 1:02d}:{time // 60 % 60:02d}" for time in times]


def _offsets(random: Random, rows: int) -> Made:
    """Dates with offsets: always the same, or changing at a summer time's end."""
    zones = [timezone(timedelta(minutes=each)) for each in (0, 120, 60, -300, 330)]
    first, second = random.choice([zones[:1] * 2, random.choices(zones, k=2)])
    cells = []
    for row, time in enumerate(_seconds(random, rows, 0, [1, 60, 1800])):
        moment = datetime(2024, 10, 26, 23, 30, tzinfo=UTC) + timedelta(seconds=time)
        text = moment.astimezone(first if row < rows // 2 else second).strftime("%Y-%m-%dT%H:%M:%S%z")
        cells.append(text)
    if first is second is zones[0]:
        cells = [f"{cell[:-5]}Z" for cell in cells]
    elif random.random() < 0.5:
        cells = [f"{cell[:-2]}:{cell[-2:]}" for cell in cells]
    return "%Y-%m-%dT%H:%M:%S%Z", cells


def _clock_with_offset(random: Random, rows: int) -> Made:
    """No date, so that the time in UTC may lie on the day before or behind."""
    zone = random.choice(["+0200", "-0500", "+05:30", "-10", "Z"])
    times = map(int, _seconds(random, rows, random.choice([0, HOUR, 22 * HOUR]), [1, 60, 300]))
    return "%H:%M:%S%Z", [_clock(time) + zone for time in times]


def _epoch_seconds(random: Random, rows: int) -> Made:
    start = random.choice([0, 5, 1_700_000_000])
    return "%s", [str(int(time)) for time in _seconds(random, rows, start, [0, 1, 60])]


def _epoch_seconds_with_fraction(random: Random, rows: int) -> Made:
    places = random.choice([1, 2, 3])
    times = _seconds(random, rows, 1_700_000_000, [0.001, 0.1, 0.25, 1.0])
    return "%s.%L", [f"{time:.{places}f}" for time in times]


def _epoch_milliseconds(random: Random, rows: int) -> Made:
    start = random.choice([0, 999, 1_700_000_000_000])
    return "%Q", [str(int(time)) for time in _seconds(random, rows, start, [0, 1, 20, 1000])]


def _clock_in_digits(random: Random, rows: int) -> Made:
    start = random.choice([0, 8 * HOUR, 9 * HOUR + 3590, 10 * HOUR, 23 * HOUR + 3590])
    times = map(int, _seconds(random, rows, start, [1, 20, 60]))
    form, width = random.choice([("%H%M%S", 6), ("%H%M", 4)])
    return form, [_clock(time).replace(":", "")[:width] for time in times]


def _clock(seconds: int) -> str:
    """Hours, minutes and seconds, the hours beyond 24 too."""
    return f"{seconds // HOUR:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


KINDS: dict[str, Callable[[Random, int], Made]] = {
    "whole numbers": _whole_numbers,
    "decimal numbers": _decimal_numbers,
    "exponents": _exponents,
    "equal stamps": _equal_stamps,
    "date and clock": _date_and_clock,
    "days": _days,
    "without padding": _unpadded,
    "milliseconds": _milliseconds,
    "microseconds": _microseconds,
    "minutes past an hour": _minutes_past_an_hour,
    "hours past a day": _hours_past_a_day,
    "midnight as 24:00": _midnight_as_24,
    "noon without AM and PM": _noon_without_half,
    "offsets": _offsets,
    "clock with an offset": _clock_with_offset,
    "epoch seconds": _epoch_seconds,
    "epoch seconds with a fraction": _epoch_seconds_with_fraction,
    "epoch milliseconds": _epoch_milliseconds,
    "clock in digits": _clock_in_digits,
}
