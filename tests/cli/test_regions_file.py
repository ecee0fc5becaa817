from pathlib import Path

import pytest

from timeseries_segmenter.cli.regions_file import FilePrediction, FileRegion, RegionsFile
from timeseries_segmenter.errors import ExportError


def prediction(name: str, *labels: str) -> FilePrediction:
    return FilePrediction(
        name, "v1", 0.5, [FileRegion("label", 1.5, 2, (each,), 0.98765, False) for each in labels]
    )


FILES = [prediction("a.csv", "Run", "a, b"), prediction('odd "name".csv'), prediction("c.csv", "Walk", "Run")]
each_form = pytest.mark.parametrize("name", ["r.csv", "r.jsonl"])


@each_form
def test_what_a_killed_process_left_of_a_file_is_predicted_again_and_all_else_is_known(
    name: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    whole = RegionsFile(path)
    whole.write(FILES)
    content = path.read_bytes()
    header = content.index(b"\n") + 1 if name == "r.csv" else 0
    for cut in range(header, len(content) + 1):
        path.write_bytes(content[:cut])
        known = RegionsFile(path).resume()
        assert known == [each.file for each in FILES[: len(known)]]
        for each in FILES[len(known) :]:
            RegionsFile(path).append(each)
        # rows of a file may be missing only if the cut is between two of them, which no write leaves
        between = content[:cut].endswith(b"\n")
        assert path.read_bytes() == content or between
    path.write_bytes(content)
    assert RegionsFile(path).resume() == [each.file for each in FILES]


@each_form
def test_appending_writes_what_writing_does(name: str, tmp_path: Path) -> None:
    RegionsFile(tmp_path / name).write(FILES)
    at_once = (tmp_path / name).read_bytes()
    (tmp_path / name).unlink()
    one_by_one = RegionsFile(tmp_path / name)
    assert one_by_one.resume() == []
    for each in FILES:
        one_by_one.append(each)
    assert (tmp_path / name).read_bytes() == at_once


@each_form
@pytest.mark.parametrize("content", [b"time,ax\n1,2\n", b"[1]\n", b"\xff\xfe", b'{"file": 1}\n["x"]\n'])
def test_another_kind_of_file_is_refused_and_stays_as_it_is(
    name: str, content: bytes, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ExportError, match="does not hold predicted regions"):
        RegionsFile(tmp_path / name).resume()
    assert (tmp_path / name).read_bytes() == content
