from datetime import UTC, datetime

import pytest
from flask.testing import FlaskClient
from lxml import html

from tests.support import reports
from tests.support.models import PAIR
from timeseries_segmenter.project.card import Card, Metrics, PairCard, VersionCorrections
from timeseries_segmenter.project.evaluation import Comparison
from timeseries_segmenter.project.model import Model
from timeseries_segmenter.report.content import (
    Agreement,
    Disagreement,
    LabelAgreement,
    PairReport,
    Previous,
    Report,
    TaskAgreement,
    Unlabelled,
    WorthAnnotating,
)
from timeseries_segmenter.report.metrics import Classes, measure
from timeseries_segmenter.report.page import render
from timeseries_segmenter.report.verdict import mistakes, next_steps, verdict
from timeseries_segmenter.segment import Segment
from timeseries_segmenter.web.backend import Backend

HOSTILE = '<script>alert("x")</script>'
MISLABELLED = Disagreement(
    task=2, start="2026-01-01 10:00", end="2026-01-01 11:00", drawn=["Running"], predicted=[], confidence=0.97
)


@pytest.fixture(scope="module")
def part() -> PairReport:
    return reports.part([MISLABELLED], reports.checked())


def page(report: Report, **options: str | None) -> html.HtmlElement:
    return html.fromstring(render(report, "p47-v3-x", **options))


def text(found: html.HtmlElement) -> str:
    return " ".join(found.text_content().split())


def section(whole: html.HtmlElement, heading: str) -> html.HtmlElement:
    return next(each for each in whole.iter("section", "header") if text(each.find("h2")) == heading)


def cells(within: html.HtmlElement) -> list[list[str]]:
    return [[text(cell) for cell in row.iter("th", "td")] for row in within.iter("tr")]


def test_the_page_loads_nothing_and_runs_nothing(part: PairReport) -> None:
    whole = page(reports.report(part))
    assert not list(whole.iter("script", "link", "iframe", "object", "form"))
    assert not [key for each in whole.iter() for key in each.attrib if key.startswith("on") or key == "style"]
    assert all(each.get("src").startswith("data:image/svg+xml,") for each in whole.iter("img"))
    style = "".join(each.text for each in whole.iter("style"))
    assert "url(" not in style
    assert "@import" not in style
    policy = whole.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_the_training_section_says_which_series_were_brought_to_another_rate(part: PairReport) -> None:
    assert "row every" not in text(section(page(reports.report(part)), "Training"))
    brought = part.model_copy(update={"sampling": "1 of 3 series was brought to a row every 0.1."})
    assert brought.sampling in text(section(page(reports.report(brought)), "Training"))


def test_the_training_section_says_how_opinions_count_and_whether_the_model_adapts(part: PairReport) -> None:
    weights = part.model_copy(update={"weights": {"network": 0.321, "forest": 0.5}, "adapts": True})
    training = text(section(page(reports.report(weights)), "Training"))
    assert "Opinions, by weight: network 0.32, forest 0.50." in training
    assert "It adapts" in training
    fixed = weights.model_copy(update={"adapts": False})
    assert "It adapts" not in text(section(page(reports.report(fixed)), "Training"))


def test_a_report_of_an_earlier_release_says_nothing_of_its_opinions(part: PairReport) -> None:
    earlier = part.model_copy(update={"weights": {}})
    assert "Opinions" not in text(section(page(reports.report(earlier)), "Training"))


def test_tasks_that_were_left_out_are_named_above_all_metrics(part: PairReport) -> None:
    whole = page(reports.report(part, skipped=[f"Task {number}: {HOSTILE}" for number in range(12)]))
    headings = [text(heading) for heading in whole.iter("h2")]
    assert headings.index("Left out") < headings.index("What to do next")
    left_out = section(whole, "Left out")
    assert [text(each) for each in left_out.iter("li")] == [f"Task {n}: {HOSTILE}" for n in range(12)]
    assert text(left_out.find("details/summary")) == "2 more"
    assert "Mend 12 tasks that couldn't be learned from; the reasons are above." in text(
        section(whole, "What to do next")
    )
    assert "Left out" not in text(page(reports.report(part)))


def test_what_was_guessed_of_a_task_is_named(part: PairReport) -> None:
    whole = page(reports.report(part, remarks=["Task 3: Region is cut"]))
    assert text(section(whole, "Worth a look").find("ul")) == "Task 3: Region is cut"


