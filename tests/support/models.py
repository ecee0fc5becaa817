"""Models as the service keeps them, from segmenters that tests have."""

from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.project.model import TrainedModel

PAIR = "label:ts"  # of the recorded requests


def of_one_pair(segmenter: Segmenter) -> TrainedModel:
    return TrainedModel({PAIR: segmenter})
