"""The dashboard: all projects at a glance, and buttons to train, cancel and roll back."""

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, abort, jsonify, make_response, request, send_file, url_for
from flask.typing import ResponseReturnValue

from timeseries_segmenter.errors import ModelFileError, ReportError, VersionError
from timeseries_segmenter.project.model import NO_PROJECT, UNTRAINED
from timeseries_segmenter.report.page import PALETTE
from timeseries_segmenter.storage.model_files import version_number
from timeseries_segmenter.trainings.job import START_TRAINING
from timeseries_segmenter.web.backend import Backend, current_backend
from timeseries_segmenter.web.bodies import RollBack, json_body, parse_body
from timeseries_segmenter.web.pages import REPORT, done, page, wants_page
from timeseries_segmenter.web.project_overview import ProjectOverview

FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")

dashboard = Blueprint(
    "dashboard",
    __name__,
    template_folder="templates",
    static_folder="static",
    static_url_path="/projects/static",
)


@dashboard.after_request
def _in_memory(response: Response) -> Response:
    """The stock app reads the body of every response, which it may not of a file that is streamed."""
    response.direct_passthrough = False
    response.make_sequence()
    response.close()  # the file
    return response


@dashboard.get("/projects/static/palette.css")
def palette() -> ResponseReturnValue:
    """The colours of all pages; reports have them, too."""
    return send_file(PALETTE)


@dashboard.app_template_filter("moment")
def moment(value: datetime) -> str:
    """A moment for people; the script of the page puts it into their own time zone."""
    return value.astimezone(UTC).strftime("%-d %b %Y, %H:%M UTC")


@dashboard.app_template_filter("version_name")
def version_name(version: str) -> str:
    """A version in short: `v3`; the name in full where a person gave it."""
    return f"v{version_number(version)}" if version_number(version) else version


@dashboard.get("/projects")
def projects() -> ResponseReturnValue:
    """All projects that have a model or had a training event, newest first; JSON for programs."""
    backend = current_backend()
    overviews = _overviews(backend)
    if not wants_page():
        told = [overview.told() | _links(backend, overview) for overview in overviews]
        answer = jsonify({"projects": told})
        answer.headers["Cache-Control"] = "no-store"
        answer.vary.add("Accept")
        return answer
    return page(
        "projects.html",
        overviews=overviews,
        links={overview.project: _links(backend, overview) for overview in overviews},
        settings=backend.settings,
        news=_news(),
    )


@dashboard.post("/projects/<project:project>/train")
def train(project: int) -> ResponseReturnValue:
    """Queue a training, from scratch, as `START_TRAINING` does."""
    backend = current_backend()
    if project == NO_PROJECT or not backend.knows(project):
        abort(404, _unknown(project))
    answer = backend.handle(project, START_TRAINING)
    return done("train", project) if wants_page() else (jsonify(answer), 201)


@dashboard.post("/projects/<project:project>/rollback")
def roll_back(project: int) -> ResponseReturnValue:
    """Serve an earlier version again: `version`, in a form or as JSON, or the one before."""
    backend = current_backend()
    wanted = _roll_back_body().version or None
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


@dashboard.get("/projects/<project:project>/report")
def report(project: int) -> ResponseReturnValue:
    """The training report of a version, by default the one that is served, as a page."""
    backend = current_backend()
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


def _overviews(backend: Backend) -> list[ProjectOverview]:
    summaries = backend.summaries.by_project()
    states = backend.queue.states
    each = backend.settings.start_training_each_n_updates
    return [
        ProjectOverview(
            project,
            summaries.get(project, []),
            backend.store.version(project),
            backend.store.trouble(project),
            states.read(project),
            each,
        )
        for project in sorted(summaries.keys() | set(states.projects()), reverse=True)
    ]


def _links(backend: Backend, overview: ProjectOverview) -> dict[str, Any]:
    project = overview.project
    studio = f"{backend.settings.label_studio_link}/projects/{project}/data"
    return {
        "report": url_for("dashboard.report", project=project) if overview.served else None,
        "label_studio": None if project == NO_PROJECT else studio,
    }


def _news() -> dict[str, str]:
    """What was done before the browser was sent here, and for which project."""
    return {"what": request.args.get("done", ""), "project": request.args.get("project", "")}


def _roll_back_body() -> RollBack:
    form = request.mimetype in FORMS or not request.get_data()
    return parse_body(RollBack, request.form.to_dict() if form else json_body())


def _unknown(project: int) -> str:
    return (
        f"project {project} is not known here: connect this service in Label Studio (project, Settings, "
        "Model) and submit an annotation"
    )
