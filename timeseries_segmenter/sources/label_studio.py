"""Label Studio as this service asks it: a project's labeling config, its labelled tasks, and tokens."""

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
from label_studio_sdk.core.api_error import ApiError

from timeseries_segmenter.errors import LabelStudioError
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources.retries import SHORT, STATUSES, Retries, RetryPolicy, TemporaryError
from timeseries_segmenter.sources.task_query import UNLABELLED, TaskPage, TaskQuery, as_task

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

T = TypeVar("T")

PAGE_SIZE = 100  # tasks
TIMEOUT = 60  # seconds for one page
PAST_THE_END = "Invalid page"  # a 404 that says anything else is not the end

ADVICE = {
    401: "create a token in Label Studio (Account & Settings) and set LABEL_STUDIO_API_KEY to it",
    403: "the owner of LABEL_STUDIO_API_KEY needs access to the project",
    404: "check LABEL_STUDIO_HOST, and that the project still exists",
    429: "it wants fewer requests: try again later, or raise its limit",
}
OTHER_ADVICE = "look at Label Studio's own log, and try again later"

NO_JSON = (json.JSONDecodeError, UnicodeDecodeError)
TRANSPORT_ERRORS = (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError)


@dataclass(frozen=True, slots=True)
class Project:
    """What a training run needs to know of a project."""

    title: str
    label_config: str


