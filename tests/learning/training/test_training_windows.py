import numpy as np
import torch

from timeseries_segmenter.learning.training.training_windows import TrainingWindows
from timeseries_segmenter.segment import UNKNOWN


def test_every_training_window_of_partly_known_series_has_a_known_row_and_all_are_seen_alike() -> None:
    targets = [np.full(1000, UNKNOWN), np.full(10, 1)]
    targets[0][[*range(5), *range(400, 420)]] = 0
    rows = np.arange(1010, dtype=np.float32)[:, None]
    torch.manual_seed(0)
    series = [rows[:1000], rows[1000:]]
    windows = TrainingWindows(series, series, targets, 20, 1, torch.device("cpu"))
    inputs, _, drawn = windows.batch(4000)
    assert ((drawn != UNKNOWN).any(dim=1)).all()
    known = inputs[..., 0][drawn != UNKNOWN].long().bincount(minlength=1010)
    assert known.nonzero().ravel().tolist() == [*range(5), *range(400, 420), *range(1000, 1010)]
    assert known[400:420].max() < 2 * known[400:420].min()
