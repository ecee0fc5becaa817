"""A project's model: a segmenter for each pair of tags, by its name, and its card."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from timeseries_segmenter.labeling.config import LabelConfig
from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.learning.training.remembered import Remembered
from timeseries_segmenter.project.card import Card

UNTRAINED = "untrained"  # the version of a project without a model
NO_PROJECT = 0  # serves requests that name no project

Folds = Mapping[int, Segmenter]


@dataclass(frozen=True, slots=True)
class Model:
    """A version of a project's model, ready to predict.

    `segmenters` are by the name of their pair. What only a training run makes and needs: the segmenters
    of each fold by pair, what is `remembered` of tasks if there are too many for one run, and the `report` as
    JSON.
    """

    card: Card
    segmenters: Mapping[str, Segmenter]
    folds: Mapping[str, Folds] = field(default_factory=dict)
    report: str | None = None
    remembered: Mapping[str, Remembered] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """Its name."""
        return self.card.version

    def segmenter(self, pair: LabelPair, config: LabelConfig) -> Segmenter | None:
        """The segmenter of one of the labeling config's pairs; None if it has learned none.

        Tags that were renamed are known by being the only ones.
        """
        only = len(self.segmenters) == len(config.pairs) == 1
        return self.segmenters.get(pair.name) or (next(iter(self.segmenters.values())) if only else None)
