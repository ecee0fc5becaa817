import platform
import subprocess
import sys

import pytest

from timeseries_segmenter.settings import Settings
from timeseries_segmenter.trainings import runner
from timeseries_segmenter.trainings.queue import JobQueue

FREE_MANY = """
from pathlib import Path
import numpy as np
from timeseries_segmenter.trainings.memory import give_back_memory

def megabytes():
    return int(Path("/proc/self/status").read_text().partition("RssAnon:")[2].split()[0]) // 1024

pieces = [np.ones(12_000) for _ in range(1000)]  # 96 kB each: glibc takes them from one heap
kept = pieces[::100]  # which these keep from shrinking
del pieces
before = megabytes()
give_back_memory()
print(before - megabytes())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_freed_memory_goes_back_to_the_system() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", FREE_MANY], capture_output=True, text=True, timeout=120, check=True
    )
    assert int(ended.stdout) > 50


def test_a_worker_gives_memory_back_after_each_look_at_a_project(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[int] = []
    monkeypatch.setattr(runner, "give_back_memory", lambda: given.append(1))
    assert runner.JobRunner(settings, JobQueue(settings.model_dir)).run(3)
    assert given == [1]
