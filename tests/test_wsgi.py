import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests
import torch
from flask.testing import FlaskClient

import _wsgi
from model import TimeSeriesSegmenter
from tests.support import recorded
from tests.support.processes import small_disk, wait_for
from timeseries_segmenter.settings import Settings
from tools.studio.processes import free_port

ROOT = Path(__file__).parents[1]
BLOCKED = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "label_studio_ml":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocker())
"""


def run(arguments: list[str], folder: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | variables,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_check_tells_that_the_service_would_start(tmp_path: Path) -> None:
    ended = run(["_wsgi.py", "--check", "--port", "9191"], MODEL_DIR=str(tmp_path / "models"))
    assert ended.returncode == 0, ended.stderr
    assert "9191" in ended.stdout
    assert str(tmp_path / "models") in ended.stdout
    assert not (tmp_path / "models").exists()


def test_a_start_without_label_studio_ml_ends_with_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(BLOCKED)
    ended = run(["_wsgi.py"], PYTHONPATH=str(tmp_path))
    assert ended.returncode == 1
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert "label_studio_ml" in line
    assert "make install" in line
    assert "pip install --no-deps -r requirements-base.txt" in line


@pytest.mark.parametrize("options", [[], ["--check-config"]])
def test_gunicorn_without_label_studio_ml_ends_with_one_sentence(tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "sitecustomize.py").write_text(BLOCKED)
    command = ["-m", "gunicorn", *options, "--bind", "127.0.0.1:0", "_wsgi:app"]
    ended = run(command, PYTHONPATH=str(tmp_path))
    assert ended.returncode != 0
    (line,) = ended.stderr.splitlines()
    assert "label_studio_ml is missing" in line
    assert "make install" in line


@pytest.mark.parametrize(
    ("arguments", "variables", "named"),
    [
        ([], {"TRAIN_EPOCHS": "many"}, "TRAIN_EPOCHS is 'many'"),
        (["--port", "99999"], {}, "PORT is 99999"),
        (["--port", "http"], {}, "--port"),
        (["--log-level", "loud"], {}, "--log-level"),
    ],
)
def test_a_bad_setting_ends_the_start_with_its_name(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    variables: dict[str, str],
    named: str,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["_wsgi.py", "--check", *arguments])
    with pytest.raises(SystemExit) as ended:
        _wsgi.main()
    assert ended.value.code == 2
    assert named in capsys.readouterr().err


def test_gunicorns_app_ends_with_a_sentence_where_a_setting_is_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "http")
    with pytest.raises(SystemExit, match="PORT is 'http'"):
        _ = _wsgi.app


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize(
    "command",
    [["_wsgi.py"], ["_wsgi.py", "--check"], ["-m", "gunicorn", "--bind", "127.0.0.1:0", "_wsgi:app"]],
)
def test_a_start_for_a_gpu_that_is_not_there_ends_with_one_sentence(
    tmp_path: Path, command: list[str]
) -> None:
    ended = run(command, MODEL_DIR=str(tmp_path / "models"), DEVICE="cuda", LOG_LEVEL="ERROR")
    assert ended.returncode != 0
    assert "Traceback" not in ended.stderr
    line = ended.stderr.splitlines()[-1]
    assert "DEVICE is 'cuda'" in line
    assert "DEVICE=auto" in line


def test_importing_starts_nothing_and_other_names_are_unknown() -> None:
    assert "app" not in vars(_wsgi)
    with pytest.raises(AttributeError, match="application"):
        _ = _wsgi.application


@pytest.mark.parametrize("variables", [{}, {"MODEL_DIR": "elsewhere", "BASIC_AUTH_USER": "you"}])
def test_it_starts_by_the_command_line_of_label_studio_ml(tmp_path: Path, variables: dict[str, str]) -> None:
    options = ["--basic-auth-user", "me", "--basic-auth-pass", "secret", "--model-dir", "models", "--check"]
    options += ["-p", "9191", "--kwargs", "key=1", "other=x", "--log-level", "DEBUG"]
    ended = run(
        ["-m", "label_studio_ml.server", "start", str(ROOT), *options],
        folder=tmp_path,
        PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        **variables,
    )
    assert "ready to serve on port 9191, models in models" in ended.stdout, ended.stderr
    assert "--kwargs key=1 other=x is not used" in ended.stderr


def test_user_and_password_given_as_options_are_asked_for(tmp_path: Path) -> None:
    port = free_port()
    options = ["--host", "127.0.0.1", "--port", str(port), "--model-dir", str(tmp_path / "models")]
    options += ["--basic-auth-user", "me", "--basic-auth-pass", "secret"]

    def answers() -> bool:
        try:
            return requests.get(f"{url}/health", timeout=60).ok
        except requests.ConnectionError:
            return False

    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen([sys.executable, "_wsgi.py", *options], cwd=ROOT) as service:
        try:
            wait_for(lambda: answers() or service.poll() is not None)
            assert requests.get(f"{url}/versions", timeout=60).status_code == 401
            assert requests.get(f"{url}/versions", auth=("me", "secret"), timeout=60).status_code == 200
        finally:
            service.terminate()


def test_values_of_label_studio_mls_example_start_with_a_warning_each(tmp_path: Path) -> None:
    ended = run(
        ["_wsgi.py", "--check"],
        MODEL_DIR=str(tmp_path),
        LABEL_STUDIO_API_KEY="key",
        LOG_LEVEL="WARN",
        SEQUENCE_SIZE="2",
        BALANCED_ACCURACY_THRESHOLD="85",
        ANY="PARAMETER",
    )
    assert ended.returncode == 0, ended.stderr
    said = [line for line in ended.stderr.splitlines() if " WARNING " in line]
    assert len(said) == 3
    for name in ("LOG_LEVEL=WARN ", "SEQUENCE_SIZE=2 ", "BALANCED_ACCURACY_THRESHOLD=85 "):
        assert any(name in line for line in said)


def test_a_model_dir_that_cannot_be_written_is_said_at_the_start(tmp_path: Path) -> None:
    with small_disk(tmp_path / "models"):
        ended = run(["_wsgi.py", "--check"], MODEL_DIR=str(tmp_path / "models"))
        assert "can't be written" not in ended.stderr
        subprocess.run(["mount", "-o", "remount,ro", tmp_path / "models"], check=True)
        ended = run(["_wsgi.py", "--check"], MODEL_DIR=str(tmp_path / "models"))
        assert ended.returncode == 0, ended.stderr
        (line,) = [line for line in ended.stderr.splitlines() if "can't be written" in line]
        assert f"MODEL_DIR={tmp_path / 'models'}" in line
        assert "is read-only; mount it for writing" in line


def test_a_model_dir_among_the_code_is_said_at_the_start(tmp_path: Path) -> None:
    ended = run([str(ROOT / "_wsgi.py"), "--check"], folder=tmp_path, MODEL_DIR=".")
    assert ended.returncode == 0, ended.stderr
    assert "MODEL_DIR=. is the working directory" in ended.stderr


def test_options_win_over_the_environment(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("PORT", "9191")
    monkeypatch.setenv("MODEL_DIR", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["_wsgi.py", "--check", "--port", "9292"])
    _wsgi.main()
    assert "9292" in capsys.readouterr().out


def test_an_app_may_be_made_again_with_other_settings(
    client: FlaskClient, settings: Settings, tmp_path: Path
) -> None:
    client.post("/webhook", json=recorded.body("webhook_start_training"))
    other = settings.model_copy(update={"model_dir": tmp_path / "other", "max_request_mb": 1})
    again = _wsgi.init_app(settings=other)
    assert again.config["MAX_CONTENT_LENGTH"] == 1_000_000
    assert again.test_client().get("/projects/3/training").get_json()["jobs"] == []
    # checks and handlers are there once: a refused body is counted and logged once
    assert len(again.before_request_funcs[None]) == len(set(again.before_request_funcs[None]))


def test_a_model_class_of_ones_own_is_served(settings: Settings) -> None:
    class Own(TimeSeriesSegmenter):
        @property
        def model_version(self) -> str:
            return "own"

    client = _wsgi.init_app(Own, settings).test_client()
    setup = recorded.body("setup_request_index_time")
    assert client.post("/setup", json=setup).json == {"model_version": "own"}
