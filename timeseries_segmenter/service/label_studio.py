"""Label Studio as this service asks it: a project's labeling config, its labelled tasks, and tokens."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
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
        with self._asking(f"project {project}"):
            label_config = self._client().projects.get(id=project).label_config
            if not isinstance(label_config, str):
                raise TypeError("no labeling config")
            return label_config

    def labelled_tasks(self, project: int) -> Iterator[dict[str, Any]]:
        """Tasks of a project that hold an annotation, fetched page by page: `id`, `data`, `annotations`.

        Raises LabelStudioError.
        """
        with self._asking(f"the tasks of project {project}"):
            tasks: Iterable[Any] = self._client().tasks.list(
                project=project, query=LABELLED, fields="all", page_size=PAGE_SIZE
            )
            pages = iter(tasks)
        while True:
            with self._asking(f"the tasks of project {project}"):
                task = next(pages, None)
                if task is None:
                    return
                annotations = [
                    annotation if isinstance(annotation, dict) else annotation.dict()
                    for annotation in task.annotations or []
                ]
            yield {"id": task.id, "data": task.data, "annotations": annotations}

    def authorization(self) -> str:
        """Value of the Authorization header that Label Studio's own files ask for.

        A personal access token is exchanged for an access token, and again when that expires.
        Raises LabelStudioError.
        """
        with self._asking("an access token"):
            # the SDK refreshes tokens itself, but has no public name for the outcome
            return str(self._client()._client_wrapper.get_headers()["Authorization"])

    def _client(self) -> LabelStudio:
        if not self._api_key:
            raise LabelStudioError(f"LABEL_STUDIO_API_KEY is not set: {ADVICE[401]}")
        if self._sdk is None:
            self._sdk = LabelStudio(  # type: ignore[no-untyped-call]
                base_url=self.host, api_key=self._api_key, timeout=TIMEOUT
            )
        return self._sdk

    @contextmanager
    def _asking(self, wanted: str) -> Iterator[None]:
        """Turn what the SDK raises into an error that says what to do."""
        request = f"the request for {wanted}"
        try:
            yield
        except ApiError as error:
            advice = ADVICE.get(error.status_code or 0, "look at Label Studio's own log")
            raise LabelStudioError(
                f"{self.host} answered {error.status_code} to {request}: {advice}"
            ) from error
        except httpx.HTTPError as error:
            raise LabelStudioError(
                f"{self.host} did not answer {request} ({type(error).__name__}): check that Label Studio "
                "runs and that LABEL_STUDIO_HOST is its address as seen from this service"
            ) from error
        except (TypeError, AttributeError, ValueError) as error:  # the SDK trusts what it is answered
            raise LabelStudioError(
                f"{self.host} answered {request} with something that Label Studio would not: check that "
                "LABEL_STUDIO_HOST is Label Studio's address"
            ) from error
