"""The moments of a training run, and who watches them."""

from dataclasses import dataclass
from enum import StrEnum

from timeseries_segmenter.learning.metrics import Scores


class Step(StrEnum):
    """What a job is at: those of TRAINING, CHECKING and SEARCHING come once a pair of tags."""

    FETCHING = "fetching tasks"
    TRAINING = "training"
    CHECKING = "checking"
    SEARCHING = "searching"
    SAVING = "saving"


@dataclass(frozen=True, slots=True)
class Epoch:
    """Metrics of epoch `number`, counted from 1, on the training windows as the network met them.

    `steps` are the optimizer's up to its end. There will be `most` epochs, or fewer.
    """

    number: int
    most: int
    steps: int
    loss: float
    scores: Scores


class Observer:
    """Watches a training run: override the moments you need, the others do nothing."""

    def on_step(self, step: Step) -> None:
        """A step begins."""

    def on_pair(self, name: str) -> None:
        """The training of a pair of tags begins."""

    def on_epoch(self, epoch: Epoch) -> None:
        """An epoch ended. Number 1 comes again if a warm start was given up."""

    def on_cross_validation(self, share: float) -> None:
        """So much of the cross-validation is done, from 0 to 1."""

    def on_candidate(self, name: str, number: int, most: int) -> None:
        """A search tries a recipe, counted from 1, of `most`; some of them may be passed over."""


NOBODY = Observer()
