"""What an annotator has drawn of a task so far, and which predicted regions are suggested after that.

Label Studio's editor adds suggestions to the annotation at once, in the place of regions with the same id. It
sends the regions of one label alone: what there is of others is not known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.labeling.regions import predicted_segments
from timeseries_segmenter.labeling.series import Series
from timeseries_segmenter.labeling.targets import annotation_segments
from timeseries_segmenter.project.evaluation import TOLERANCE
from timeseries_segmenter.segment import Segment

PREDICTED = ("prediction", "prediction-changed")  # origins of what began as a prediction


@dataclass(frozen=True, slots=True)
class Drawn:
    """The `results` of an annotation of one task that is not submitted yet."""

    results: Sequence[object]

    def invites(self, pair: LabelPair) -> bool:
        """Whether something is suggested for a pair: there are regions, and all were drawn by hand.

        Of a label that was suggested already, what is missing was removed by the annotator.
        """
        regions = self._regions(pair)
        return bool(regions) and not any(region.get("origin") in PREDICTED for region in regions)

    def suggested(self, segments: Sequence[Segment], pair: LabelPair, series: Series) -> list[Segment]:
        """Those of the predicted segments that carry labels of a drawn one, and overlap none.

        An instant counts as drawn if one is within TOLERANCE rows. Raises RegionError and SeriesError for
        drawn regions that have no place in the series.
        """
        drawn = annotation_segments({"result": self._regions(pair)}, pair, series)
        taken = np.zeros(len(series), np.bool_)
        for segment in drawn:
            around = TOLERANCE if segment.instant else 0
            taken[max(0, segment.first - around) : segment.last + around + 1] = True
        label_sets = {segment.labels for segment in drawn}
        return [
            segment
            for segment in predicted_segments(segments, pair)
            if segment.labels in label_sets and not taken[segment.first : segment.last + 1].any()
        ]

    def _regions(self, pair: LabelPair) -> list[Mapping[str, Any]]:
        tags = pair.from_name, pair.to_name
        return [
            result
            for result in self.results
            if isinstance(result, Mapping) and (result.get("from_name"), result.get("to_name")) == tags
        ]
