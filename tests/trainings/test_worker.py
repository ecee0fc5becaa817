"""A training process and the service that started it, both real; the service is a pipe that is closed."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import children, kill, lives, wait_for

ROOT = Path(__file__).parents[2]
TRAINER = """
import re, signal, sys, time
from timeseries_segmenter.trainings.worker import end_with_service

{before}
end_with_service()
print("ready", flush=True)
{work}
"""
FOR_EVER = "while True: time.sleep(0.1)"
IGNORE = "signal.signal(signal.SIGTERM, lambda *_: print('asked', flush=True))"
# years, without letting another thread run
HOLD = 're.match(r"(a+)+$", "a" * 64 + "b")'


@pytest.fixture
def trainers() -> Iterator[list[subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for trainer in started:
        with trainer:  # which closes its pipes
            trainer.kill()


def start(trainers: list[subprocess.Popen[bytes]], work: str, before: str = "") -> subprocess.Popen[bytes]:
    code = TRAINER.format(before=before, work=work)
    trainer = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    trainers.append(trainer)
    assert trainer.stdout
    assert trainer.stdout.readline() == b"ready\n"
    return trainer


def test_a_process_is_asked_to_end_when_its_service_ended(trainers: list[subprocess.Popen[bytes]]) -> None:
    trainer = start(trainers, FOR_EVER)
    assert trainer.poll() is None
    assert trainer.stdin
    trainer.stdin.close()
    assert trainer.wait(180) == -signal.SIGTERM


@pytest.mark.parametrize("before", ["", IGNORE])
def test_a_process_that_computes_without_letting_a_thread_run_ends_too(
    trainers: list[subprocess.Popen[bytes]], before: str
) -> None:
    trainer = start(trainers, HOLD, before)
    assert trainer.stdin
    trainer.stdin.close()
    assert trainer.wait(180) in (-signal.SIGTERM, -signal.SIGKILL)


def test_a_process_that_was_asked_gets_time_to_put_its_job_back(
    trainers: list[subprocess.Popen[bytes]],
) -> None:
    trainer = start(trainers, FOR_EVER, IGNORE)
    assert trainer.stdin
    assert trainer.stdout
    trainer.stdin.close()
    assert trainer.stdout.readline() == b"asked\n"
    assert trainer.wait(180) == -signal.SIGKILL


def test_nothing_is_left_of_a_process_that_was_killed(trainers: list[subprocess.Popen[bytes]]) -> None:
    trainer = start(trainers, FOR_EVER)
    (guard,) = children(trainer.pid)
    kill(trainer.pid)
    wait_for(lambda: not lives(guard))
