"""A real Label Studio on this machine, headless, with an administrator and a token of its own."""

import json
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import requests
from label_studio_sdk import LabelStudio as Client

from tools.studio.processes import ROOT, Child, DemoError, free_port

HOME = ROOT / ".label-studio"
TEMPLATE = HOME / "template"
CREDENTIALS = "demo-credentials.json"
FIRST_START_SECONDS = 300
START_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Credentials:
    """How to log in; made once, together with the database."""

    username: str
    password: str
    token: str


class LabelStudio:
    """One Label Studio server over one data directory.

    A new data directory starts as a copy of a template that was migrated once, which
    takes seconds instead of a minute. An existing one is used as it is.
    """

    def __init__(self, data_dir: Path, log: Path, port: int | None = None) -> None:
        self.data_dir = data_dir
        self.port = free_port(port)
        self.child = Child("Label Studio", log)
        self.credentials = Credentials("", "", "")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts the server and waits until it answers. Raises `DemoError` if it doesn't."""
        if not self.data_dir.exists():
            make_template(self.child.log)
            # renamed when complete, so that a copy cut short is never taken for a database
            partial = self.data_dir.with_name(self.data_dir.name + ".partial")
            shutil.rmtree(partial, ignore_errors=True)
            shutil.copytree(TEMPLATE, partial)
            partial.rename(self.data_dir)
        self.credentials = Credentials(**json.loads((self.data_dir / CREDENTIALS).read_text()))
        _start(self.child, self.data_dir, self.port, self.credentials)
        self.child.wait_ready(f"{self.url}/health", START_SECONDS)

    def stop(self) -> None:
        self.child.stop()

    def client(self, connection: httpx.Client, token: str | None = None) -> Client:
        """The SDK's client, for the legacy token or another. Whoever asked for it closes `connection`."""
        return Client(base_url=self.url, api_key=token or self.credentials.token, httpx_client=connection)

    def session(self) -> requests.Session:
        """A session logged in as the administrator, for which no token need be allowed."""
        session = requests.Session()
        login = f"{self.url}/user/login/"
        session.get(login, timeout=30).raise_for_status()
        form = {
            "email": self.credentials.username,
            "password": self.credentials.password,
            "csrfmiddlewaretoken": session.cookies["csrftoken"],
        }
        session.post(login, data=form, headers={"Referer": login}, timeout=30).raise_for_status()
        session.headers.update({"X-CSRFToken": session.cookies["csrftoken"], "Referer": self.url})
        return session

    def personal_access_token(self) -> str:
        """Makes a personal access token; Label Studio shows each of them once."""
        with self.session() as session:
            answer = session.post(f"{self.url}/api/token/", timeout=30)
            answer.raise_for_status()
            return str(answer.json()["token"])

    def allow_tokens(self, *, legacy: bool, personal: bool) -> None:
        """Sets which tokens the organization accepts; a new one refuses legacy tokens."""
        settings = {"api_tokens_enabled": personal, "legacy_api_tokens_enabled": legacy}
        with self.session() as session:
            session.post(f"{self.url}/api/jwt/settings", json=settings, timeout=30).raise_for_status()


def template_ready() -> bool:
    return TEMPLATE.exists()


def make_template(log: Path) -> None:
    """Lets Label Studio make and migrate its database once. Does nothing if that is done."""
    if template_ready():
        return
    partial = TEMPLATE.with_name("template.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    credentials = Credentials("demo@example.com", secrets.token_hex(6), secrets.token_hex(20))
    (partial / CREDENTIALS).write_text(json.dumps(asdict(credentials)))
    (partial / CREDENTIALS).chmod(0o600)
    child, port = Child("Label Studio", log), free_port()
    try:
        _start(child, partial, port, credentials)
        child.wait_ready(f"http://127.0.0.1:{port}/health", FIRST_START_SECONDS)
    finally:
        child.stop()
    partial.rename(TEMPLATE)


def _start(child: Child, data_dir: Path, port: int, credentials: Credentials) -> None:
    child.start(
        [str(_program()), "start", "--no-browser", "--internal-host", "127.0.0.1", "--port", str(port)],
        _environment(data_dir, port, credentials),
        cwd=data_dir,
    )


def _program() -> Path:
    venv = Path(os.environ.get("LABEL_STUDIO_VENV") or HOME / "venv")
    program = (ROOT / venv / "bin" / "label-studio").absolute()
    if not program.exists():
        raise DemoError(f"Label Studio is not installed at {program}; run `make label-studio`")
    return program


def _environment(data_dir: Path, port: int, credentials: Credentials) -> Mapping[str, str]:
    # Label Studio also reads bare names such as HOST, PORT or DEBUG, so it inherits next to nothing
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
    return kept | {
        "LABEL_STUDIO_BASE_DATA_DIR": str(data_dir.absolute()),
        "LABEL_STUDIO_HOST": f"http://127.0.0.1:{port}",
        "LABEL_STUDIO_USERNAME": credentials.username,
        "LABEL_STUDIO_PASSWORD": credentials.password,
        "LABEL_STUDIO_USER_TOKEN": credentials.token,
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        # the service listens on loopback, which 1.23 refuses unless both of these are off
        "LABEL_STUDIO_ML_BLOCK_LOCAL_IP": "false",
        "LABEL_STUDIO_SSRF_PROTECTION_ENABLED": "false",
        # the Data Manager's prediction score: that of the connected model's version, not of all
        "ff_front_dev_1682_model_version_dropdown_070622_short": "true",
        "COLLECT_ANALYTICS": "false",
        "LABEL_STUDIO_COLLECT_ANALYTICS": "false",
        "LATEST_VERSION_CHECK": "false",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
        "PYTHONUNBUFFERED": "1",
    }
