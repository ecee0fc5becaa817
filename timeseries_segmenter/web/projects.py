"""What people call: all projects at a glance, and what can be seen and done of one."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, abort, jsonify, make_response, request, send_file, url_for
from flask.typing import ResponseReturnValue
from werkzeug.routing import IntegerConverter, Map

from timeseries_segmenter.errors import ModelFileError, ReportError, StartError, VersionError
from timeseries_segmenter.project.model import NO_PROJECT, UNTRAINED
from timeseries_segmenter.project.versions import shorten_version
from timeseries_segmenter.report.page import PALETTE
from timeseries_segmenter.trainings.job import START_TRAINING, State
from timeseries_segmenter.web.backend import current_backend
from timeseries_segmenter.web.bodies import PROJECT_DIGITS, RollBack, StartFrom, read_body
from timeseries_segmenter.web.pages import REPORT, done, page, wants_page
from timeseries_segmenter.web.project_overview import (
    PAGE,
    Page,
    ProjectOverview,
    Status,
    shown_title,
    status_of,
)

dashboard = Blueprint(
    "dashboard",
    __name__,
    template_folder="templates",
    static_folder="static",
    static_url_path="/projects/static",
)


class ProjectConverter(IntegerConverter):
    """A project's number in a path; no route for one that could be none."""

    def __init__(self, map: Map) -> None:
        super().__init__(map, max=10**PROJECT_DIGITS - 1)


@dashboard.get("/projects/static/palette.css")
def palette() -> ResponseReturnValue:
    """The colours of all pages; reports have them, too."""
    return send_file(PALETTE)


@dashboard.app_template_filter("moment")
def moment(value: datetime) -> str:
    """A moment for people; the script of the page puts it into their own time zone."""
    return value.astimezone(UTC).strftime("%-d %b %Y, %H:%M UTC")


dashboard.add_app_template_filter(shorten_version, "version_name")


@dashboard.get("/projects")
def projects() -> ResponseReturnValue:
    """A page of the projects that have a model or had a training event, newest first; JSON for programs."""
    store, queue = current_backend.store, current_backend.policy.queue
    every = sorted({*store.projects(), *queue.projects()}, reverse=True)
    search = request.args.get("search", "").strip()
    found = [project for project in every if _matches(project, search)] if search else every
    named = request.args.get("project", type=int)
    number = 1 + found.index(named) // PAGE if named in found else request.args.get("page", 1, int)
    shown = Page.from_projects(found, number)
    overviews = _overviews(shown.projects)
    links = {overview.project: _links(overview) for overview in overviews}
    if wants_page():
        by_status: dict[Status, list[int]] = {}
        for project in every:
            by_status.setdefault(status_of(queue.look(project), served=True), []).append(project)
        query = ({"search": search} if search else {}) | ({"page": shown.number} if shown.number > 1 else {})
        # what was done before the browser was sent here, and for which project
        news = {"what": request.args.get("done", ""), "project": request.args.get("project", "")}
        return page(
            "projects.html",
            overviews=overviews,
            links=links,
            shown=shown,
            search=search,
            query=f"?{urlencode(query)}" if query else "",
            by_status=by_status,
            settings=current_backend.settings,
            news=news,
        )
    about = {"page": shown.number, "pages": shown.pages, "total": shown.total}
    answer = jsonify({"projects": [each.as_json() | links[each.project] for each in overviews]} | about)
    answer.headers["Cache-Control"] = "no-store"
    answer.vary.add("Accept")
    return answer


@dashboard.get("/projects/<project:project>/training")
def training(project: int) -> ResponseReturnValue:
    """The status of the project's newest job, what became of earlier ones, and its versions."""
    trainings = current_backend.policy.queue.read(project)
    newest = trainings.newest
    failed = [job for job in trainings.jobs if job.state in (State.FAILED, State.QUEUED) and job.error]
    shown = newest.model_dump(mode="json") if newest else {}
    return jsonify(
        trainings.model_dump(mode="json", exclude={"project"})
        | {
            "project": str(project),
            "version": current_backend.store.version(project),
            "versions": current_backend.store.versions(project) or [UNTRAINED],
            "state": shown.get("state"),
            "step": shown.get("step"),
            "progress": shown.get("progress"),
            "last_error": failed[-1].error if failed else None,
            "not_before": shown.get("not_before"),
            "problem": trainings.problem,
        }
    )


@dashboard.post("/projects/<project:project>/train")
def train(project: int) -> ResponseReturnValue:
    """Queue a training run, from scratch, as `START_TRAINING` does."""
    _check_known(project)
    answer = current_backend.handle(project, START_TRAINING)
    return done("train", project) if wants_page() else (jsonify(answer), 201)


