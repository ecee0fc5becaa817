"""Models as the service keeps them, from segmenters that tests have."""

import lzma
from pathlib import Path
from typing import Any

from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.project.card import Card
from timeseries_segmenter.project.model import Model

PAIR = "label:ts"  # of the recorded requests
DATA = Path(__file__).parents[1] / "data" / "models"


def of_one_pair(segmenter: Segmenter, **card: Any) -> Model:
    return Model(Card(**card), {PAIR: segmenter})


def unpack_former(number: int, path: Path) -> Path:
    """A model file of format 2, 3 or 4 that a release wrote, at `path`; weights are rounded."""
    path.write_bytes(lzma.decompress((DATA / f"format-{number}.pt.xz").read_bytes()))
    return path
