"""Pages for people; programs get JSON. Who wants which, what was done, and errors."""

from flask import Response, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.http import HTTP_STATUS_CODES

PAGES = "/projects"

DASHBOARD = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
REPORT = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


def wants_page() -> bool:
    """Whether the request comes from a browser: it asks for HTML, rather than for anything."""
    kinds = request.accept_mimetypes
    return kinds.best_match(("application/json", "text/html")) == "text/html"


def is_page() -> bool:
    """Whether the request is for a path that has a page for people who ask for one."""
    return (request.path == PAGES or request.path.startswith(f"{PAGES}/")) and wants_page()


def page(template: str, **content: object) -> Response:
    """A page of the dashboard."""
    response = make_response(render_template(template, **content))
    response.headers["Content-Security-Policy"] = DASHBOARD
    response.headers["Cache-Control"] = "no-store"
    response.vary.add("Accept")
    return response


def error_page(status: int, detail: str) -> ResponseReturnValue:
    """What went wrong, with the way back."""
    return page("message.html", title=HTTP_STATUS_CODES.get(status, "Error"), detail=detail), status


def done(what: str, project: int) -> ResponseReturnValue:
    """Send a browser back to the dashboard, which says `what` was done: reloading it repeats nothing."""
    return redirect(url_for("dashboard.projects", done=what, project=project, _anchor="news"), 303)
