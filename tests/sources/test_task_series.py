import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

from timeseries_segmenter.errors import LabelStudioError, SegmenterError, SeriesError
from timeseries_segmenter.labeling.config import parse_label_config
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources.task_series import TaskSeries

CONFIG = (
    '<View><TimeSeriesLabels name="label" toName="ts"><Label value="Run"/></TimeSeriesLabels>'
    '<TimeSeries name="ts" value="$ts" {}><Channel column="{}"/></TimeSeries></View>'
)
CSV = "ax,ay\n1,2\n3,4\n"


def read(settings: Settings, value: Any, attributes: str = "", column: str = "ax") -> list[list[float]]:
    (pair,) = parse_label_config(CONFIG.format(attributes, column)).pairs
    task = {"id": 7, "data": {"ts": value}}
    values: list[list[float]] = TaskSeries.from_settings(settings).of_task(task).read(pair).values.tolist()
    return values


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "s.csv").write_text(CSV)
    return settings.model_copy(update={"local_files_dir": tmp_path / "files"})


def test_a_list_of_columns_has_them_by_number(settings: Settings) -> None:
    assert read(settings, [[1, 2], [3, 4]], 'valueType="json"', "1") == [[3], [4]]


@pytest.mark.parametrize(
    ("value", "attributes", "message"),
    [
        ("s.csv", 'valueType="json"', 'Task 7: $ts is \'s.csv\', but valueType="json" of TimeSeries "ts"'),
        ("https://example.com/s.csv", 'valueType="json"', 'write valueType="url" for the address of a file'),
        (CSV, 'valueType="json"', "says that the task holds the series itself"),
        (CSV, "", "$ts holds the text of a file, 'ax,ay\\n1,2\\n3,4', where its address is expected"),
        ("ax,ay\r1,2\r3,4", "", "$ts holds the text of a file"),
        (json.dumps({"ax": [1, 2]}), "", 'expects the address of a file; write valueType="json"'),
        ([[1, 2]], "", 'expects the address of a file; write valueType="json"'),
        ([{"ax": 1}, {"ax": 2}], 'valueType="json"', "(a list of rows); write a set of columns"),
        ([1, 2, 3], 'valueType="json"', "$ts is [1, 2, 3]; write a set of columns"),
        (["s.csv"], "", """expected; write value="$ts[0]" for the first"""),
        (
            {"url": "s.csv"},
            "",
            """$ts is {'url': 's.csv'}, where the address of a file is expected; write value="$ts.url\"""",
        ),
        (7, "", "$ts is 7; it should be the address of a file"),
        ("", 'valueType="json"', "$ts is ''; it should be a set of columns"),
    ],
)
def test_a_value_of_another_kind_is_an_error_that_leads_to_value_type(
    settings: Settings, value: Any, attributes: str, message: str
) -> None:
    with pytest.raises(SeriesError, match=re.escape(message)):
        read(settings, value, attributes)


def test_a_packed_file_is_called_by_its_kind(settings: Settings) -> None:
    assert settings.local_files_dir
    (settings.local_files_dir / "s.csv.gz").write_bytes(gzip.compress(CSV.encode()))
    with pytest.raises(SeriesError, match=r"Task 7: 's.csv.gz' is a gzip file; .* unpack it"):
        read(settings, "s.csv.gz")


@pytest.mark.parametrize(
    ("path", "correction"),
    [
        ("S.csv", "; it has 's.csv': write it like that"),
        ("my%20run/s%2B.csv", "; it has 'my run/s+.csv': write it like that"),
        ("my run\\S+.CSV", "; it has 'my run/s+.csv': write it like that"),
        ("none.csv", "; correct the path, or write the whole address, as in https://host/file.csv"),
        ("none/s.csv", "; correct the path"),
        ("%00", "; correct the path"),
        ("../%2e%2e/files/s.csv%2f..%2f..%2fx", "; correct the path"),
        ("www.example.com/s.csv", "; correct the path, or write the whole address"),
    ],
)
def test_a_path_of_no_file_is_corrected(settings: Settings, path: str, correction: str) -> None:
    assert settings.local_files_dir
    (settings.local_files_dir / "my run").mkdir()
    (settings.local_files_dir / "my run" / "s+.csv").write_text(CSV)
    if path.startswith(".."):
        path = path.removeprefix("../")
    with pytest.raises(SegmenterError) as raised:
        read(settings, path)
    folder = settings.local_files_dir
    assert f"Task 7: {path!r} can't be read: there is no such file in {folder}{correction}" in str(
        raised.value
    )


def test_a_path_beside_the_folder_names_the_folder_that_is_allowed(settings: Settings) -> None:
    with pytest.raises(SegmenterError, match=re.escape(str(settings.local_files_dir))):
        read(settings, "../s.csv")


def test_a_file_of_label_studio_without_a_key_names_the_task_and_what_to_set(settings: Settings) -> None:
    without = settings.model_copy(update={"label_studio_api_key": type(settings.label_studio_api_key)("")})
    with pytest.raises(
        LabelStudioError, match=r"^Task 7: '/data/local-files/\?d=s.csv'.*LABEL_STUDIO_API_KEY"
    ):
        read(without, "/data/local-files/?d=s.csv")
