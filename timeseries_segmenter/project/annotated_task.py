"""What a training run needs to know of each annotated task, whether it reads it or not."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from pydantic import BaseModel, ConfigDict

from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.labeling.tag import REGION_TYPE
from timeseries_segmenter.labeling.targets import changed_at, choose_annotations
from timeseries_segmenter.project.corrections import CorrectedAnnotation, corrected_annotations

# the tags of a pair, the labels, and whether the region is an instant
Kind = tuple[str, str, tuple[str, ...], bool]


class AnnotatedTask(BaseModel):
    """A task with annotations that count, how many regions of each kind these have, when annotations of it
    changed last, and what people corrected. It is kept as JSON, so that none of that is found out twice.

    `changed_at` is in seconds since 1970, by Label Studio's clock; before all times if it is not known.
    """

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="constants")

    id: int
    regions: tuple[tuple[Kind, int], ...]
    changed_at: float
    corrected: tuple[CorrectedAnnotation, ...] = ()

    @property
    def kinds(self) -> set[Kind]:
        """Those of its regions."""
        return {kind for kind, _ in self.regions}

    @classmethod
    def from_task(cls, task: Mapping[str, Any], pairs: Sequence[LabelPair] = ()) -> "AnnotatedTask | None":
        """What there is to know of a task as Label Studio lists it; None if no annotation counts."""
        annotations = task.get("annotations") or []
        if not isinstance(annotations, list) or not all(isinstance(each, Mapping) for each in annotations):
            # who reads it says what is wrong
            return cls(id=task["id"], regions=(), changed_at=-float("inf"))
        counting = choose_annotations(annotations)
        if not counting:
            return None
        return cls(
            id=task["id"],
            regions=tuple(Counter(chain.from_iterable(map(_kinds, counting))).items()),
            changed_at=max(map(changed_at, annotations)),
            corrected=tuple(corrected_annotations(task, pairs)),
        )


def _kinds(annotation: Mapping[str, object]) -> Iterator[Kind]:
    """The kind of each region of an annotation, whatever pair it is of."""
    results = annotation.get("result")
    for result in results if isinstance(results, list) else ():
        value = result.get("value") if isinstance(result, Mapping) else None
        if not isinstance(value, Mapping) or not isinstance(labels := value.get(REGION_TYPE), list):
            continue
        instant = value.get("instant") is True or value.get("start") == value.get("end")
        names = tuple(sorted(label for label in labels if isinstance(label, str)))
        yield str(result.get("from_name")), str(result.get("to_name")), names, instant
