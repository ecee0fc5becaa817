"""What people see in a real browser. `--screenshots FOLDER` keeps pictures of it."""

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.support.e2e.chromium import (
    MILLISECONDS,
    SIZE,
    Plot,
    chromium,
    draw,
    log_in,
    mark_instant,
    open_task,
    plots,
    show_prediction,
)
from tests.support.e2e.lesson import Lesson, teach
from tests.support.e2e.loop import ANNOTATED, TRAINING_SECONDS
from tests.support.processes import wait_for
from timeseries_segmenter.project.evaluation import TOLERANCE
from timeseries_segmenter.project.versions import shorten_version
from tools.studio.label_studio import LabelStudio
from tools.studio.sample import EXAMPLES, Sample, example_names, read_example
from tools.studio.service import Service

pytestmark = pytest.mark.e2e

THIN = 3  # pixels that an instant is wide at most
COLOURS = 256
GAP = 0.01  # of the series, between drawn regions: on the edge of one the mouse would pull that
EMPTY = (640, 760)  # a place in the Data Manager with nothing to click on

Shoot = Callable[[str], None]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, studio: LabelStudio, tmp_path: Path) -> Iterator[Page]:
    """A page of its own, logged in to Label Studio."""
    context = browser.new_context(viewport=SIZE)
    context.set_default_timeout(MILLISECONDS)
    page = context.new_page()
    log_in(page, studio)
    yield page
    page.screenshot(path=tmp_path / "last.png")  # pytest keeps the folders of its last runs
    context.close()


@pytest.fixture
def shoot(page: Page, pytestconfig: pytest.Config) -> Shoot:
    """Keeps a picture of the page under a name, where pictures are asked for."""
    folder = pytestconfig.getoption("--screenshots", default=None)

    def kept(name: str) -> None:
        if folder:
            page.wait_for_timeout(500)
            picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
            Path(folder).mkdir(parents=True, exist_ok=True)
            picture.quantize(COLOURS, dither=Image.Dither.NONE).save(
                Path(folder) / f"{name}.png", optimize=True
            )

    return kept


@pytest.fixture(scope="module")
def lesson(studio: LabelStudio, service: Service) -> Iterator[Callable[[str], Lesson]]:
    """An example that was learned; once for all tests."""
    lessons: dict[str, Lesson] = {}

    def learned(name: str) -> Lesson:
        if name not in lessons:
            lessons[name] = teach(studio, service, name)
        return lessons[name]

    yield learned
    for each in lessons.values():
        each.project.close()


def assert_drawn(plot: Plot, regions: list[dict[str, Any]], lesson: Lesson, task: int) -> None:
    """The plot holds one mark for each region, where it starts and ends, in its label's colour."""
    stamp = lesson.tasks[task].series.time.stamp
    assert [lesson.colours[mark.colour] for mark in plot.marks] == [
        region["timeserieslabels"][0] for region in regions
    ]
    for mark, region in zip(plot.marks, regions, strict=True):
        start, end = stamp(region["start"]), stamp(region["end"])
        if region["instant"]:
            assert start == end
            assert 0 < mark.pixels <= THIN
            assert abs((mark.start + mark.end) / 2 - start) <= THIN * plot.pixel
        else:
            assert abs(mark.start - start) <= plot.pixel
            assert abs(mark.end - end) <= plot.pixel


@pytest.mark.parametrize("name", example_names())
def test_predicted_regions_are_drawn_where_the_stored_prediction_has_them(
    name: str,
    lesson: Callable[[str], Lesson],
    studio: LabelStudio,
    page: Page,
    shoot: Shoot,
) -> None:
    learned = lesson(name)
    task = learned.others[0]
    regions = learned.predicted(task)
    assert regions
    assert {region["instant"] for region in regions} == {name == "heart_beats"}
    assert {type(region["start"]) is str for region in regions} == {name == "exercises"}

    open_task(page, studio, learned.project.id, task)
    show_prediction(page, learned.version)
    times = learned.tasks[task].series.time.stamps
    overview, channels = plots(page, times[0], times[-1])
    assert_drawn(overview, regions, learned, task)
    assert len(channels) == len(learned.example.pair.channels)
    for channel in channels:
        assert_drawn(channel, regions, learned, task)
    shoot(f"prediction-{name}")


