import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.http_server import HttpServer, Reply
from tests.support.label_studio_server import LabelStudioServer
from timeseries_segmenter.errors import SeriesError
from timeseries_segmenter.labeling.config import parse_label_config
from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.labeling.series import Series, read_series
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources import series_cache
from timeseries_segmenter.sources.task_series import TaskSeries

UPLOAD = "/data/upload/3/0a1b2c3d-x.csv"
CSV = b"t,ax,ay\n2026-01-01,1,2\n2026-01-02,,4\n2026-01-04,5,6\n"
CONFIG = (
    '<View><TimeSeriesLabels name="label" toName="ts"><Label value="Run"/></TimeSeriesLabels>'
    '<TimeSeries name="ts" value="$csv" {}>{}</TimeSeries></View>'
)
BOTH = '<Channel column="ax"/><Channel column="ay"/>'
TIMED = 'timeColumn="t" timeFormat="%Y-%m-%d"'


@pytest.fixture
def settings(settings: Settings, studio: LabelStudioServer) -> Settings:
    studio.files[UPLOAD] = CSV
    return settings.model_copy(update={"label_studio_host": studio.url})


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What was parsed, and not taken from the cache."""
    seen: list[object] = []

    def watched(content: Any, *arguments: Any, **options: Any) -> Series:
        seen.append(content)
        return read_series(content, *arguments, **options)

    monkeypatch.setattr("timeseries_segmenter.sources.task_series.read_series", watched)
    return seen


def pair(attributes: str = TIMED, channels: str = BOTH) -> LabelPair:
    return parse_label_config(CONFIG.format(attributes, channels)).pairs[0]


def read(settings: Settings, how: LabelPair, source: object = UPLOAD) -> Series:
    """As another process with the same folder reads it."""
    return TaskSeries.from_settings(settings).of_task({"id": 7, "data": {"csv": source}}).read(how)


def arrays(settings: Settings) -> list[Path]:
    return sorted(settings.series_cache_dir.glob("*.npy"))


def assert_equal(one: Series, other: Series) -> None:
    np.testing.assert_array_equal(one.values, other.values)
    assert one.values.dtype == other.values.dtype == np.float32
    np.testing.assert_array_equal(one.time.stamps, other.time.stamps)
    assert (one.channels, one.time.is_counted) == (other.channels, other.time.is_counted)
    assert one.start_end(0, 2) == other.start_end(0, 2)


@pytest.mark.parametrize("attributes", [TIMED, "", 'timeColumn="ay"'])
def test_a_series_is_parsed_once_and_stays_what_it_was(
    settings: Settings, parsed: list[object], attributes: str
) -> None:
    how = pair(attributes)
    once = read(settings.model_copy(update={"cache_mb": 0}), how)
    for _ in range(3):
        assert_equal(read(settings, how), once)
    assert len(parsed) == 2


def test_a_kept_series_is_mapped_and_what_is_written_to_it_is_not_kept(settings: Settings) -> None:
    first = read(settings, pair())
    base: Any = first.values
    while not isinstance(base, np.memmap):
        base = base.base
    first.values[:] = 9
    assert read(settings, pair()).values.max() == 6


@pytest.mark.parametrize(
    "other",
    [
        pair(channels='<Channel column="ay"/>'),
        pair(channels='<Channel column="ay"/><Channel column="ax"/>'),
        pair(""),
        pair(f'{TIMED} sep="auto"'),
    ],
)
def test_another_way_to_read_a_file_is_read(
    settings: Settings, parsed: list[object], other: LabelPair
) -> None:
    read(settings, pair())
    assert_equal(read(settings, other), read(settings.model_copy(update={"cache_mb": 0}), other))
    assert len(parsed) == 3


def test_other_labels_need_no_parsing(settings: Settings, parsed: list[object]) -> None:
    read(settings, pair())
    config = CONFIG.format(TIMED, BOTH).replace("Run", "Walk")
    read(settings, parse_label_config(config).pairs[0])
    assert len(parsed) == 1


@pytest.mark.parametrize(("name", "value"), [("__version__", "9.9.9"), ("READING", 99)])
def test_another_release_parses_again(
    settings: Settings, parsed: list[object], monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    read(settings, pair())
    monkeypatch.setattr(series_cache, name, value)
    read(settings, pair())
    assert len(parsed) == 2


def test_a_file_that_changed_behind_its_address_is_seen(
    settings: Settings, other_host: HttpServer, parsed: list[object]
) -> None:
    address = other_host.serve("/x.csv", CSV, ETag='"1"')
    other_host.routes["/x.csv"] = lambda request: (
        Reply(status=304) if request.headers["If-None-Match"] else Reply(CSV, headers={"ETag": '"1"'})
    )
    for _ in range(3):
        assert read(settings, pair(), address).values[2].tolist() == [5, 6]
    assert len(parsed) == 1
    other_host.serve("/x.csv", CSV.replace(b"5,6", b"7,8"), ETag='"2"')
    assert read(settings, pair(), address).values[2].tolist() == [7, 8]


def test_without_a_validator_the_content_decides(
    settings: Settings, other_host: HttpServer, parsed: list[object]
) -> None:
    for content, times in ((CSV, 1), (CSV, 1), (CSV.replace(b"5,6", b"7,8"), 2), (CSV, 2)):
        read(settings, pair(), other_host.serve("/x.csv", content))
        assert len(parsed) == times


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(b"no array"),
        lambda path: np.save(path, np.zeros((1, 1), np.float32)),
    ],
)
@pytest.mark.parametrize("place", [0, 1])
def test_what_is_damaged_or_gone_is_parsed_again(
    settings: Settings, parsed: list[object], damage: Callable[[Path], object], place: int
) -> None:
    once = read(settings.model_copy(update={"cache_mb": 0}), pair())
    read(settings, pair())
    damage(arrays(settings)[place])
    for _ in range(2):
        assert_equal(read(settings, pair()), once)
    assert len(parsed) == 3


def test_the_ones_unused_for_longest_make_room(settings: Settings, studio: LabelStudioServer) -> None:
    settings = settings.model_copy(update={"cache_mb": 1})
    rows = "".join(f"2026-01-01,{row},1\n" for row in range(20_000))
    for number in range(4):
        studio.files[f"/data/upload/3/0a1b2c3{number}-x.csv"] = f"t,ax,ay\n{rows}".encode()
        read(settings, pair(), f"/data/upload/3/0a1b2c3{number}-x.csv")
        for path in settings.series_cache_dir.iterdir():  # older than anything that follows
            os.utime(path, (path.stat().st_mtime - 100, path.stat().st_mtime - 100))
    sizes = [path.stat().st_size for path in settings.series_cache_dir.iterdir()]
    assert 500_000 < sum(sizes) <= 1_100_000


def test_nothing_is_kept_without_a_cache(settings: Settings) -> None:
    read(settings.model_copy(update={"cache_mb": 0}), pair())
    assert not settings.series_cache_dir.exists()


def test_a_series_that_can_not_be_read_says_so_each_time(
    settings: Settings, studio: LabelStudioServer
) -> None:
    studio.files[UPLOAD] = b"t,ax\n2026-01-01,1\n"
    for _ in range(2):
        with pytest.raises(SeriesError, match='Task 7: there is no column "ay"'):
            read(settings, pair())


def test_a_long_series_is_read_from_the_disk_to_the_disk_and_nothing_else_is_left_there(
    settings: Settings, studio: LabelStudioServer, parsed: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = (f"2026-01-{day:02},{day},{day if day % 2 else ''}" for day in range(1, 29))
    studio.files[UPLOAD] = "\n".join(["t,ax,ay", *lines]).encode()
    whole = read_series(studio.files[UPLOAD], pair(), 7)
    monkeypatch.setattr("timeseries_segmenter.labeling.rows.MOST_IN_MEMORY", 100)
    monkeypatch.setattr("timeseries_segmenter.labeling.tables.csv_text.BLOCK", 60)
    for channels in (BOTH, BOTH.replace("ax", "AX")):
        np.testing.assert_array_equal(read(settings, pair(channels=channels)).values, whole.values)
    assert isinstance(parsed[1], memoryview)
    assert {path.suffix for path in settings.series_cache_dir.iterdir() if path.is_file()} == {
        ".npy",
        ".series",
    }
