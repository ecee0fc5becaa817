"""The whole loop with a real Label Studio. What it stored is what counts, never what it answered."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.e2e.loop import TRAINING_SECONDS, Connect
from tests.support.e2e.variants import NUMERIC, VARIANTS, Variant
from tools.studio.label_studio import LabelStudio
from tools.studio.processes import ROOT
from tools.studio.sample import example_names
from tools.studio.service import Service

pytestmark = pytest.mark.e2e

WEBHOOK_LIMIT_SECONDS = 1.0


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_annotations_become_stored_predictions(variant: Variant, service: Service, connect: Connect) -> None:
    loop = connect(variant, service)

    untrained = loop.version
    backend = loop.project.backend(loop.backend)
    assert (backend["state"], backend["model_version"]) == ("CO", untrained)
    assert [hook.url for hook in loop.project.webhooks()] == [f"{service.url}/webhook"]

    loop.project.retrieve_predictions(loop.others)
    assert [loop.stored(task, untrained)["result"] for task in loop.others] == [[], []]

    assert max(loop.annotate()) < WEBHOOK_LIMIT_SECONDS
    version = loop.wait_trained()["version"]
    assert version == loop.version != untrained
    assert version in service.versions()
    assert loop.project.backend(loop.backend)["model_version"] == version

    loop.project.retrieve_predictions(loop.others)
    loop.assert_predicted(version)


def test_every_training_gets_a_version_and_predictions_of_its_own(service: Service, connect: Connect) -> None:
    loop = connect(NUMERIC, service)
    first = loop.learn()
    loop.project.retrieve_predictions(loop.others)
    task = loop.others[0]

    loop.project.annotate(task, loop.variant.regions(loop.tasks[task]))
    second = str(loop.wait_trained()["version"])
    loop.project.retrieve_predictions(loop.others)

    assert first != second
    loop.assert_predicted(first)
    loop.assert_predicted(second)


def test_two_projects_never_see_each_other_s_labels(service: Service, connect: Connect) -> None:
    renamed = replace(NUMERIC, name="other labels", labels=("Racket", "Fast feet", "Slow feet"))
    one, two = connect(NUMERIC, service), connect(renamed, service)

    version_one = one.learn()
    two.project.retrieve_predictions(two.others)
    assert [two.stored(task, two.version)["result"] for task in two.others] == [[], []]

    version_two = two.learn()
    assert version_one != version_two
    assert one.version == version_one
    for loop, version in ((one, version_one), (two, version_two)):
        loop.project.retrieve_predictions(loop.others)
        loop.assert_predicted(version)


def test_a_killed_service_serves_the_same_version_after_its_restart(
    own_service: Callable[..., Service], connect: Connect
) -> None:
    service = own_service()
    loop = connect(NUMERIC, service)
    version = loop.learn()

    service.kill()
    loop.project.retrieve_predictions(loop.others)
    assert [loop.project.predictions(task) for task in loop.others] == [[], []]

    service.start()
    assert loop.version == version
    assert version in service.versions()
    loop.project.retrieve_predictions(loop.others)
    loop.assert_predicted(version)
    assert loop.version == version


def test_a_training_cut_short_by_a_kill_is_taken_up_after_the_restart(
    own_service: Callable[..., Service], connect: Connect
) -> None:
    service = own_service()
    loop = connect(NUMERIC, service)
    untrained = loop.version
    loop.annotate()

    service.kill()
    service.start()

    deadline = time.monotonic() + TRAINING_SECONDS
    while loop.version == untrained and time.monotonic() < deadline:
        time.sleep(0.5)
    assert loop.version != untrained
    loop.project.retrieve_predictions(loop.others)
    loop.assert_predicted(loop.version)


@pytest.mark.filterwarnings("ignore:The `parse_obj` method is deprecated")  # the SDK's own
def test_a_personal_access_token_does_what_the_legacy_token_does(
    studio: LabelStudio, own_service: Callable[..., Service], connect: Connect
) -> None:
    token = studio.personal_access_token()
    studio.allow_tokens(legacy=False, personal=True)
    try:
        loop = connect(NUMERIC, own_service(token), token)
        version = loop.learn()
        loop.project.retrieve_predictions(loop.others)
        loop.assert_predicted(version)
    finally:
        studio.allow_tokens(legacy=True, personal=True)


@pytest.mark.parametrize("example", example_names())
def test_the_demo_exits_by_itself_with_the_table(example: str, tmp_path: Path) -> None:
    demo = subprocess.run(
        [sys.executable, "-m", "demo", "--example", example, "--once", "--folder", str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "Predicted segments" in demo.stdout
    assert "Model version" in demo.stdout