def test_a_person_submits_what_the_model_drew_and_the_model_learns_from_it(
    lesson: Callable[[str], Lesson], studio: LabelStudio, page: Page
) -> None:
    learned = lesson("activity")
    task = learned.others[1]
    training = learned.service.training(learned.project.id)
    before, version = training["jobs"], str(training["version"])
    open_task(page, studio, learned.project.id, task)
    page.wait_for_function("Htx.annotationStore.selected?.regions.length > 0")  # what the model drew
    page.get_by_role("button", name="Submit").click()

    (annotation,) = wait_for(lambda: list(learned.project.client.annotations.list(id=task)))
    drawn = [region["value"] for region in annotation.result]
    assert sorted(drawn, key=lambda value: float(value["start"])) == learned.predicted(task, version)
    wait_for(lambda: len(learned.service.training(learned.project.id)["jobs"]) > len(before))
    newest = learned.service.newest_job(learned.project.id)
    learned.service.wait_trained(learned.project.id, newest, TRAINING_SECONDS)

    page.goto(f"{learned.service.url}/projects/{learned.project.id}/report")
    heading = page.get_by_role("heading", name="What people corrected", exact=True)
    of_version = page.get_by_role("rowheader", name=shorten_version(version), exact=True)
    corrected = page.locator("section").filter(has=heading).get_by_role("row").filter(has=of_version)
    annotations, regions, per_region = (corrected.get_by_role("cell").nth(place) for place in range(3))
    expect(annotations).to_have_text("1")
    expect(regions).to_have_text(str(len(drawn)))
    expect(per_region).to_have_text("0.00")


def test_an_instant_that_is_marked_with_auto_annotation_on_brings_the_others_of_its_label(
    lesson: Callable[[str], Lesson], studio: LabelStudio, page: Page, shoot: Shoot
) -> None:
    learned = lesson("heart_beats")
    project, task = learned.project, learned.others[0]
    ((backend,),) = [project.client.ml.list(project=project.id)]
    settings = {"project": project.id, "url": learned.service.url, "is_interactive": True}
    address = f"{studio.url}/api/ml/{backend.id}"
    project.session.patch(address, json=settings, timeout=60).raise_for_status()
    project.client.projects.update(id=project.id, show_collab_predictions=False)  # an empty annotation
    open_task(page, studio, project.id, task)
    page.get_by_text("Auto-Annotation", exact=True).click()
    label = learned.example.pair.labels[0]
    with page.expect_response(lambda answer: "interactive-annotating" in answer.url) as answer:
        mark_instant(page, label, 0.5)
    assert answer.value.json().keys() == {"data"}
    page.wait_for_function("Htx.annotationStore.selected.regions.length > 1")
    shoot("auto-annotation")
    (drawn,), suggested = by_origin(page)

    series = learned.tasks[task].series.time
    row = series.rows(drawn["start"], drawn["end"])
    assert row
    beats = [each for each in learned.predicted(task) if each["timeserieslabels"] == [label]]
    rows = [series.rows(each["start"], each["end"]) for each in beats]
    far = [each for each, at in zip(beats, rows, strict=True) if at and abs(at[0] - row[0]) > TOLERANCE]
    assert len(far) >= len(beats) - 1 > 0
    assert sorted(suggested, key=lambda each: float(each["start"])) == far

    # what was removed does not come back with the next one
    page.evaluate("Htx.annotationStore.selected.regions.find(r => r.origin === 'prediction').deleteRegion()")
    with page.expect_response(lambda answer: "interactive-annotating" in answer.url) as answer:
        mark_instant(page, label, 0.52)
    assert answer.value.json()["data"]["result"] == []
    by_hand, suggested = by_origin(page)
    assert (len(by_hand), len(suggested)) == (2, len(far) - 1)


