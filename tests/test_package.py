"""The package as people install it: a wheel, in a folder that is not the repository's."""

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import timeseries_segmenter

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples/activity"
INPUTS = ["--config", str(EXAMPLE / "config.xml"), "--tasks", str(EXAMPLE / "tasks.json")]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
OPTIONAL = [
    *("flask", "gunicorn", "label_studio_ml", "onnx", "onnxruntime", "prometheus_client", "redis", "rq"),
    "waitress",
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, timeout=120)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel installed, beside modules that fail as packages do that only extras install."""
    site = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", str(site), str(wheel)], check=True, capture_output=True, timeout=120)
    for name in OPTIONAL:
        (site / f"{name}.py").write_text(f"raise ModuleNotFoundError('no {name}', name={name!r})\n")
    return site


def run(site: Path, folder: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [str(site / "bin/timeseries-segmenter"), *arguments]
    env = os.environ | {"PYTHONPATH": str(site), "TRAIN_EPOCHS": "2", "HIDDEN_SIZE": "4"} | environment
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120)


def test_the_script_trains_predicts_evaluates_and_reports_from_any_folder(site: Path, tmp_path: Path) -> None:
    shown = run(site, tmp_path, "--help")
    assert shown.stdout.startswith("usage: timeseries-segmenter [-h] command")
    chosen = ["--task-ids", "1,2", "--model", "m.pt"]
    for command in (
        ["train", *INPUTS, *chosen],
        ["predict", *INPUTS, *chosen, "--output", "p.json"],
        ["evaluate", *INPUTS, *chosen],
        ["report", "--model", "m.pt", "--output", "r.html"],
    ):
        ended = run(site, tmp_path, *command)
        assert ended.returncode == 0, ended.stderr
    assert [task["id"] for task in json.loads((tmp_path / "p.json").read_text())] == [1, 2]
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")
    assert "has no model" in run(site, tmp_path, "versions", "--project", "3").stderr


def test_a_worker_without_the_packages_of_redis_says_how_to_install_them(site: Path, tmp_path: Path) -> None:
    ended = run(site, tmp_path, "worker", REDIS_URL="redis://127.0.0.1:1")
    assert ended.returncode == 1
    assert "pip install 'timeseries-segmenter[redis]'" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_export_without_the_packages_of_onnx_says_how_to_install_them(site: Path, tmp_path: Path) -> None:
    train = ["train", *INPUTS, "--task-ids", "1,2", "--model", "m.pt"]
    assert run(site, tmp_path, *train).returncode == 0
    ended = run(site, tmp_path, "export", "--model", "m.pt", "--output", "taken")
    assert ended.returncode == 1
    assert ended.stderr == "the package onnx is missing: pip install 'timeseries-segmenter[onnx]'\n"
    assert not (tmp_path / "taken").exists()


def test_the_wheel_holds_the_whole_package_and_nothing_else(wheel: Path) -> None:
    package = Path(timeseries_segmenter.__file__).parent
    files = [path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        (metadata,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        version = f"\nVersion: {timeseries_segmenter.__version__}\n"
        assert version in archive.read(metadata).decode()
    assert names == {str(path.relative_to(ROOT)) for path in files}
    assert "timeseries_segmenter/py.typed" in names


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("requirements.txt", [*PROJECT["dependencies"], *EXTRAS["redis"], *EXTRAS["service"]]),
        (
            "requirements-test.txt",
            [*PROJECT["dependencies"], *(each for of in EXTRAS.values() for each in of)],
        ),
    ],
)
def test_pins_are_of_what_the_package_needs_and_in_its_ranges(name: str, wanted: list[str]) -> None:
    """`make requirements` writes them."""
    lines = [line for line in (ROOT / name).read_text().splitlines() if not line.startswith("#")]
    pins = {pin.name: pin for pin in map(Requirement, lines)}
    ranges = {_normal(each.name): each.specifier for each in map(Requirement, wanted)}
    assert pins.keys() == ranges.keys()
    for package, pin in pins.items():
        (exact,) = pin.specifier
        assert exact.operator == "=="
        assert Version(exact.version) in ranges[package], package


def _normal(name: str) -> str:
    return name.lower().replace("_", "-")