def test_what_people_corrected_is_there_by_version(part: PairReport) -> None:
    corrected = [
        VersionCorrections(version="", annotations=4, seconds=95),
        VersionCorrections(
            version="p47-v1-20261101T080000Z", annotations=2, regions=8, labels=1, added=3, seconds=30
        ),
    ]
    found = section(page(reports.report(part, corrected=corrected)), "What people corrected")
    without, first = cells(next(found.iter("table")))[1:]
    assert without == ["without a prediction", "4", *[""] * 6, "1.6 min"]
    assert first == ["v1", "2", "8", "0.50", "1", "3", "0", "0", "30.0 s"]
    assert "What people corrected" not in text(page(reports.report(part)))


def test_what_people_wrote_stands_there_as_text(part: PairReport) -> None:
    names = ["background", HOSTILE, "Running", "Walking"]
    classes = [
        each.model_copy(update={"name": name})
        for each, name in zip(part.training.classes, names, strict=True)
    ]
    hostile = part.model_copy(
        update={
            "class_names": names,
            "name": HOSTILE,
            "channels": [HOSTILE],
            "unlearned": [HOSTILE],
            "held_out": part.held_out and part.held_out.model_copy(update={"classes": classes}),
            "disagreements": [MISLABELLED.model_copy(update={"drawn": [HOSTILE], "start": HOSTILE})],
        }
    )
    whole = page(
        reports.report(hostile, title=HOSTILE, skipped=[f"Task 3: {HOSTILE}"], pairs=[hostile, hostile])
    )
    assert not list(whole.iter("script"))
    assert text(whole.find(".//h1")) == HOSTILE
    assert text(section(whole, "Left out").find("ul")) == f"Task 3: {HOSTILE}"
    assert HOSTILE in text(section(whole, "Metrics"))
    assert text(whole).count(HOSTILE) > 8


def test_metrics_on_the_page_are_those_of_the_report_and_said_to_be_held_out_or_of_the_training(
    part: PairReport,
) -> None:
    whole = page(reports.report(part))
    for heading, metrics, said in (
        ("Metrics", part.held_out, "Held-out: series it had never seen"),
        ("Training", part.training, "On the training series"),
    ):
        assert metrics is not None
        found = section(whole, heading)
        assert [text(each) for each in found.find_class("badge")] == [said]
        by_class, overall = found.iter("table")
        for each, row in zip(metrics.classes, cells(by_class)[1:], strict=True):
            assert row[0] == each.name
            assert row[1:4] == [shown(value) for value in (each.precision, each.recall, each.f1)]
            assert row[4] == f"{each.support} rows"
        listed = dict(cells(overall))
        assert listed["Macro F1, by rows"] == f"{metrics.macro_f1:.3f}"
        assert listed["Segment F1@50"] == f"{metrics.segment_f1['50']:.3f}"
        assert listed["Segment F1@90"] == f"{metrics.segment_f1['90']:.3f}"
        needed = metrics.corrections
        assert needed is not None
        assert listed["Corrections per annotated segment"] == shown(needed.per_region)
        assert listed["Ends to move"] == f"{needed.ends}"
        assert listed["Predicted segments"] == f"{metrics.predicted_segments}"
    for heading in ("What it confuses", "Drawn and predicted"):
        assert "Held-out" in text(section(whole, heading).find_class("badge")[0])


def shown(value: float | None) -> str:
    return "\N{EN DASH}" if value is None else f"{value:.3f}"


def test_with_one_task_nothing_is_called_held_out() -> None:
    whole = page(reports.report(reports.part()))
    badges = {text(each) for each in whole.find_class("badge")}
    assert badges == {"On the training series"}
    assert "Not known yet" in text(whole.find(".//header/h2"))
    assert "Annotate a second task" in text(section(whole, "What to do next"))


def test_every_picture_is_described(part: PairReport) -> None:
    whole = page(reports.report(part))
    alts = [each.get("alt") for each in whole.iter("img")]
    assert len(alts) == 3 + 4
    assert len(set(alts)) == len(alts)
    assert all(len(alt) > 30 for alt in alts)


def test_tasks_and_disagreements_lead_into_label_studio(part: PairReport) -> None:
    whole = page(reports.report(part), label_studio_url="https://studio.example/ls/", dashboard="/projects")
    row = section(whole, "Likely mislabelled").find(".//tbody/tr")
    assert row.find(".//a").get("href") == "https://studio.example/ls/projects/47/data?task=2"
    assert [text(cell) for cell in row] == [
        "Task 2", "2026-01-01 10:00", "2026-01-01 11:00", "Running", "nothing", "97%",
    ]  # fmt: skip
    links = {each.get("href") for each in section(whole, "Drawn and predicted").iter("a")}
    assert links == {f"https://studio.example/ls/projects/47/data?task={task}" for task in (1, 2, 3)}
    assert "/projects" in {each.get("href") for each in whole.iter("a")}


