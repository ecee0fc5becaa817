"""The commands as a shell starts them."""

import subprocess
import sys

import pytest

from timeseries_segmenter.cli import command_line

SLOW = ("torch", "numpy", "pandas", "sklearn", "pydantic", "flask")


def run_python(code: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)


def test_help_does_not_wait_for_what_only_commands_need() -> None:
    ended = run_python(
        "import sys\n"
        "from timeseries_segmenter.cli import command_line\n"
        "assert 'Fit a model' in command_line().format_help()\n"
        f"print(*(name for name in {SLOW} if name in sys.modules))"
    )
    assert (ended.returncode, ended.stdout.strip()) == (0, ""), ended.stderr


@pytest.mark.parametrize(
    "command", ["train", "predict", "evaluate", "versions", "rollback", "worker", "report", "export"]
)
def test_each_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command_line().parse_args([command, "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: timeseries-segmenter {command}")


def test_usage_names_the_program_as_it_was_started() -> None:
    started = subprocess.run(
        [sys.executable, "-m", "timeseries_segmenter", "--help"], capture_output=True, text=True, timeout=60
    )
    assert started.stdout.startswith("usage: python -m timeseries_segmenter [-h] command")
