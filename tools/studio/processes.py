"""Child processes that end with their parent, and signals that end the parent in good order."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

import requests

ROOT = Path(__file__).resolve().parents[2]
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class DemoError(Exception):
    """The demo can't go on; the message says why and what to do."""


class Interrupted(BaseException):
    """Somebody asked this program to end (Ctrl-C, SIGTERM, or its terminal went away)."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Raises `Interrupted` on the first stop signal; later ones wait until everything is ended."""

    def stop(number: int, _frame: FrameType | None) -> None:
        _ignore_signals()
        raise Interrupted(signal.Signals(number).name)

    before = {each: signal.signal(each, stop) for each in STOP_SIGNALS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextmanager
def ended_afterwards() -> Iterator[ExitStack]:
    """Runs the stack's callbacks at the end of the block, out of reach of another Ctrl-C."""
    with ExitStack() as stack:
        try:
            yield stack
        finally:
            _ignore_signals()


@contextmanager
def signals_held() -> Iterator[None]:
    """Delivers stop signals only after the block, so that no child starts without being known."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ignore_signals() -> None:
    for each in STOP_SIGNALS:
        signal.signal(each, signal.SIG_IGN)


def _default_signals() -> None:
    for each in STOP_SIGNALS:
        signal.signal(each, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


def free_port(preferred: int | None = None) -> int:
    """Returns `preferred` if nothing listens on it, else a port the system chooses."""
    for port in (preferred, 0):
        if port is None:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                probe.listen()
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise DemoError("no free port on 127.0.0.1")


class Child:
    """One program in a process group of its own, with its output in a log file."""

    def __init__(self, name: str, log: Path) -> None:
        self.name = name
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, command: list[str], env: Mapping[str, str], cwd: Path = ROOT) -> None:
        if self.running:
            raise DemoError(f"{self.name} is already running")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log, signals_held():
            self._process = subprocess.Popen(
                command,
                cwd=cwd,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_default_signals,
            )

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise DemoError(f"{self.name} was never started")
        return self._process.pid

    def wait_ready(self, url: str, seconds: float) -> None:
        """Waits until `url` answers 200.

        Raises `DemoError` with the end of the log if the program ends first or `seconds` pass.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not self.running:
                raise DemoError(f"{self.name} ended while starting{self.log_end()}")
            try:
                if requests.get(url, timeout=2).status_code == 200:
                    return
            except requests.RequestException:
                pass
            time.sleep(0.2)
        raise DemoError(f"{self.name} did not answer {url} within {seconds:.0f} s{self.log_end()}")

    def log_end(self, lines: int = 15) -> str:
        """The last lines of the log, as they follow an error message."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        end = "\n".join(text.splitlines()[-lines:])
        return f"; the end of {self.log}:\n{end}"

    def stop(self, seconds: float = 10) -> None:
        """Ends the whole process group: asks, waits, and kills what is left."""
        if self._process is None:
            return
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait()
        deadline = time.monotonic() + 3
        while self._group_alive() and time.monotonic() < deadline:
            time.sleep(0.05)
        self._signal(signal.SIGKILL)
        self._process = None

    def kill(self) -> None:
        """Kills the whole process group without a warning, as a power cut would."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _signal(self, number: int) -> None:
        if self._process is not None and self._group_alive():
            os.killpg(self._process.pid, number)

    def _group_alive(self) -> bool:
        assert self._process is not None
        try:
            os.killpg(self._process.pid, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True
