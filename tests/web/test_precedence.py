import json
import threading
import time
from typing import Any

import pytest

from tests.support import recorded
from timeseries_segmenter.web.precedence import PATIENCE, Precedence, is_interactive

INTERACTIVE = recorded.body("interactive_json_inline")


def test_what_label_studio_sends_for_an_annotator_who_draws_is_known_by_its_bytes() -> None:
    assert is_interactive(json.dumps(INTERACTIVE).encode())
    assert is_interactive(json.dumps(INTERACTIVE, separators=(",", ":")).encode())


@pytest.mark.parametrize("name", recorded.PREDICTIONS)
def test_its_other_requests_for_predictions_are_not(name: str) -> None:
    assert not is_interactive(json.dumps(recorded.body(name)).encode())


@pytest.mark.parametrize(
    "task",
    [
        {"note": '"params": {"context": {"result": ['},
        {"params": {"context": {"result": []}}},
        {"context": {"result": []}},
    ],
)
def test_what_a_task_says_does_not_count(task: dict[str, Any]) -> None:
    body = recorded.body("predict_json_inline")
    body["tasks"][0]["data"] = task
    assert not is_interactive(json.dumps(body).encode())


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b'"params"', b'{"params": {"context": null}}'])
def test_any_bytes_are_taken(body: bytes) -> None:
    assert not is_interactive(body)


def test_a_batch_waits_for_as_long_as_somebody_goes_first_but_not_for_ever() -> None:
    precedence = Precedence()
    began = time.monotonic()
    precedence.give_way()
    assert time.monotonic() - began < PATIENCE / 2
    with precedence.taken():
        began = time.monotonic()
        precedence.give_way()
        assert time.monotonic() - began >= PATIENCE
    waited: list[float] = []

    def wait() -> None:
        began = time.monotonic()
        precedence.give_way()
        waited.append(time.monotonic() - began)

    batch = threading.Thread(target=wait)
    with precedence.taken(), precedence.taken():
        batch.start()
        time.sleep(PATIENCE / 10)
        assert not waited
    batch.join()
    assert waited[0] < PATIENCE