def by_origin(page: Page) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The regions that the editor holds: those drawn by hand, and those that were predicted."""
    results = page.evaluate("Htx.annotationStore.selected.serializeAnnotation()")
    by_hand = [each["value"] for each in results if each["origin"] == "manual"]
    return by_hand, [each["value"] for each in results if each["origin"] == "prediction"]


def test_the_data_manager_orders_by_the_score_of_the_newest_version(
    lesson: Callable[[str], Lesson], page: Page, shoot: Shoot
) -> None:
    learned = lesson("activity")
    project, (annotated, *others) = learned.project, learned.others
    project.annotate(annotated, learned.tasks[annotated].regions)
    newest = learned.service.newest_job(project.id)
    version = str(learned.service.wait_trained(project.id, newest, TRAINING_SECONDS)["version"])
    assert version != learned.version
    project.retrieve_predictions(others)
    assert [len(project.predictions(task)) for task in others] == [2] * len(others)

    wanted = sorted(others, key=lambda task: learned.score(task, version))
    assert ordered(learned, "tasks:predictions_score")[: len(others)] == wanted
    assert ordered(learned, "-tasks:predictions_score")[: len(others)] == wanted[::-1]

    page.goto(project.url)
    page.get_by_role("button", name="Columns").click()
    page.get_by_text("Prediction score", exact=True).last.click()
    page.mouse.click(*EMPTY)
    page.get_by_text("Order by", exact=True).click()
    page.get_by_text("Prediction score", exact=True).last.click()
    page.mouse.click(*EMPTY)
    wait_for(lambda: shown_tasks(page)[: len(others)] == wanted)
    shoot("order-by-prediction-score")


def ordered(lesson: Lesson, by: str) -> list[int]:
    """The tasks as a tab of the Data Manager with this order has them."""
    session, url, project = lesson.project.session, lesson.project.studio.url, lesson.project.id
    tab = {"project": project, "data": {"title": by, "ordering": [by]}}
    made = session.post(f"{url}/api/dm/views/", json=tab, timeout=30)
    made.raise_for_status()
    asked = {"view": made.json()["id"], "project": project}
    answer = session.get(f"{url}/api/tasks", params=asked, timeout=30)
    answer.raise_for_status()
    session.delete(f"{url}/api/dm/views/{asked['view']}", timeout=30).raise_for_status()
    return [task["id"] for task in answer.json()["tasks"]]


def shown_tasks(page: Page) -> list[int]:
    """The ids in the Data Manager's table, from the top."""
    cells = page.locator(".lsf-table-row > .lsf-table__cell:nth-child(2)").all_inner_texts()
    return [int(cell) for cell in cells if cell.strip().isdecimal()]


def test_the_dashboard_shows_a_training_live_and_the_report_explains_its_model(
    lesson: Callable[[str], Lesson], studio: LabelStudio, page: Page, shoot: Shoot
) -> None:
    learned = lesson("exercises")
    project, service = learned.project.id, learned.service
    page.goto(f"{service.url}/projects")
    card = page.locator(f"#project-{project}")
    expect(card.get_by_role("heading")).to_have_text(learned.example.title)
    expect(card.locator("header .badge")).to_have_text("trained")
    card.get_by_role("button", name=re.compile("^Train")).click()

    expect(card.locator("progress[value]")).to_be_visible()
    expect(card.locator("header .badge")).to_have_text("training")
    shoot("dashboard-training")
    expect(card.locator("header .badge")).to_have_text("trained", timeout=TRAINING_SECONDS * 1000)
    version = service.training(project)["version"]
    assert version != learned.version
    expect(card.locator(".model .version")).to_have_text(version)
    rows = card.locator(".versions tbody tr")
    assert rows.count() == len(service.training(project)["versions"]) >= 2
    link = card.get_by_role("link", name=re.compile("^Open in Label Studio")).get_attribute("href")
    assert str(link).startswith(f"{studio.url}/projects/{project}")
    shoot("dashboard")

    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    card.locator("footer").get_by_role("link", name=re.compile("^Report")).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(learned.example.title)
    expect(page.locator("body")).to_contain_text(version)
    for heading in ("What it confuses", "Drawn and predicted", "Training"):
        expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
    assert [url for url in asked if not url.startswith("data:")] == [page.url]
    pictures = page.locator("img, svg").all()
    assert pictures
    for picture in pictures:
        box = picture.bounding_box()
        assert box is None or box["width"] <= SIZE["width"]
    shoot("report")
    page.get_by_role("heading", name="Drawn and predicted", exact=True).scroll_into_view_if_needed()
    page.evaluate("scrollTo(0, scrollY + innerHeight - 120)")
    shoot("report-series")


def test_the_report_leads_to_the_tasks_to_annotate_next_and_to_regions_that_may_be_drawn_wrong(
    lesson: Callable[[str], Lesson], page: Page
) -> None:
    learned = lesson("exercises")
    project = learned.project
    project.retrieve_predictions(learned.others)
    address = f"{learned.service.url}/projects/{project.id}/report"

    page.goto(address)
    section = page.locator("section").filter(
        has=page.get_by_role("heading", name="Annotate next", exact=True)
    )
    listed = [task_of(link.get_attribute("href")) for link in section.get_by_role("link").all()]
    assert sorted(listed) == sorted(learned.others)
    section.get_by_role("link").first.click()
    page.wait_for_selector(".htx-timeseries-overview rect.selection")
    assert task_of(page.url) == listed[0]

    page.goto(address)
    table = page.locator("section").filter(
        has=page.get_by_role("heading", name="Likely mislabelled", exact=True)
    )
    link = table.get_by_role("link").first
    named = parse_qs(urlsplit(str(link.get_attribute("href"))).query)
    task = int(named["task"][0])
    (annotation,) = project.client.annotations.list(id=task)
    assert int(named["annotation"][0]) == annotation.id
    assert named["region"][0] in [region["id"] for region in annotation.result]
    link.click()
    page.wait_for_selector(".htx-timeseries-overview rect.selection")
    # Label Studio 1.23 opens the annotation; of a time series it leaves the region to be found by eye
    page.wait_for_function("pk => Htx.annotationStore.selected?.pk === pk", arg=str(annotation.id))
    assert task_of(page.url) == task


