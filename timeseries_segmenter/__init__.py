"""Learns from the regions that people annotate on time series in Label Studio, and predicts them on the rest.

The public names of the library are below. Importing one imports what it needs: torch, mostly.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from timeseries_segmenter.errors import SegmenterError
    from timeseries_segmenter.estimator import SegmentClassifier
    from timeseries_segmenter.labeling.config import parse_label_config
    from timeseries_segmenter.labeling.regions import to_regions
    from timeseries_segmenter.labeling.series import read_series
    from timeseries_segmenter.labeling.targets import annotated_label_sets, annotation_segments, class_indices
    from timeseries_segmenter.learning.examples import Example
    from timeseries_segmenter.learning.segmenter import Segmenter
    from timeseries_segmenter.learning.training.fit import fit
    from timeseries_segmenter.learning.training.recipe import Recipe
    from timeseries_segmenter.segment import Segment

__version__ = "0.1.0"

INSTALL = (
    "run `make install`, or `pip install -r requirements.txt` and then "
    "`pip install --no-deps -r requirements-base.txt`."
)

_MODULES = {
    "Example": "learning.examples",
    "Recipe": "learning.training.recipe",
    "Segment": "segment",
    "SegmentClassifier": "estimator",
    "Segmenter": "learning.segmenter",
    "SegmenterError": "errors",
    "annotation_segments": "labeling.targets",
    "class_indices": "labeling.targets",
    "annotated_label_sets": "labeling.targets",
    "fit": "learning.training.fit",
    "parse_label_config": "labeling.config",
    "read_series": "labeling.series",
    "to_regions": "labeling.regions",
}

__all__ = [
    "Example",
    "Recipe",
    "Segment",
    "SegmentClassifier",
    "Segmenter",
    "SegmenterError",
    "annotated_label_sets",
    "annotation_segments",
    "class_indices",
    "fit",
    "parse_label_config",
    "read_series",
    "to_regions",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES])
