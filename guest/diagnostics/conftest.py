"""What the diagnostics share. They run inside the guest: python3 -m pytest /capsem/diagnostics"""

import ctypes
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import Shell

# Names the descriptor that the doctor passes to hear of each test as it ends.
RESULTS = "CAPSEM_DOCTOR_RESULTS"
MAX_TEXT = 400

# Of the directories of tests.
NUMBERS = itertools.count(1)

# Where the processor is emulated, the translation of a program is found again only when it lies at
# the same addresses: with them fixed, the processes that tests start are there in a quarter of the
# time.
ADDR_NO_RANDOMIZE = 0x0040000  # personality(2)
ctypes.CDLL(None).personality(ADDR_NO_RANDOMIZE)


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A directory for the whole run, gone afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="capsem-diagnostics-"))
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def tmp_path(scratch: Path) -> Path:
    """In place of pytest's own, which looks for the next free name and at what earlier runs left."""
    directory = scratch / str(next(NUMBERS))
    directory.mkdir()
    return directory


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def why(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Why it failed or was skipped, in one line."""
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")[:MAX_TEXT]
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is None:
        return (str(report.longrepr).strip().splitlines() or [""])[-1][:MAX_TEXT]
    first = (crash.message.strip().splitlines() or [""])[0]
    return f"{Path(crash.path).name}:{crash.lineno}: {first}"[:MAX_TEXT]


class ResultWriter:
    """Writes one JSON object a line for each test: name, outcome, text, seconds."""

    def __init__(self, descriptor: int) -> None:
        # Whoever reads it waits for its end, which must not hang on a process that a test left.
        os.set_inheritable(descriptor, False)
        self._descriptor = descriptor
        self._outcome = "passed"
        self._text = ""
        self._seconds = 0.0

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._write(report.nodeid, "failed", why(report), 0.0)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "setup":
            self._outcome, self._text, self._seconds = "passed", "", 0.0
        self._seconds += report.duration
        if report.outcome != "passed" and self._outcome != "failed":
            self._outcome, self._text = report.outcome, why(report)
        if report.when == "teardown":
            self._write(report.nodeid, self._outcome, self._text, self._seconds)

    def _write(self, node: str, outcome: str, text: str, seconds: float) -> None:
        file, _, test = node.partition("::")
        name = Path(file).name + ("::" + test if test else "")
        line = json.dumps({"name": name, "outcome": outcome, "text": text, "seconds": round(seconds, 3)})
        data = (line + "\n").encode()
        while data:
            data = data[os.write(self._descriptor, data) :]


def pytest_configure(config: pytest.Config) -> None:
    # Taken out, so that no test's own child takes it for its own.
    descriptor = os.environ.pop(RESULTS, None)
    if descriptor is None:
        return
    try:
        config.pluginmanager.register(ResultWriter(int(descriptor)))
    except (ValueError, OSError) as error:
        raise pytest.UsageError(f"{RESULTS}={descriptor} is no descriptor to write to: {error}") from error
