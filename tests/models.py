"""Models as the service keeps them, from segmenters that tests have."""

from timeseries_segmenter.learning.model_file import TrainedModel
from timeseries_segmenter.learning.segmenter import Segmenter

PAIR = "label:ts"  # of the recorded requests


def of_one_pair(segmenter: Segmenter) -> TrainedModel:
    return TrainedModel({PAIR: segmenter})