@dashboard.post("/projects/<project:project>/training/cancel")
def cancel(project: int) -> ResponseReturnValue:
    """Take back what is queued, and stop what runs."""
    jobs = current_backend.policy.cancel(project)
    if wants_page():
        return done("cancel" if jobs else "nothing-to-cancel", project)
    return jsonify({"cancelled": [job.id for job in jobs]})


@dashboard.post("/projects/<project:project>/rollback")
def roll_back(project: int) -> ResponseReturnValue:
    """Serve an earlier version again: `version`, in a form or as JSON, or the one before."""
    backend = current_backend
    wanted = read_body(RollBack, form=True).version or None
    kept = backend.store.versions(project)
    current = backend.store.version(project)
    if current == UNTRAINED:
        reason = backend.store.trouble(project) or f"project {project} has no model"
        abort(404, f"{reason}; there is nothing to roll back")
    if wanted is not None and wanted not in kept:
        abort(404, f"version: {wanted!r:.80} is not kept; project {project} has {', '.join(kept)}")
    if wanted == current:
        abort(409, f"version: {wanted} is the one that is served")
    try:
        version = backend.roll_back(project, wanted)
    except (VersionError, ModelFileError) as error:
        abort(409, str(error))
    restored = backend.store.card(project, version).restored
    if wants_page():
        return done("rollback", project)
    return jsonify({"version": version, "restored": restored})


@dashboard.post("/projects/<project:project>/start")
def start(project: int) -> ResponseReturnValue:
    """Start from another project's model: `project`, in a form or as JSON; without it, no longer."""
    wanted = read_body(StartFrom, form=True).project
    _check_known(project)
    try:
        chosen = current_backend.choose_start(project, wanted or None)
    except StartError as error:
        abort(409, str(error))
    if wants_page():
        return done("start" if chosen else "no-start", project)
    return jsonify({"start": chosen.model_dump(mode="json") if chosen else None})


@dashboard.get("/projects/<project:project>/report")
def report(project: int) -> ResponseReturnValue:
    """The training report of a version, by default the one that is served, as a page."""
    backend = current_backend
    served = backend.store.version(project)
    version = request.args.get("version") or served
    if served == UNTRAINED:
        if trouble := backend.store.trouble(project):
            return _without_report(f"The model of project {project} can't be used", f"{trouble}.")
        detail = (
            "There is no report yet: it comes with the project's first model. Annotate a series or two in "
            "Label Studio and submit them; or choose Start Training there, if they are annotated already."
        )
        return _without_report(f"Project {project} is not trained yet", detail)
    if version != served and version not in backend.store.versions(project):
        abort(404, f"version: {version!r:.80} of project {project} is not kept (any more)")
    try:
        content = backend.reports.page(project, version)
    except ReportError as error:
        return _without_report(f"No report of {version}", str(error))
    except ModelFileError as error:
        abort(409, str(error))
    answer = make_response(content)
    answer.headers["Content-Security-Policy"] = REPORT
    answer.headers["Cache-Control"] = "no-cache"
    return answer


def _without_report(title: str, detail: str) -> ResponseReturnValue:
    if wants_page():
        return page("message.html", title=title, detail=detail), 404
    return jsonify({"detail": f"{title}: {detail}"}), 404


def _check_known(project: int) -> None:
    if project == NO_PROJECT or not current_backend.knows(project):
        abort(
            404,
            f"project {project} is not known here: connect this service in Label Studio (project, Settings, "
            "Model) and submit an annotation",
        )


def _matches(project: int, search: str) -> bool:
    """Whether a search names the project's number, or a part of its title."""
    if search == str(project):
        return True
    title = current_backend.store.title(project) or current_backend.policy.queue.look(project).title
    return search.casefold() in shown_title(project, title).casefold()


def _overviews(projects: Sequence[int]) -> list[ProjectOverview]:
    store, queue = current_backend.store, current_backend.policy.queue
    summaries = store.summaries_by_project(projects)
    each = current_backend.settings.start_training_each_n_updates
    states = {project: queue.read(project) for project in projects}
    free = {
        project: trainings.outline
        for project, trainings in states.items()
        if trainings.start is None and not store.path(project).exists()
    }
    lenders = current_backend.lenders.fitting(free)
    return [
        ProjectOverview(
            project,
            summaries[project],
            store.version(project),
            store.trouble(project),
            states[project],
            each,
            lenders.get(project, []),
        )
        for project in projects
    ]


def _links(overview: ProjectOverview) -> dict[str, Any]:
    project = overview.project
    studio = f"{current_backend.settings.label_studio_link}/projects/{project}/data"
    return {
        "report": url_for("dashboard.report", project=project) if overview.served else None,
        "label_studio": None if project == NO_PROJECT else studio,
    }
