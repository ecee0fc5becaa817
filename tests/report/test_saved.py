import threading
import time
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests.support import reports as reports_of_recordings
from tests.support.models import PAIR, of_one_pair
from tests.support.processes import small_disk
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.project.card import Card
from timeseries_segmenter.project.model import Model
from timeseries_segmenter.report.saved import ReportFiles
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.storage.model_file import save_model
from timeseries_segmenter.storage.model_store import ModelStore
from timeseries_segmenter.web.backend import Backend


class Pages:
    """Makes a page that names the model file, and remembers of which it made one."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def __call__(self, path: Path) -> str:
        time.sleep(0.01)
        self.made.append(path.stem)
        return f"<!doctype html><p>Größe of {path.stem}</p>"


@pytest.fixture
def store(settings: Settings) -> ModelStore:
    return ModelStore(settings.model_copy(update={"model_history": 2}))


@pytest.fixture
def pages() -> Pages:
    return Pages()


@pytest.fixture
def reports(store: ModelStore, pages: Pages) -> ReportFiles:
    return ReportFiles(store, pages)


def kept(settings: Settings) -> list[str]:
    return sorted(path.name for path in (settings.model_dir / "versions").glob("*.html"))


def test_a_page_is_made_once_however_many_ask_at_once(
    store: ModelStore, reports: ReportFiles, pages: Pages, settings: Settings, run_walk: Segmenter
) -> None:
    version = store.save(3, of_one_pair(run_walk))
    found: list[str] = []
    readers = [threading.Thread(target=lambda: found.append(reports.page(3, version))) for _ in range(5)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert found == [f"<!doctype html><p>Größe of {version}</p>"] * 5
    assert pages.made == [version]
    assert kept(settings) == [f"{version}.html"]
    assert not list(settings.model_dir.rglob("*unfinished*"))


def test_a_page_goes_with_its_version(
    store: ModelStore, reports: ReportFiles, settings: Settings, run_walk: Segmenter
) -> None:
    versions = [store.save(3, of_one_pair(run_walk)) for _ in range(2)]
    for version in versions:
        reports.page(3, version)
    assert len(kept(settings)) == 2
    store.save(3, of_one_pair(run_walk))
    assert kept(settings) == [f"{versions[1]}.html"]
    assert store.versions(3)[-1] == versions[1]


def test_a_page_of_a_model_whose_history_is_gone_is_not_kept(
    store: ModelStore, reports: ReportFiles, settings: Settings, run_walk: Segmenter
) -> None:
    version = store.save(3, of_one_pair(run_walk))
    (settings.model_dir / "versions" / f"{version}.pt").unlink()
    assert "model_project_3" in reports.page(3, version)
    assert kept(settings) == []


def test_a_name_that_a_person_gave_leads_nowhere(
    store: ModelStore, reports: ReportFiles, settings: Settings, run_walk: Segmenter
) -> None:
    settings.model_dir.mkdir()
    save_model(store.path(3), of_one_pair(run_walk, version="../model_project_3"))
    (settings.model_dir / "model_project_3.html").write_text("not a report")
    assert "model_project_3" in reports.page(3, store.version(3))
    assert (settings.model_dir / "model_project_3.html").read_text() == "not a report"


def test_a_full_disk_costs_no_report(
    store: ModelStore, reports: ReportFiles, pages: Pages, settings: Settings, run_walk: Segmenter
) -> None:
    import subprocess

    with small_disk(settings.model_dir):
        version = store.save(3, of_one_pair(run_walk))
        subprocess.run(["mount", "-o", "remount,ro", settings.model_dir], check=True)
        assert version in reports.page(3, version)
        assert version in reports.page(3, version)
    assert pages.made == [version] * 2


def test_a_report_is_served_with_what_it_needs_and_no_more(
    client: FlaskClient, backend: Backend, run_walk: Segmenter
) -> None:
    first, second = (
        backend.store.save(3, of_one_pair(run_walk)),
        backend.store.save(3, of_one_pair(run_walk)),
    )
    backend.reports = ReportFiles(backend.store, Pages())
    answer = client.get("/projects/3/report")
    assert (answer.status_code, answer.content_type) == (200, "text/html; charset=utf-8")
    assert second in answer.text
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert first in client.get(f"/projects/3/report?version={first}").text


@pytest.mark.parametrize("version", ["p3-v9-20261122T100000Z", "../model_project_3", "p4-v1", "<script>"])
def test_a_version_that_is_not_kept_has_no_report(
    client: FlaskClient, backend: Backend, run_walk: Segmenter, version: str
) -> None:
    backend.store.save(3, of_one_pair(run_walk))
    answer = client.get("/projects/3/report", query_string={"version": version})
    assert answer.status_code == 404
    assert "is not kept" in answer.get_json()["detail"]
    page = client.get(
        "/projects/3/report", query_string={"version": version}, headers={"Accept": "text/html"}
    )
    assert (page.status_code, page.mimetype) == (404, "text/html")
    assert "<script>" not in page.text


def test_a_project_without_a_model_says_what_brings_a_report(client: FlaskClient, settings: Settings) -> None:
    page = client.get("/projects/3/report", headers={"Accept": "text/html"})
    assert (page.status_code, page.mimetype) == (404, "text/html")
    assert "not trained yet" in page.text
    assert "Annotate" in page.text
    assert "not trained yet" in client.get("/projects/3/report").get_json()["detail"]
    assert not settings.model_dir.exists()


def test_a_model_from_before_there_were_reports_says_so(
    client: FlaskClient, backend: Backend, run_walk: Segmenter
) -> None:
    version = backend.store.save(3, of_one_pair(run_walk))
    page = client.get("/projects/3/report", headers={"Accept": "text/html"})
    assert (page.status_code, page.mimetype) == (404, "text/html")
    assert f"No report of {version}" in page.text
    assert "train once more" in page.text
    assert "train once more" in client.get("/projects/3/report").get_json()["detail"]


def test_the_report_that_was_saved_with_a_model_is_rendered_once_with_links(
    client: FlaskClient, backend: Backend, settings: Settings
) -> None:
    given = reports_of_recordings.report(reports_of_recordings.part(), skipped=["Task 3: no file"])
    model = Model(Card(), {PAIR: reports_of_recordings.fitted().segmenter}, report=given.model_dump_json())
    version = backend.store.save(47, model)
    page = client.get("/projects/47/report").text
    assert version in page
    assert 'href="../../projects"' in page
    assert f"{settings.label_studio_host}/projects/47/data?task=" in page
    assert "--accent: #3569d4" in page  # the dashboard's palette
    assert "<script" not in page
    assert kept(settings) == [f"{version}.html"]
    assert client.get("/projects/47/report").text == page
