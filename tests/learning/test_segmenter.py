from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.learning.conftest import synthetic
from timeseries_segmenter.errors import ModelFileError
from timeseries_segmenter.learning.segmenter import Segmenter, read_metadata
from timeseries_segmenter.learning.training import Fitted


def test_probabilities_sum_to_1_in_every_row(fitted: Fitted, real_values: np.ndarray) -> None:
    probabilities = fitted.segmenter.probabilities(real_values)
    assert probabilities.shape == (len(real_values), 3)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_segments_do_not_overlap_and_carry_learned_labels(fitted: Fitted, real_values: np.ndarray) -> None:
    segments = fitted.segmenter.segments(real_values)
    for before, after in pairwise(segments):
        assert before.last < after.first
    assert all(segment.label in fitted.segmenter.labels and 0 < segment.score <= 1 for segment in segments)


def test_missing_values_give_finite_probabilities(fitted: Fitted) -> None:
    values = synthetic(5).values.copy()
    values[:, 1] = np.nan
    assert np.isfinite(fitted.segmenter.probabilities(values)).all()


@pytest.mark.parametrize("name", ["fitted", "fitted_events"])
def test_a_saved_model_predicts_the_same(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    segmenter: Segmenter = request.getfixturevalue(name).segmenter
    path = tmp_path / "model.pt"
    segmenter.save(path, {"version": "p1-v1", "tasks": [1, 2]})
    loaded, metadata = Segmenter.load(path)
    values = synthetic(9).values[:, : len(segmenter.channels)]
    assert (loaded.probabilities(values) == segmenter.probabilities(values)).all()
    assert loaded.segments(values) == segmenter.segments(values)
    assert replace(loaded.decoding) == segmenter.decoding
    assert (loaded.labels, loaded.channels, loaded.window) == (
        segmenter.labels,
        segmenter.channels,
        segmenter.window,
    )
    assert metadata == read_metadata(path) == {"version": "p1-v1", "tasks": [1, 2]}


@pytest.mark.parametrize("content", [b"", b"not a model", b"PK\x03\x04 half a zip"])
def test_a_file_that_is_no_model_is_an_error_with_its_name(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model_project_4.pt"
    path.write_bytes(content)
    for read in (Segmenter.load, read_metadata):
        with pytest.raises(ModelFileError, match=r"model_project_4\.pt"):
            read(path)


def test_a_half_written_model_is_an_error(fitted: Fitted, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    fitted.segmenter.save(path, {})
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ModelFileError):
        Segmenter.load(path)


@pytest.mark.parametrize("content", [[1, 2], {"format": 99}, {"format": 1, "metadata": {}}])
def test_a_torch_file_of_another_kind_is_an_error(content: object, tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    torch.save(content, path)
    with pytest.raises(ModelFileError, match=r"other\.pt"):
        Segmenter.load(path)


def test_code_in_a_model_file_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    path = tmp_path / "trap.pt"
    torch.save({"format": 1, "metadata": Trap()}, path)
    with pytest.raises(ModelFileError):
        read_metadata(path)
    assert not (tmp_path / "sprung").exists()
