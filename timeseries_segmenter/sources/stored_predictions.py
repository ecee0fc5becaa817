"""The predictions that Label Studio stores: those of tasks without annotations, to read and to change."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from label_studio_sdk.core.api_error import ApiError

from timeseries_segmenter.errors import LabelStudioError
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources.label_studio import LabelStudioClient
from timeseries_segmenter.sources.retries import LONG, ONE_TRY, Retries
from timeseries_segmenter.sources.task_query import UNLABELLED, TaskQuery, as_plain

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

REST = 3.0  # times as long as Label Studio took to change something, it is left to others afterwards
REFUSED, FORBIDDEN, NOT_FOUND = 400, 403, 404


@dataclass(frozen=True, slots=True)
class StoredPrediction:
    """A prediction in Label Studio; `version` is what its model called itself, empty if it did not. Its
    `score` is None if it has none.
    """

    id: int
    version: str
    score: float | None


@dataclass(frozen=True, slots=True)
class UnlabelledTask:
    """A task without annotations: what a reader of series needs of it, and its predictions, oldest first."""

    id: int
    data: Mapping[str, Any]
    predictions: tuple[StoredPrediction, ...]

    def lacks(self, version: str) -> bool:
        """Whether it has no prediction by that version."""
        return all(each.version != version for each in self.predictions)

    def score(self, version: str) -> float | None:
        """That of the first prediction by that version; None if there is none."""
        return next((each.score for each in self.predictions if each.version == version), None)


class PredictionsClient(LabelStudioClient):
    """Reads and changes stored predictions. Only one thread may use it.

    What changes something is tried once: whoever can't know whether it was done looks again. All methods
    raise LabelStudioError.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, LONG)
        self._once = Retries(ONE_TRY)

    def unlabelled_after(self, project: int, task: int, most: int) -> tuple[list[UnlabelledTask], int]:
        """The first of the tasks without annotations whose ids follow `task`, in their order, and how many
        there are. Tasks that are annotated meanwhile move none of the others.
        """

        def ask(sdk: "LabelStudio") -> tuple[list[UnlabelledTask], int]:
            page: Any = sdk.tasks.list(
                project=project,
                query=TaskQuery(UNLABELLED, first=task + 1).text,
                fields="all",
                page=1,
                page_size=most,
            )
            if not isinstance(page.items, list):
                raise TypeError("no tasks")
            return [_task(item) for item in page.items], int(page.response.total)

        return self._ask(f"tasks of project {project}", ask)

    def add(self, project: int, predictions: Sequence[Mapping[str, Any]]) -> None:
        """Store predictions, each with its `task`."""
        request: Any = [dict(each) for each in predictions]
        self._change(project, lambda sdk: sdk.projects.import_predictions(id=project, request=request))

    def replace(self, project: int, former: StoredPrediction, prediction: Mapping[str, Any]) -> None:
        """Store a prediction in the place of a former one, which keeps its id.

        To remove the former and add another would break what an annotator has open: Label Studio refuses an
        annotation that began as a prediction which is gone.
        """
        self._change(project, lambda sdk: sdk.predictions.update(former.id, **prediction))

    def remove(self, project: int, former: StoredPrediction) -> None:
        """Remove a prediction; it may be gone already."""

        def ask(sdk: "LabelStudio") -> None:
            try:
                sdk.predictions.delete(former.id)
            except ApiError as error:
                if error.status_code != NOT_FOUND:
                    raise

        self._change(project, ask)

    def _change(self, project: int, ask: Callable[["LabelStudio"], object]) -> None:
        def allowed(sdk: "LabelStudio") -> None:
            try:
                ask(sdk)
            except ApiError as error:
                if error.status_code not in (REFUSED, FORBIDDEN, NOT_FOUND):
                    raise
                raise _why_not(project, error.status_code) from error

        began = time.monotonic()
        request = f"the request to store predictions of project {project}"
        self._once.run(self.host, lambda: self._try(request, allowed))
        time.sleep(REST * (time.monotonic() - began))


def _why_not(project: int, status: int) -> LabelStudioError:
    if status == FORBIDDEN:
        return LabelStudioError(
            f"the owner of LABEL_STUDIO_API_KEY may not store predictions in project {project}: give them "
            "the right to change the project, or set PREDICT_AFTER_TRAINING=0"
        )
    failure = LabelStudioError(
        f"Label Studio did not take predictions of project {project} ({status}): a task was deleted "
        "meanwhile, or it does not accept the regions; its own log says which"
    )
    failure.passing = True  # if it is looked at again, a task that was deleted is gone
    return failure


def _task(item: Any) -> UnlabelledTask:
    found = [as_plain(each) for each in item.predictions or []]
    predictions = [
        StoredPrediction(int(each["id"]), str(each["model_version"] or ""), each.get("score"))
        for each in found
    ]
    return UnlabelledTask(item.id, item.data, tuple(sorted(predictions, key=lambda each: each.id)))
