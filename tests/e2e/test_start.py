"""A project that starts from another one's model, in a real Label Studio and its editor."""

from collections.abc import Callable, Iterator

import pytest

from tests.support.e2e.chromium import chromium, log_in, open_task, plots, show_prediction
from tests.support.e2e.lesson import Lesson, teach
from tests.support.e2e.loop import ANNOTATED, TRAINING_SECONDS
from tools.studio.label_studio import LabelStudio
from tools.studio.project import Project
from tools.studio.service import Service

pytestmark = pytest.mark.e2e

SECONDS = 120
NAME = "activity"


@pytest.fixture
def lesson(own_service: Callable[..., Service], studio: LabelStudio) -> Iterator[Lesson]:
    learned = teach(studio, own_service(PREDICT_AFTER_TRAINING="500"), NAME)
    yield learned
    learned.project.close()


@pytest.fixture
def started(lesson: Lesson, studio: LabelStudio) -> Iterator[Project]:
    """A project without annotations, whose labeling config names the one that is trained."""
    config = lesson.example.config_text.replace(
        "<TimeSeriesLabels ", f'<TimeSeriesLabels model_start="project:{lesson.project.id}" '
    )
    project = Project(studio, "Started", config)
    yield project
    project.close()


def test_regions_are_drawn_before_anybody_has_annotated_and_the_first_model_goes_on_from_them(
    lesson: Lesson, started: Project, studio: LabelStudio
) -> None:
    service, samples = lesson.service, lesson.example.samples
    ids = started.import_tasks([{"csv_url": started.upload(each.path)} for each in samples])
    tasks = dict(zip(ids, samples, strict=True))
    backend = started.connect(service.url)
    assert started.backend(backend)["model_version"] == lesson.version
    service.wait_predicted(started.id, lesson.version, SECONDS)
    assert service.training(started.id)["jobs"] == []

    last = ids[-1]
    with chromium() as browser:
        page = browser.new_page()
        log_in(page, studio)
        open_task(page, studio, started.id, last)
        show_prediction(page, lesson.version)
        times = tasks[last].series.time.stamps
        overview, _ = plots(page, times[0], times[-1])
        (stored,) = started.predictions(last)
        assert stored["model_version"] == lesson.version
        assert len(overview.marks) == len(stored["result"]) > 0

        for task in ids[:ANNOTATED]:
            started.annotate(task, tasks[task].regions)
        job = service.wait_trained(started.id, service.newest_job(started.id), TRAINING_SECONDS)
        own = str(job["version"])
        assert own.startswith(f"p{started.id}-v")
        service.wait_predicted(started.id, own, SECONDS)
        (stored,) = started.predictions(last)
        assert stored["model_version"] == own
        assert started.backend(backend)["model_version"] == own
        page.goto(f"{service.url}/projects/{started.id}/report")
        assert own in page.locator("body").inner_text()


def test_a_start_that_is_chosen_on_the_dashboard_fills_in_the_tasks_until_it_is_undone(
    lesson: Lesson, studio: LabelStudio
) -> None:
    service, sample = lesson.service, lesson.example.samples[0]
    project = Project(studio, "Chosen", lesson.example.config_text)
    try:
        (task,) = project.import_tasks([{"csv_url": project.upload(sample.path)}])
        backend = project.connect(service.url)
        assert project.backend(backend)["model_version"] == "untrained"
        with chromium() as browser:
            page = browser.new_page()
            page.goto(f"{service.url}/projects")
            card = page.locator(f"#project-{project.id}")
            card.get_by_text("Start from another project").click()
            card.get_by_label("Begin with the model of").select_option(str(lesson.project.id))
            card.get_by_role("button", name="Start").click()
            card.get_by_text("Started. Its predictions follow.").wait_for()
            card.get_by_text("predicts until this project has a model of its own").wait_for()
            service.wait_predicted(project.id, lesson.version, SECONDS)
            (stored,) = project.predictions(task)
            assert stored["model_version"] == lesson.version
            assert stored["result"]
            assert project.backend(backend)["model_version"] == lesson.version

            page.goto(f"{service.url}/projects")
            card.get_by_role("button", name="Undo the start").click()
            card.get_by_text("It starts from no other project").wait_for()
            service.wait_predicted(project.id, "untrained", SECONDS)
            assert [each["result"] for each in project.predictions(task)] == [[]]
            assert project.backend(backend)["model_version"] == "untrained"
    finally:
        project.close()
