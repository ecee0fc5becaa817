"""Label Studio as this service asks it: a project's labeling config, its labelled tasks, and tokens."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

import httpx
from label_studio_sdk import LabelStudio
from label_studio_sdk.core.api_error import ApiError

from timeseries_segmenter.errors import LabelStudioError
from timeseries_segmenter.settings import Settings

PAGE_SIZE = 100  # tasks
TIMEOUT = 60  # seconds for one page
LABELLED = json.dumps(  # the SDK's `only_annotated` has no effect in Label Studio 1.23
    {
        "filters": {
            "conjunction": "and",
            "items": [
                {
                    "filter": "filter:tasks:total_annotations",
                    "operator": "greater",
                    "type": "Number",
                    "value": 0,
                }
            ],
        }
    }
)

ADVICE = {
    401: "create a token in Label Studio (Account & Settings) and set LABEL_STUDIO_API_KEY to it",
    403: "the owner of LABEL_STUDIO_API_KEY needs access to the project",
    404: "check LABEL_STUDIO_HOST, and that the project still exists",
}


class LabelStudioClient:
    """Reads projects through the SDK, with a legacy token or a personal access token."""

    def __init__(self, settings: Settings) -> None:
        self.host = settings.label_studio_host
        self._api_key = settings.label_studio_api_key.get_secret_value()
        self._sdk: LabelStudio | None = None

    def label_config(self, project: int) -> str:
        """The labeling config of a project as it is now. Raises LabelStudioError."""
        try:
            return str(self._client().projects.get(id=project).label_config)
        except (ApiError, httpx.HTTPError) as error:
            raise self._explained(error, f"project {project}") from error

    def labelled_tasks(self, project: int) -> Iterator[dict[str, Any]]:
        """Tasks of a project that hold an annotation, fetched page by page: `id`, `data`, `annotations`.

        Raises LabelStudioError.
        """
        try:
            tasks: Iterable[Any] = self._client().tasks.list(
                project=project, query=LABELLED, fields="all", page_size=PAGE_SIZE
            )
            for task in tasks:
                annotations = [
                    annotation if isinstance(annotation, dict) else annotation.dict()
                    for annotation in task.annotations or []
                ]
                yield {"id": task.id, "data": task.data, "annotations": annotations}
        except (ApiError, httpx.HTTPError) as error:
            raise self._explained(error, f"the tasks of project {project}") from error

    def authorization(self) -> str:
        """Value of the Authorization header that Label Studio's own files ask for.

        A personal access token is exchanged for an access token, and again when that expires.
        Raises LabelStudioError.
        """
        try:
            # the SDK refreshes tokens itself, but has no public name for the outcome
            return str(self._client()._client_wrapper.get_headers()["Authorization"])
        except (ApiError, httpx.HTTPError) as error:
            raise self._explained(error, "an access token") from error

    def _client(self) -> LabelStudio:
        if not self._api_key:
            raise LabelStudioError(f"LABEL_STUDIO_API_KEY is not set: {ADVICE[401]}")
        if self._sdk is None:
            self._sdk = LabelStudio(  # type: ignore[no-untyped-call]
                base_url=self.host, api_key=self._api_key, timeout=TIMEOUT
            )
        return self._sdk

    def _explained(self, error: Exception, wanted: str) -> LabelStudioError:
        if isinstance(error, ApiError):
            status = error.status_code or 0
            advice = ADVICE.get(status, "look at Label Studio's own log")
            return LabelStudioError(f"{self.host} answered {status} to the request for {wanted}: {advice}")
        return LabelStudioError(
            f"{self.host} did not answer the request for {wanted} ({type(error).__name__}): check that "
            "Label Studio runs and that LABEL_STUDIO_HOST is its address as seen from this service"
        )
