"""What Label Studio is asked about tasks, in the words of its Data Manager, and what it answers."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

NEWEST_FIRST = "-tasks:updated_at"
LABELLED, UNLABELLED = "greater", "equal"  # than, or to, no annotation


@dataclass(frozen=True, slots=True)
class TaskQuery:
    """Tasks with annotations, or without: those changed `since`, with ids from `first` to `last`, or `ids`.

    Both ends of each range belong to it; what is None or empty does not matter. `since` is a `moment`.
    """

    number_of_annotations: str = LABELLED
    since: str = ""
    first: int | None = None
    last: int | None = None
    ids: Sequence[int] = ()
    ordering: str = ""

    @property
    def text(self) -> str:
        """The value of the parameter `query`."""
        # the SDK's `only_annotated` does nothing in 1.23
        items = [_filter("total_annotations", self.number_of_annotations, "Number", 0)]
        if self.since:
            items.append(_filter("updated_at", "greater_or_equal", "Datetime", self.since))
        if self.first is not None:
            items.append(_filter("id", "greater_or_equal", "Number", self.first))
        if self.last is not None:
            items.append(_filter("id", "less_or_equal", "Number", self.last))
        query: dict[str, object] = {"filters": {"conjunction": "and", "items": items}}
        if self.ids:
            query["selectedItems"] = {"all": False, "included": list(self.ids)}
        if self.ordering:
            query["ordering"] = [self.ordering]
        return json.dumps(query)


@dataclass(frozen=True, slots=True)
class TaskPage:
    """Some of the tasks that a query finds, each `id`, `data`, `annotations`, `updated_at`, and those of its
    `predictions` that annotations began as.

    `total` is how many it finds, and `annotations` how many these have; skipped ones don't count.
    """

    tasks: list[dict[str, Any]]
    total: int
    annotations: int


def as_task(item: Any) -> dict[str, Any]:
    """A task as the SDK gives it, as plain values that JSON has."""
    annotations = [as_plain(annotation) for annotation in item.annotations or []]
    begun = {annotation.get("parent_prediction") for annotation in annotations} - {None}
    return {
        "id": item.id,
        "data": item.data,
        "annotations": annotations,
        "updated_at": moment(item.updated_at),
        "predictions": [
            {name: each.get(name) for name in ("id", "model_version", "result")}
            for each in (as_plain(prediction) for prediction in (item.predictions or [] if begun else []))
            if each.get("id") in begun
        ],
    }


def as_plain(part: Any) -> dict[str, Any]:
    """An annotation or a prediction, which the SDK gives as a dict or as a model of its own."""
    plain: dict[str, Any] = part if isinstance(part, dict) else part.dict()
    return plain


def moment(value: object) -> str:
    """A time stamp as filters have it, in UTC, so that texts sort by time; empty if it is none."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return ""
    if not isinstance(value, datetime):
        return ""
    stamp = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return stamp.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _filter(name: str, operator: str, kind: str, value: object) -> dict[str, object]:
    return {"filter": f"filter:tasks:{name}", "operator": operator, "type": kind, "value": value}
