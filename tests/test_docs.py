"""The documentation says what is there, and nothing that is not."""

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from werkzeug.exceptions import MethodNotAllowed, NotFound

from _wsgi import command_line as server_command_line
from tests.support.markdown_page import DOCS, PAGES, Page
from tests.support.models import of_one_pair
from timeseries_segmenter.cli import main
from timeseries_segmenter.errors import LabelConfigError, SeriesError
from timeseries_segmenter.example_settings import NAMES
from timeseries_segmenter.labeling.config import parse_label_config
from timeseries_segmenter.labeling.pair_settings import PREFIX, PairSettings
from timeseries_segmenter.labeling.series import read_series
from timeseries_segmenter.labeling.tag import LABEL
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.project.versions import VERSION
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources.download_cache import DownloadCache
from timeseries_segmenter.sources.known_tasks import KnownTasks
from timeseries_segmenter.sources.label_studio import LabelStudioClient
from timeseries_segmenter.sources.series_cache import SeriesCache
from timeseries_segmenter.sources.task_store import open_task_store
from timeseries_segmenter.storage.model_store import ModelStore
from timeseries_segmenter.trainings.late_events import LateEvents
from timeseries_segmenter.trainings.policy import TASKS_CREATED, TRAINING_EVENTS
from timeseries_segmenter.trainings.queue import JobQueue
from tools.docs import endpoints, make_targets, pages
from tools.docs.command_line import options, subcommands

EXAMPLE = Path("examples/activity")

# words of others that a page may hold; Label Studio's variables are those that the compose file gives it
OTHER_VARIABLES = {"CUDA_VISIBLE_DEVICES", "MALLOC_ARENA_MAX", "PYTHONPATH", "TORCH_INDEX_URL"}
OF_MAKE = {"DATA", "EXAMPLE", "HOST", "LABEL_STUDIO_ML", "ONCE", "QUICK"}
OTHER_MODEL_WORDS = {"model_version", "model_dir", "model_project_"}
OTHER_PATHS = ("/api/", "/data/", "/user/", "/samples/", "/train", "/is_training")
OTHER_OPTIONS = {
    "--build",
    "--build-arg",
    "--no-cache",
    "--profile",
    "--scale",
    "--no-deps",
    "--rows",
    "--runs",
    "--starts",
    "--most",
    "--quick",
    "--editor-seed",
    "--editor-examples",
}

each_page = pytest.mark.parametrize("page", PAGES, ids=str)


@each_page
def test_generated_parts_are_up_to_date(page: Page) -> None:
    assert pages.rendered(page.text) == page.text, "run make docs"


def test_every_generated_part_stands_on_a_page() -> None:
    text = "".join(page.text for page in PAGES)
    assert {name for _, name, _ in pages.PART.findall(text)} == pages.PARTS.keys()


@each_page
def test_links_lead_to_files_anchors_and_pictures_that_exist(page: Page) -> None:
    broken = []
    for link in page.links:
        if re.match(r"https?://|mailto:", link):
            continue
        target, _, anchor = link.partition("#")
        path = (page.path.parent / target) if target else page.path
        if not path.exists() or (anchor and anchor not in Page(path).anchors):
            broken.append(link)
    assert broken == []


def test_the_index_names_every_page_of_the_documentation() -> None:
    index = Page(DOCS / "README.md")
    linked = {(DOCS / link.partition("#")[0]).resolve() for link in index.links if ":" not in link}
    assert [
        str(path) for path in DOCS.rglob("*.md") if path.resolve() not in linked | {index.path.resolve()}
    ] == []


@each_page
def test_every_make_target_exists(page: Page) -> None:
    named = {target for code in page.code for target in re.findall(r"\bmake ([a-z][\w-]*)", code)}
    assert named - make_targets.found().keys() == set()


