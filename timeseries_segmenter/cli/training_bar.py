"""A training run as a progress bar on the terminal."""

from typing import Any

from tqdm import tqdm

from timeseries_segmenter.learning.observer import Epoch, Observer


class TrainingBar(Observer):
    """Shows epochs, the cross-validation and the search on a `bar`, which others open and close."""

    def __init__(self, bar: "tqdm[Any]") -> None:
        self._bar = bar
        self._pair = ""

    def on_pair(self, name: str) -> None:
        """See `Observer`."""
        self._pair = name

    def on_epoch(self, epoch: Epoch) -> None:
        """See `Observer`."""
        self._bar.total = self._bar.n + 1 + epoch.most - epoch.number
        self._bar.update()
        self._bar.set_postfix(
            loss=f"{epoch.loss:.3f}",
            balanced_accuracy=f"{epoch.scores.balanced_accuracy:.3f}",
            min_f1=f"{epoch.scores.min_f1:.3f}",
        )

    def on_cross_validation(self, share: float) -> None:
        """See `Observer`."""
        self._bar.set_postfix_str(f"checking {self._pair}, {share:.0%}")

    def on_candidate(self, name: str, number: int, most: int) -> None:
        """See `Observer`."""
        self._bar.set_postfix_str(f"searching {self._pair}, recipe {number} of {most}: {name}")