def test_a_known_region_is_selected_by_its_link(part: PairReport) -> None:
    known = MISLABELLED.model_copy(update={"annotation": 8, "region": "a b&c"})
    changed = part.model_copy(update={"disagreements": [known]})
    whole = page(reports.report(changed), label_studio_url="http://localhost:8080")
    link = section(whole, "Likely mislabelled").find(".//a").get("href")
    assert link == "http://localhost:8080/projects/47/data?task=2&annotation=8&region=a+b%26c"


def test_the_tasks_to_annotate_next_are_told_once_with_links_and_scores(part: PairReport) -> None:
    following = [Unlabelled(task=41, score=0.3141), Unlabelled(task=7, score=0.6)]
    listed = reports.report(part, pairs=[part, part], next=following)
    whole = page(listed, label_studio_url="http://studio:8080")
    (listed,) = whole.find_class("next")
    assert [text(item) for item in listed] == ["Task 41 0.31", "Task 7 0.60"]
    links = [link.get("href") for link in listed.iter("a")]
    assert links == [f"http://studio:8080/projects/47/data?task={task}" for task in (41, 7)]
    assert not page(reports.report(part)).find_class("next")


def test_stretches_of_long_series_are_told_once_with_their_place(part: PairReport) -> None:
    stretches = [
        WorthAnnotating(task=41, series="ts", start="2026-11-29 08:00", end="2026-11-29 09:30"),
        WorthAnnotating(task=7, series="ts", start=1200, end=5999.5),
    ]
    whole = page(reports.report(part, stretches=stretches), label_studio_url="http://studio:8080")
    (listed,) = whole.find_class("stretches")
    assert [text(item) for item in listed] == [
        "Task 41 from 2026-11-29 08:00 to 2026-11-29 09:30",
        "Task 7 from 1200 to 5999.5",
    ]
    of_two = page(reports.report(part, pairs=[part, part], stretches=stretches))
    (listed,) = of_two.find_class("stretches")
    assert text(listed[1]) == "Task 7 ts from 1200 to 5999.5"
    assert not page(reports.report(part)).find_class("stretches")


@pytest.mark.parametrize(("url", "project"), [(None, 47), ("http://localhost:8080", None)])
def test_without_an_address_or_a_project_there_are_no_links(
    part: PairReport, url: str | None, project: int | None
) -> None:
    assert not list(page(reports.report(part, project=project), label_studio_url=url).iter("a"))


def test_a_version_is_compared_with_the_one_before(part: PairReport) -> None:
    classes = Classes(("background", "Running"), (("Running",),), frozenset())
    before = measure([Comparison([Segment(0, 9, ("Running",))], [Segment(3, 9, ("Running",))], 20)], classes)
    card = Card(
        version="p47-v2-x",
        created_at=datetime(2026, 11, 24, 9, tzinfo=UTC),
        pairs={"label:ts": PairCard(held_out=before)},
    )
    whole = page(reports.report(part, previous=Previous.from_card(card)))
    assert "Since p47-v2-x" in text(section(whole, "Metrics"))
    assert part.held_out is not None
    change = f"{part.held_out.macro_f1 - before.macro_f1:+.2f}".replace("-", "\N{MINUS SIGN}")
    assert change in text(whole.find(".//dl"))
    assert (
        f"macro F1 {before.macro_f1:.2f} then, {part.held_out.macro_f1:.2f} now, on 3 tasks instead of 1"
        in text(whole)
    )
    assert "p47-v2-x, 24 November 2026, 09:00 UTC" in text(section(whole, "About"))


def test_a_version_that_was_restored_says_so(part: PairReport) -> None:
    assert "restored from p47-v1-x" in text(section(page(reports.report(part), restored="p47-v1-x"), "About"))


def test_pairs_have_headings_where_there_are_several(part: PairReport) -> None:
    other = part.model_copy(update={"name": "other:ts"})
    whole = page(reports.report(part, pairs=[part, other]))
    assert [text(each) for each in whole.find_class("pair")] == ["label:ts", "other:ts"]


def test_the_page_is_small(part: PairReport) -> None:
    assert len(render(reports.report(part), "p47-v3-x")) < 600_000


def test_the_service_serves_a_report_that_leads_to_its_project_and_to_the_dashboard(
    client: FlaskClient, backend: Backend, part: PairReport
) -> None:
    segmenter = reports.fitted().segmenter
    saved = Model(Card(), {PAIR: segmenter}, report=reports.report(part).model_dump_json())
    version = backend.store.save(47, saved)
    answer = client.get("/projects/47/report", headers={"Accept": "text/html"})
    assert answer.status_code == 200
    assert f"Version {version}" in answer.text
    links = [each.get("href") for each in html.fromstring(answer.text).iter("a")]
    assert "../../projects" in links
    assert f"{backend.settings.label_studio_link}/projects/47/data?task=1" in links
    assert client.get("/projects").status_code == 200


