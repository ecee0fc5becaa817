from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch

from tests.support.foreign_models import raise_format, save_reference
from tests.support.models import PAIR, of_one_pair
from tests.support.need import need
from timeseries_segmenter.cli import main
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.project.card import Metrics, PairCard
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.storage.model_store import ModelStore
from timeseries_segmenter.trainings.job import State
from timeseries_segmenter.trainings.queue import JobQueue

METADATA = {
    "created_at": datetime(2026, 11, 22, 10, tzinfo=UTC),
    "tasks": [1, 2, 3],
    "pairs": {PAIR: PairCard(training=Metrics(macro_f1=0.91234))},
}


@pytest.fixture
def store(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
    monkeypatch.setenv("MODEL_DIR", str(settings.model_dir))
    return ModelStore(settings)


def test_versions_are_listed_newest_first_with_the_served_one_marked(
    store: ModelStore, run_walk: Segmenter, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = store.save(3, of_one_pair(run_walk, **METADATA)), store.save(3, of_one_pair(run_walk))
    assert main(["versions", "--project", "3"]) == 0
    head, newest, oldest = capsys.readouterr().out.splitlines()
    assert "version" in head
    assert newest.split() == ["*", second, "0"]
    assert oldest.split() == [first, "2026-11-22T10:00:00+00:00", "3", "0.912", "training", "series"]


def test_figures_on_held_out_series_are_said_to_be_such(
    store: ModelStore, run_walk: Segmenter, capsys: pytest.CaptureFixture[str]
) -> None:
    pair = PairCard(training=Metrics(macro_f1=0.99), held_out=Metrics(macro_f1=0.81234))
    store.save(3, of_one_pair(run_walk, pairs={PAIR: pair}))
    assert main(["versions", "--project", "3"]) == 0
    head, line = capsys.readouterr().out.splitlines()
    assert "measured on" in head
    assert line.endswith("0.812     held-out series")


def test_a_version_that_is_only_the_current_file_is_listed_too(
    store: ModelStore, run_walk: Segmenter, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    version = store.save(3, of_one_pair(run_walk, **METADATA))
    (settings.model_dir / "versions" / f"{version}.pt").unlink()
    assert main(["versions", "--project", "3"]) == 0
    assert version in capsys.readouterr().out


def test_a_rollback_is_told_and_served(
    store: ModelStore, run_walk: Segmenter, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = store.save(3, of_one_pair(run_walk)), store.save(3, of_one_pair(run_walk))
    assert main(["rollback", "--project", "3"]) == 0
    current = store.version(3)
    assert current not in (first, second)
    assert f"{current} is {first} again" in capsys.readouterr().out
    assert need(JobQueue(store.path(3).parent).read(3).prediction).state is State.QUEUED
    assert main(["rollback", "--project", "3", "--to", second]) == 0
    assert f"is {second} again" in capsys.readouterr().out
    main(["versions", "--project", "3"])
    assert f"is {second} again" in capsys.readouterr().out.splitlines()[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["versions", "--project", "4"], "project 4 has no model"),
        (["rollback", "--project", "4"], "project 4 has no model"),
        (["rollback", "--project", "3"], "has no version before p3-v1-"),
        (
            ["rollback", "--project", "3", "--to", "../model_project_3"],
            "has no version ../model_project_3, but p3",
        ),
        (["worker"], "REDIS_URL is not set"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    store: ModelStore,
    run_walk: Segmenter,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    store.save(3, of_one_pair(run_walk))
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DEVICE", "cuda")
    assert main(["versions", "--project", "3"]) == 1
    error = capsys.readouterr().err
    assert "DEVICE is 'cuda'" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("project", ["x", "-1", "../3", "3; rm", ""])
def test_a_project_is_a_number(project: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["versions", f"--project={project}"])
    assert ended.value.code == 2
    assert "project" in capsys.readouterr().err


def test_versions_that_cannot_be_used_are_listed_with_the_reason(
    store: ModelStore, run_walk: Segmenter, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = store.save(3, of_one_pair(run_walk)), store.save(3, of_one_pair(run_walk))
    for path in (store.path(3), settings.model_dir / "versions" / f"{second}.pt"):
        raise_format(path)
    assert main(["versions", "--project", "3"]) == 0
    _, newest, served, trouble = capsys.readouterr().out.splitlines()
    assert newest.split()[0] == second
    assert f"{second}.pt has format 6, of a newer release" in newest
    assert served.split()[:2] == ["*", first]
    assert trouble.startswith("The newest model can't be used: model_project_3.pt has format 6")
    assert main(["rollback", "--project", "3", "--to", second]) == 1
    assert f"{second}.pt has format 6, of a newer release" in capsys.readouterr().err
    assert store.version(3) == first


def test_a_file_of_the_reference_example_alone_is_explained(
    store: ModelStore, capsys: pytest.CaptureFixture[str]
) -> None:
    save_reference(store.path(3))
    for command in (["versions"], ["rollback"]):
        assert main([*command, "--project", "3"]) == 1
        assert "choose Start Training in Label Studio" in capsys.readouterr().err


def test_a_folder_that_is_not_there_stays_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MODEL_DIR", str(tmp_path / "none"))
    assert main(["versions", "--project", "3"]) == 1
    assert "none" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