class LabelStudioClient:
    """Reads projects through the SDK, with a legacy token or a personal access token.

    Several threads may share it. The token goes to LABEL_STUDIO_HOST and nowhere it redirects to.
    """

    def __init__(self, settings: Settings, policy: RetryPolicy = SHORT, timeout: float = TIMEOUT) -> None:
        self.host = settings.label_studio_host
        self._api_key = settings.label_studio_api_key.get_secret_value()
        self._retries = Retries(policy)
        self._timeout = timeout  # seconds for one answer
        self._sdk: LabelStudio | None = None
        self._is_exchanged = self._api_key.count(".") == 2  # a personal access token, which is a JWT
        self._shown = ""  # the newest Authorization

    def project(self, project: int) -> Project:
        """The title and the labeling config of a project as they are now. Raises LabelStudioError."""

        def ask(sdk: "LabelStudio") -> Project:
            found = sdk.projects.get(id=project)
            if not isinstance(found.label_config, str):
                raise TypeError("no labeling config")
            return Project(str(found.title or ""), found.label_config)

        return self._ask(f"project {project}", ask)

    def existing(self, projects: Sequence[int]) -> set[int]:
        """Those of at most PAGE_SIZE projects that Label Studio knows. Raises LabelStudioError."""

        def ask(sdk: "LabelStudio") -> set[int] | None:
            wanted = ",".join(map(str, projects))
            page: Any = sdk.projects.list(ids=wanted, include="task_number", page_size=PAGE_SIZE)
            found = {item.id for item in page.items}
            # a version that doesn't know `ids` gives others, or a first page of all
            return found if found <= set(projects) and not page.response.next else None

        with suppress(LabelStudioError):  # if it is away, the next request says so
            found = self._ask(f"{len(projects)} projects", ask)
            if found is not None:
                return found
        return {project for project in projects if self._exists(project)}

    def _exists(self, project: int) -> bool:
        def ask(sdk: "LabelStudio") -> bool:
            try:
                sdk.projects.get(id=project)
            except ApiError as error:
                # any server has pages that it doesn't find
                own = isinstance(error.body, dict) and error.body.get("status_code") == error.status_code
                if error.status_code == 404 and own:
                    return False
                if error.status_code != 403:
                    raise
            return True

        return self._ask(f"project {project}", ask)

    def labelled_tasks(self, project: int) -> Iterator[dict[str, Any]]:
        """Tasks of a project that hold an annotation, fetched page by page: `id`, `data`, `annotations`.

        Each comes once, even if pages shift because somebody annotates meanwhile. Raises
        LabelStudioError.
        """
        return self._tasks(project, TaskQuery())

    def unlabelled_tasks(self, project: int) -> Iterator[dict[str, Any]]:
        """Tasks without an annotation, in the same way."""
        return self._tasks(project, TaskQuery(UNLABELLED))

    def find_tasks(
        self, project: int, query: TaskQuery, page: int = 1, page_size: int = PAGE_SIZE
    ) -> TaskPage:
        """One page of what a query finds; it has no tasks after the last one. Raises LabelStudioError."""

        def ask(sdk: "LabelStudio") -> TaskPage:
            try:
                found: Any = sdk.tasks.list(
                    project=project,
                    query=query.text,
                    fields="all",
                    resolve_uri=False,  # an address in a storage may expire, what is in the task does not
                    page=page,
                    page_size=page_size,
                )
            except ApiError as error:
                if page > 1 and error.status_code == 404 and PAST_THE_END in str(error.body):
                    return TaskPage([], 0, 0)
                raise
            if not isinstance(found.items, list):
                raise TypeError("no tasks")
            totals = found.response
            return TaskPage(
                [as_task(item) for item in found.items], int(totals.total), int(totals.total_annotations)
            )

        return self._ask(f"the tasks of project {project}", ask)

    def tasks_data(self, project: int, tasks: Sequence[int]) -> dict[int, dict[str, Any]]:
        """The data of some tasks by their ids, as they were imported; those that are not of the project
        are missing. Raises LabelStudioError.
        """
        found: dict[int, dict[str, Any]] = {}
        for first in range(0, len(tasks), PAGE_SIZE):
            page = self._some_data(project, tasks[first : first + PAGE_SIZE])
            found |= {number: data for number, data in page if isinstance(data, dict)}
        return found

    def _some_data(self, project: int, tasks: Sequence[int]) -> list[tuple[int, Any]]:
        def ask(sdk: "LabelStudio") -> list[tuple[int, Any]]:
            page: Any = sdk.tasks.list(
                project=project,
                query=json.dumps({"selectedItems": {"all": False, "included": list(tasks)}}),
                fields="task_only",
                resolve_uri=False,  # else addresses in storages are others than those in the task
                page=1,
                page_size=PAGE_SIZE,
            )
            if not isinstance(page.items, list):
                raise TypeError("no tasks")
            return [(item.id, item.data) for item in page.items]

        return self._ask(f"tasks of project {project}", ask)

    def _tasks(self, project: int, query: TaskQuery) -> Iterator[dict[str, Any]]:
        given: set[Any] = set()
        for number in itertools.count(1):
            tasks = self.find_tasks(project, query, number).tasks
            new = [task for task in tasks if task["id"] not in given]
            if not new:
                return
            given.update(task["id"] for task in new)
            yield from new

    def authorization(self) -> str:
        """Value of the Authorization header that Label Studio's own files ask for.

        A personal access token is exchanged for an access token, and again when that expires.
        Raises LabelStudioError.
        """
        # the SDK refreshes tokens itself, but has no public name for the outcome
        self._shown = self._ask(
            "an access token", lambda sdk: str(sdk._client_wrapper.get_headers()["Authorization"])
        )
        return self._shown

    def renew(self, refused: str) -> bool:
        """Replace an authorization that was refused; returns False if there is no other.

        The SDK goes by this machine's clock, which may be behind Label Studio's.
        """
        if self._is_exchanged and self._shown == refused:
            self._sdk = None
        return self._is_exchanged

    def _ask(self, wanted: str, ask: Callable[["LabelStudio"], T]) -> T:
        return self._retries.run(self.host, lambda: self._try(f"the request for {wanted}", ask))

    def _try(self, request: str, ask: Callable[["LabelStudio"], T]) -> T:
        """One try; raises TemporaryError if another may do better, and turns what the SDK raises into an
        error that says what to do.
        """
        nonsense = LabelStudioError(
            f"{self.host} answered {request} with something that Label Studio would not: check that "
            "LABEL_STUDIO_HOST is Label Studio's address"
        )
        try:
            return self._ask_twice(ask)
        except httpx.HTTPStatusError as error:
            answer = error.response
            raise TemporaryError(
                self._refused(request, answer.status_code), answer.headers.get("Retry-After")
            ) from error
        except ApiError as error:
            if error.status_code and 200 <= error.status_code < 300:  # no JSON, or half of it
                raise TemporaryError(nonsense) from error
            raise self._refused(request, error.status_code) from error
        except httpx.HTTPError as error:
            failure = LabelStudioError(
                f"{self.host} did not answer {request} ({type(error).__name__}): check that Label Studio "
                "runs and that LABEL_STUDIO_HOST is its address as seen from this service"
            )
            if isinstance(error, TRANSPORT_ERRORS):
                raise TemporaryError(failure) from error
            raise failure from error
        except NO_JSON as error:
            raise TemporaryError(nonsense) from error
        except (TypeError, AttributeError, ValueError) as error:  # the SDK trusts what it is answered
            raise nonsense from error

    def _ask_twice(self, ask: Callable[["LabelStudio"], T]) -> T:
        """Ask again with another access token if one is refused, whatever this machine's clock says."""
        sdk = self._client()
        try:
            return ask(sdk)
        except ApiError as error:
            if error.status_code != 401 or not self._is_exchanged:
                raise
        if self._sdk is sdk:  # else another thread was first
            self._sdk = None
        return ask(self._client())

    def _refused(self, request: str, status: int | None) -> LabelStudioError:
        error = LabelStudioError(
            f"{self.host} answered {status} to {request}: {ADVICE.get(status or 0, OTHER_ADVICE)}"
        )
        error.status = status
        return error

    def _client(self) -> "LabelStudio":
        if not self._api_key:
            raise LabelStudioError(f"LABEL_STUDIO_API_KEY is not set: {ADVICE[401]}")
        sdk = self._sdk
        if sdk is None:
            from label_studio_sdk import LabelStudio  # it takes 0.4 s, and a service starts without

            sdk = LabelStudio(
                # without the slash the exchange of tokens loses a path that the host has
                base_url=f"{self.host}/",
                api_key=self._api_key,
                timeout=self._timeout,
                max_retries=0,  # we do that
                httpx_client=_http_client(self.host, self._timeout),
            )
            self._sdk = sdk
        return sdk


def _http_client(host: str, timeout: float) -> httpx.Client:
    """Follows redirects on `host` only: the SDK sends the token in a body, too, which httpx would repeat."""
    home = httpx.URL(host)

    def stay(request: httpx.Request) -> None:
        to = request.url
        if (to.scheme, to.host, to.port) != (home.scheme, home.host, home.port):
            raise LabelStudioError(
                f"{host} redirects to {to.scheme}://{to.netloc.decode()}, which the token is not sent to: "
                "if that is Label Studio, set LABEL_STUDIO_HOST to it"
            )

    def check(response: httpx.Response) -> None:
        if response.status_code in STATUSES:  # before the SDK reads what may be a proxy's page
            raise httpx.HTTPStatusError("no answer yet", request=response.request, response=response)

    return httpx.Client(
        timeout=timeout, follow_redirects=True, event_hooks={"request": [stay], "response": [check]}
    )