def held_out(part: PairReport, **changes: object) -> PairReport:
    assert part.held_out is not None
    return part.model_copy(update={"held_out": part.held_out.model_copy(update=changes)})


@pytest.mark.parametrize(
    ("macro_f1", "segment_f1", "level"),
    [(0.95, 0.9, "good"), (0.95, 0.7, "fair"), (0.7, 0.95, "fair"), (0.9, 0.2, "poor"), (0.3, 0.9, "poor")],
)
def test_the_verdict_follows_the_weaker_of_rows_and_regions(
    part: PairReport, macro_f1: float, segment_f1: float, level: str
) -> None:
    found = verdict(held_out(part, macro_f1=macro_f1, segment_f1={"50": segment_f1}))
    assert found.level == level
    assert f"macro F1 {macro_f1:.2f} and segment F1@50 {segment_f1:.2f}" in found.reasons[0]
    assert "Measured on 3 tasks only" in found.reasons[-1]


def test_what_is_confused_most_is_told_first(part: PairReport) -> None:
    assert part.held_out is not None
    confusion = part.held_out.confusions[0].model_copy(
        update={"counts": [[280, 0, 20, 0], [0, 200, 100, 0], [0, 3, 297, 0], [0, 0, 0, 300]]}
    )
    confused = held_out(part, confusions=[confusion])
    metrics = confused.held_out
    assert isinstance(metrics, Metrics)
    assert [str(each) for each in mistakes(metrics)] == [
        "33% of the rows annotated as Badminton are predicted as Running",
        "7% of the rows annotated as background are predicted as Running",
    ]
    assert any("Badminton and Running, which get mixed up" in step for step in next_steps(confused, 0))


def test_what_to_do_next_names_what_is_missing(part: PairReport) -> None:
    steps = " ".join(next_steps(part.model_copy(update={"unlearned": ["Swim", "Dive"]}), skipped=1))
    assert "Mend 1 task" in steps
    assert "Swim and Dive" in steps
    assert "Badminton (3 in 3 tasks)" in steps
    assert "disagrees" in steps
    calm = part.model_copy(update={"few": [], "disagreements": []})
    perfect = held_out(calm, confusions=[])
    assert next_steps(perfect, 0) == [
        "Nothing stands out. Annotate next what is listed so: what adds most to the annotated series."
    ]


def test_where_people_differ_is_shown_by_label_and_by_task_with_links(part: PairReport) -> None:
    agreement = Agreement(
        tasks=1,
        labels=[LabelAgreement(name=HOSTILE, rows=0.25, instants=None)],
        lowest=[TaskAgreement(task=2, annotations=3, share=0.4)],
    )
    whole = page(
        reports.report(part.model_copy(update={"agreement": agreement})), label_studio_url="http://studio"
    )
    shown = section(whole, "Where people differ")
    assert "1 task has annotations of several people" in text(shown)
    assert cells(shown)[1:] == [[HOSTILE, "0.25", "\N{EN DASH}"]]
    (link,) = shown.iter("a")
    assert link.get("href") == "http://studio/projects/47/data?task=2"
    assert text(next(shown.iter("li"))) == "Task 2 0.40, 3 annotations"
    assert "Where people differ" not in text(page(reports.report(part)))


def test_a_label_that_people_understand_differently_is_to_be_settled(part: PairReport) -> None:
    def steps(rows: float, instants: float | None) -> str:
        labels = [LabelAgreement(name="Running", rows=rows, instants=instants)]
        agreement = Agreement(tasks=0, labels=labels, lowest=[])
        return " ".join(next_steps(part.model_copy(update={"agreement": agreement}), 0))

    assert "Settle what Running is: people agree on 65% of it." in steps(0.9, 0.65)
    assert "Settle" not in steps(0.75, None)


def test_rows_that_teach_nothing_are_explained_if_there_are_any(part: PairReport) -> None:
    assert "Hatched" not in text(page(reports.report(part)))
    first, *others = part.samples
    partly = part.model_copy(update={"samples": [first.model_copy(update={"unknown": [(0, 500)]}), *others]})
    whole = page(reports.report(partly))
    assert "Hatched rows teach nothing" in text(section(whole, "Drawn and predicted"))
    before, now = (
        section(page(reports.report(each)), "Drawn and predicted").find(".//img").get("src")
        for each in (part, partly)
    )
    assert before != now