def task_of(address: str | None) -> int:
    return int(parse_qs(urlsplit(str(address)).query)["task"][0])


def test_the_tutorial_can_be_followed_from_an_empty_label_studio_to_predictions(
    studio: LabelStudio, own_service: Callable[..., Service], page: Page, shoot: Shoot
) -> None:
    service = own_service(PREDICT_AFTER_TRAINING="500")  # regions come without a click
    folder = EXAMPLES / "activity"
    page.goto(f"{studio.url}/projects")
    # Label Studio makes the project at once, and only then takes its files
    with page.expect_response(
        lambda answer: answer.request.method == "POST" and "/api/projects" in answer.url
    ):
        page.get_by_role("button", name="Create").first.click()
    page.locator("input[name=name]").fill("Activity")
    page.get_by_text("Data Import", exact=True).click()
    page.locator("input[type=file]").set_input_files(sorted(folder.glob("*.csv")))
    page.get_by_text("Time Series or Whole Text File").click()
    shoot("tutorial-import")

    page.get_by_text("Labeling Setup", exact=True).click()
    page.get_by_text("Custom template").click()
    code = page.locator(".CodeMirror").first
    config = (folder / "config.xml").read_text()
    code.evaluate("(element, text) => element.CodeMirror.setValue(text)", config)
    page.wait_for_selector(".htx-timeseries-channel")
    shoot("tutorial-labeling-config")
    page.get_by_role("button", name="Save", exact=True).first.click()
    page.wait_for_url(lambda url: "/data" in url)
    project = int(page.url.split("/projects/")[1].split("/")[0])

    page.goto(f"{studio.url}/projects/{project}/settings/ml")
    page.get_by_text("Connect Model", exact=True).first.click()
    page.locator("input[name=title]").last.fill("Segmenter")
    page.locator("input[name=url]").fill(service.url)
    shoot("tutorial-connect-model")
    page.get_by_text("Validate and Save").click()
    page.get_by_text("Connected", exact=True).wait_for()
    shoot("tutorial-model-connected")

    samples = read_example("activity").samples
    with studio.session() as session:
        found = session.get(f"{studio.url}/api/tasks", params={"project": project}, timeout=30).json()
    tasks = dict(zip(sorted(task["id"] for task in found["tasks"]), samples, strict=True))
    first, *_ = annotated = list(tasks)[:ANNOTATED]
    for task in annotated:
        open_task(page, studio, project, task)
        draw_regions(page, tasks[task])
        if task == first:
            shoot("tutorial-annotate")
        page.get_by_role("button", name="Submit").click()
        page.get_by_text("Update", exact=True).wait_for()
    version = service.wait_trained(project, service.newest_job(project), TRAINING_SECONDS)["version"]

    others = list(tasks)[ANNOTATED:]
    page.goto(f"{service.url}/projects")
    reached = page.locator(f"#project-{project} .prediction:not(.notice) .predicted")
    expect(reached).to_have_text(f"{len(others)} of {len(others)} tasks predicted", timeout=MILLISECONDS)
    shoot("tutorial-predicted")
    with studio.session() as session:
        for last in others:
            address = f"{studio.url}/api/predictions?task={last}"
            (stored,) = session.get(address, timeout=30).json()
            assert stored["model_version"] == version

    open_task(page, studio, project, last)
    show_prediction(page, version)
    times = tasks[last].series.time.stamps
    overview, _ = plots(page, times[0], times[-1])
    assert len(overview.marks) == len(stored["result"]) > 0
    shoot("tutorial-prediction")


def draw_regions(page: Page, sample: Sample) -> None:
    """Draws the true regions by hand, with little gaps between them."""
    times = sample.series.time.stamps
    for region in sample.regions:
        value = region["value"]
        start, end = ((value[name] - times[0]) / (times[-1] - times[0]) for name in ("start", "end"))
        draw(page, value["timeserieslabels"][0], start + GAP, end - GAP)