@each_page
def test_every_environment_variable_exists(page: Page) -> None:
    named = set()
    for code in page.code:
        named |= set(re.findall(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b", code))
        named |= set(re.findall(r"(?:^|\s)([A-Z][A-Z0-9_]*)=", code))
    assert named - _variables() == set()


def _variables() -> set[str]:
    compose = yaml.safe_load(Path("docker-compose.yml").read_text())
    studio = compose["services"]["label-studio"]["environment"]
    return {
        *(name.upper() for name in Settings.model_fields),
        *(name for names in NAMES.values() for name in names),
        *TRAINING_EVENTS,
        TASKS_CREATED,
        *studio,
        *OTHER_VARIABLES,
        *OF_MAKE,
    }


def test_every_setting_is_documented_once() -> None:
    rows = re.findall(r"^\| `([A-Z0-9_]+)` \|", Page(DOCS / "reference/settings.md").text, re.MULTILINE)
    assert sorted(rows) == sorted(name.upper() for name in Settings.model_fields)


def test_defaults_of_settings_are_those_of_an_empty_environment() -> None:
    text = Page(DOCS / "reference/settings.md").text
    listed = dict(re.findall(r"^\| `([A-Z0-9_]+)` \| [^|]+ \| `?([^`|]*)`? \|", text, re.MULTILINE))
    for name, value in Settings().model_dump(mode="json").items():
        shown = str(value).lower() if isinstance(value, bool) else str(value).removesuffix(".0")
        assert listed[name.upper()].strip() == ("unset" if value in (None, "", []) else shown), name


@each_page
def test_every_setting_in_the_labeling_config_exists(page: Page) -> None:
    named = {word for code in page.code for word in re.findall(rf"(?<![\w./]){PREFIX}[a-z_]+(?![\w.])", code)}
    known = {*(PREFIX + name for name in PairSettings.model_fields), *LABEL.attributes}
    assert named - known - OTHER_MODEL_WORDS == set()


@each_page
def test_every_route_exists(page: Page) -> None:
    routes = endpoints.app().url_map.bind("localhost")
    unknown = []
    for code in page.code:
        found = re.match(r"(?:(GET|POST|PATCH|PUT|DELETE) )?(/[\w/{}.-]*)(?:\?\S*)?$", code)
        if found is None or code.startswith(("/tmp", *OTHER_PATHS)) or found[2].startswith(OTHER_PATHS):
            continue
        path = found[2].replace("{id}", "47")
        try:
            routes.match(path, method=found[1] or "GET")
        except NotFound:
            unknown.append(code)
        except MethodNotAllowed:
            if found[1]:
                unknown.append(code)
    assert unknown == []


def test_every_route_is_documented() -> None:
    text = Page(DOCS / "reference/endpoints.md").text
    assert [path for method, path, _ in endpoints.rules() if f"`{method} {path}`" not in text] == []


@each_page
def test_every_command_and_option_exists(page: Page) -> None:
    parsers = subcommands()
    known = {
        name: {o for action in options(parsers[name]) for o in action.option_strings} for name in parsers
    }
    every = set().union(
        *known.values(), *(action.option_strings for action in options(server_command_line()))
    )
    wrong = []
    for code in page.code:
        command = re.search(r"(?:.*-m timeseries_segmenter |^)([a-z]+)(?= |$)(.*)", code.partition("  #")[0])
        of_ours = command and ("-m timeseries_segmenter " in code or (command[1] in known and " --" in code))
        if command and of_ours and command[1] not in known:
            wrong.append(code)
            continue
        allowed = known[command[1]] if command and of_ours else every | OTHER_OPTIONS
        given = re.findall(r"(?<![\w-])--[a-z][a-z-]*", command[2] if command and of_ours else code)
        wrong += [f"{code}: {option}" for option in given if option not in allowed]
    assert wrong == []


@each_page
def test_every_file_of_the_project_exists(page: Page) -> None:
    roots = [Path(), page.path.parent, Path("timeseries_segmenter"), Path("timeseries_segmenter/learning")]
    named = {
        span
        for span in page.spans
        if re.fullmatch(r"[\w.-]+(/[\w.-]+)+\.(py|md|yml|txt|xml|json|conf)", span)
    }
    assert [name for name in sorted(named) if not any((root / name).exists() for root in roots)] == []


def _config(series: str = "", labels: str = "") -> str:
    return (
        f'<View><TimeSeriesLabels name="l" toName="t" {labels}><Label value="Run"/></TimeSeriesLabels>'
        f'<TimeSeries name="t" valueType="url" value="$x" {series}><Channel column="value"/></TimeSeries>'
        "</View>"
    )


REPEATED = (
    '<View><Repeater on="$x"><TimeSeriesLabels name="l" toName="t"/><TimeSeries name="t"/></Repeater></View>'
)
FAULTS = {
    "number": (_config(), b"value\n1\nx\n"),
    "column": (_config(), b"speed\n1\n2\n"),
    "time": (_config('timeColumn="t" timeFormat="%Y-%m-%d"'), b"t,value\nnoon,1\n"),
    "order": (_config('timeColumn="t"'), b"t,value\n2,1\n1,1\n"),
    "empty": (_config(), b"value,speed\n,1\n,2\n"),
    "quotation mark": (_config(), b'note,speed,value\nok,1,2\n",3,4\n'),
    "gzip": (_config(), gzip.compress(b"value\n1\n")),
    "workbook": (_config(), b"PK\x03\x04" + b"[Content_Types].xml xl/workbook.xml" + bytes(40)),
    "UTF-16": (_config(), "value\n1\n".encode("utf-16")),
    "setting": (_config(labels='model_score_threshold="x"'), b""),
    "Repeater": (REPEATED, b""),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_wrong_with_a_config_or_a_series_is_on_the_troubleshooting_page(fault: str) -> None:
    config, content = FAULTS[fault]
    with pytest.raises((LabelConfigError, SeriesError)) as raised:
        read_series(content, parse_label_config(config).pairs[0], 7)
    quoted = re.findall(r"^\| (.+?) \| ", Page(DOCS / "how-to/when-something-is-wrong.md").text, re.MULTILINE)
    sentences = [span for cell in quoted for span in re.findall(r"`([^`]+)`", cell) if " " in span]
    patterns = [re.escape(sentence.strip("… ")).replace("…", ".+") for sentence in sentences]
    assert [pattern for pattern in patterns if re.search(pattern, str(raised.value))] != [], raised.value


@each_page
def test_json_and_yaml_on_the_pages_can_be_read(page: Page) -> None:
    for block in page.blocks("json"):
        json.loads(block)
    compose = yaml.safe_load(Path("docker-compose.yml").read_text())
    for block in page.blocks("yaml"):
        assert yaml.safe_load(block)["services"].keys() <= compose["services"].keys()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that the command line trained on two tasks."""
    path = tmp_path_factory.mktemp("docs") / "m.pt"
    inputs = ["--config", str(EXAMPLE / "config.xml"), "--tasks", str(EXAMPLE / "tasks.json")]
    with pytest.MonkeyPatch.context() as environment:
        for name, value in {"TRAIN_EPOCHS": "2", "HIDDEN_SIZE": "4"}.items():
            environment.setenv(name, value)
        assert main(["train", *inputs, "--task-ids", "1,2", "--model", str(path)]) == 0
    return path


def test_the_figures_of_evaluate_are_documented(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inputs = ["--config", str(EXAMPLE / "config.xml"), "--tasks", str(EXAMPLE / "tasks.json")]
    assert main(["evaluate", *inputs, "--task-ids", "3", "--model", str(model), "--json"]) == 0
    (metrics,) = json.loads(capsys.readouterr().out).values()
    listed = _section("reference/file-formats.md", "Files of the command line").partition("**Metrics**")[2]
    assert [name for name in metrics if f"`{name}`" not in listed] == []


def test_the_files_of_model_dir_are_documented(settings: Settings, run_walk: Segmenter) -> None:
    store, queue, folder = ModelStore(settings), JobQueue(settings.model_dir), settings.model_dir
    version = store.save(47, of_one_pair(run_walk))
    store.keep_report(47, version, "<!doctype html>")
    with queue.only_one(47), queue.change(47) as trainings:
        trainings.enqueue("START_TRAINING")
    LateEvents(queue.folder).keep(47, "START_TRAINING")
    DownloadCache(settings.series_cache_dir, 1000).put("http://host/x.csv", b"1", {"ETag": "x"})
    (pair,) = parse_label_config(
        '<View><TimeSeriesLabels name="label" toName="ts"><Label value="Run"/></TimeSeriesLabels>'
        '<TimeSeries name="ts" value="$ts" timeColumn="t"><Channel column="v"/></TimeSeries></View>'
    ).pairs
    series = read_series({"t": [0, 1], "v": [1, 2]}, pair, 1)
    SeriesCache(settings.series_cache_dir, 1000).put("x", pair, series)
    with open_task_store(KnownTasks(settings, LabelStudioClient(settings)).path(47)):
        pass
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}

    version_name = re.sub(r"\?P<\w+>", "", VERSION.pattern)
    names = {"id": r"\d+", "version": version_name, "hash": "[0-9a-f]{64}", "event": "[0-9a-f]{32}"}
    names["host"] = "[0-9a-f]{12}"
    listed = re.findall(
        r"^\| `([\w./{}]+)` \|", _section("reference/file-formats.md", "MODEL_DIR"), re.MULTILINE
    )
    unseen = {"training/worker.lock"}  # of the process that trains
    patterns = {
        name: re.sub(r"{(\w+)}", lambda match: names[match[1]], name.replace(".", r"\.")) for name in listed
    }
    for path in found:
        assert any(re.fullmatch(pattern, path) for pattern in patterns.values()), path
    for name, pattern in patterns.items():
        assert name in unseen or any(re.fullmatch(pattern, path) for path in found), name


def _section(page: str, title: str) -> str:
    text = Page(DOCS / page).text
    found: Any = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    return str(found[1])
