"""The files that stand around the code for those who carry on: licence, hooks, changelog, CI."""

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import timeseries_segmenter

HOOKS: list[dict[str, Any]] = [
    hook
    for repo in yaml.safe_load(Path(".pre-commit-config.yaml").read_text())["repos"]
    for hook in repo["hooks"]
]
APACHE_2 = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"  # apache.org's own text


def test_the_licence_is_the_whole_apache_2_text() -> None:
    assert hashlib.sha256(Path("LICENSE").read_bytes()).hexdigest() == APACHE_2
    assert "[Apache-2.0](LICENSE)" in Path("README.md").read_text()


def test_hooks_come_from_this_repository_alone() -> None:
    repos = yaml.safe_load(Path(".pre-commit-config.yaml").read_text())["repos"]
    assert [repo["repo"] for repo in repos] == ["local"]
    assert len({hook["id"] for hook in HOOKS}) == len(HOOKS) > 2


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_a_hook_runs_a_tool_that_make_install_brings(hook: dict[str, Any]) -> None:
    assert hook["language"] == "system"
    tool, *arguments = hook["entry"].split()
    assert tool.startswith(".venv/bin/")
    assert Path(tool).exists()
    if "-m" in arguments:
        module = arguments[arguments.index("-m") + 1]
        assert Path(*module.split("."), "__main__.py").exists()
    name = Path(tool).name
    pinned = Path("requirements-test.txt").read_text()
    assert name == "python" or re.search(rf"^{name}==", pinned, re.MULTILINE)


def test_the_hooks_check_what_make_lint_checks() -> None:
    makefile = Path("Makefile").read_text()
    lint = makefile.partition("\nlint:")[2].partition("\n\n")[0]
    tools = re.findall(r"\$\(BIN\)/(\w+(?: (?:check|format))?)", lint)
    assert len(tools) == 3
    entries = [hook["entry"].removeprefix(".venv/bin/") for hook in HOOKS]
    assert [tool for tool in tools if not any(entry.startswith(tool) for entry in entries)] == []


def test_the_changelog_tells_of_the_version_that_the_package_has() -> None:
    changelog = Path("CHANGELOG.md").read_text()
    version = re.escape(timeseries_segmenter.__version__)
    assert re.search(rf"^## \[{version}\]|^The first release will be {version}\.", changelog, re.MULTILINE)
    assert "## [Unreleased]" in changelog


def test_ci_runs_the_targets_that_contributors_are_told_to_run() -> None:
    run = re.findall(r"^check ([a-z0-9]+)$", Path(".ci/run").read_text(), re.MULTILINE)
    told = re.findall(r"^\| `make ([a-z0-9]+)` \|", Path("CONTRIBUTING.md").read_text(), re.MULTILINE)
    assert set(run) == {"lint", "audit", "test", "e2e"}
    assert set(run) <= set(told)


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(timeseries_segmenter.__file__).parent / "py.typed").exists()
