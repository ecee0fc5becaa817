"""The routes, from the app itself: its URL map, its views, its bodies, and what it answers."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import gettempdir

from flask import Flask
from pydantic import BaseModel, SecretStr
from werkzeug.datastructures import Headers
from werkzeug.routing import Rule

from _wsgi import init_app
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.trainings.policy import TASKS_CREATED, TRAINING_EVENTS
from timeseries_segmenter.web.app import REPLACED
from timeseries_segmenter.web.backend import current_backend
from timeseries_segmenter.web.bodies import JobStatus, Predict, Project, RollBack, Setup, StartFrom, Webhook
from timeseries_segmenter.web.security import SECRET_HEADER, Security
from tools.docs.markdown import kind, paragraph, table

FILES = ("static", "dashboard.static")
BODIES: dict[str, type[BaseModel]] = {
    "POST /setup": Setup,
    "POST /predict": Predict,
    "POST /webhook": Webhook,
    "POST /job_status": JobStatus,
    "POST /projects/{id}/rollback": RollBack,
    "POST /projects/{id}/start": StartFrom,
}
NOWHERE = Path(gettempdir()) / "no-models-for-the-documentation"  # nothing that is shown writes there
SHOWN = ("/health", "/ready", "/versions?project=47", "/projects/47/training", "/projects")


def app() -> Flask:
    """The service with a password and without a model."""
    # label-studio-ml has one app a process, which tests may have given another backend
    settings = Settings.model_construct(
        model_dir=NOWHERE, basic_auth_user="user", basic_auth_pass=SecretStr("password")
    )
    return init_app(settings=settings)


def rules() -> Iterator[tuple[str, str, Rule]]:
    """Method, path as people write it, and rule of each route, in order."""
    found = {
        (re.sub(r"<project:\w+>", "{id}", rule.rule), method): rule
        for rule in app().url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.endpoint not in FILES and rule.rule not in REPLACED
    }
    for path, method in sorted(found):
        yield method, path, found[path, method]


def routes() -> str:
    """A table of all routes, with what each asks for if a password is set."""
    rows: dict[tuple[str, str], str] = {}
    views = app().view_functions
    for method, path, rule in rules():
        key = (path, paragraph(views[rule.endpoint].__doc__))
        rows[key] = f"{rows[key]}, `{method} {path}`" if key in rows else f"`{method} {path}`"
    return table(
        ("Route", "Asks for", ""),
        [(named, _credentials(path), words) for (path, words), named in rows.items()],
    )


def bodies() -> str:
    """A table of the fields of each body that is checked."""
    parts = []
    for route, model in BODIES.items():
        parts.append(f"**`{route}`**\n\n{_fields(model)}")
    parts.insert(3, f"`project` of a webhook holds\n\n{_fields(Project)}")
    events = ", ".join(f"`{event}`" for event in sorted(TRAINING_EVENTS))
    parts.insert(
        4,
        f"Events that count: {events}. `{TASKS_CREATED}` has tasks predicted, or put in an order. "
        "Others are answered with 200 and do nothing.",
    )
    return "\n\n".join(parts)


def answers() -> str:
    """What an untrained service really answers."""
    parts = []
    with app().test_client() as client:
        for path in SHOWN:
            answer = client.get(path, auth=("user", "password"))
            assert answer.status_code == 200, (path, answer.text)
            text = json.dumps(answer.get_json(), indent=2)
            parts.append(f"**`GET {path}`**\n\n```json\n{text}\n```")
    return "\n\n".join(parts)


def metrics() -> str:
    """A table of all that is counted, from its own exposition."""
    with app().app_context():
        text = current_backend.metrics.exposition().decode()
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    described = re.findall(r"^# HELP (\S+) (.+)$", text, re.MULTILINE)
    rows = [(f"`{name}`", kinds[name], words) for name, words in described if not name.endswith("_created")]
    return table(("Name", "Kind", ""), sorted(rows))


def _credentials(path: str) -> str:
    everything = Settings.model_construct(
        basic_auth_user="user", basic_auth_pass=SecretStr("password"), webhook_secret=SecretStr("secret")
    )
    security = Security(everything)
    if security.objection("GET", path, Headers()) is None:
        return "nothing"
    secret = security.objection("GET", path, Headers({SECRET_HEADER: "secret"})) is None
    return "user and password, or the secret" if secret else "user and password"


def _fields(model: type[BaseModel]) -> str:
    schema = model.model_json_schema()
    required = schema.get("required", [])
    rows = [
        (f"`{name}`", _kind(field), "yes" if name in required else "no")
        for name, field in schema["properties"].items()
    ]
    return table(("Field", "Holds", "Needed"), rows)


def _kind(schema: dict[str, object]) -> str:
    return kind(schema).replace("[Project](#project)", "object")
