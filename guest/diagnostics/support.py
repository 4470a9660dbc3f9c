"""What the diagnostics are written with: a shell, a terminal, waiting, and skipping."""

import fcntl
import functools
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

# Far above what anything here takes in an emulated guest; what reaches it hangs.
LIMIT_S = 60
# The same for a terminal on which nothing happens.
QUIET_S = 20


def needs(program: str) -> None:
    """Skips the test when the rootfs does not have `program`, which is not promised to be there."""
    if shutil.which(program) is None:
        pytest.skip(f"there is no {program}: its package is not in guest/config/packages.list")


def wait_until(holds: Callable[[], object], what: str) -> None:
    """Returns as soon as `holds()` is true."""
    deadline = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < deadline, f"waited {LIMIT_S} s in vain until {what}"
        time.sleep(0.02)


class Shell:
    """Runs command lines in bash, in a directory of their own."""

    def __init__(self, directory: Path, environment: Mapping[str, str] | None = None) -> None:
        self.directory = directory
        # What programs keep of themselves is the test's, not that of who runs it.
        home = {"HOME": str(directory / "home")}
        self._environment = {**os.environ, **home, **(environment or {})}

    def __call__(self, line: str, *, status: int = 0, stdin: str = "", **environment: str) -> str:
        """Returns what `line` prints; it has to end with `status`."""
        ended = subprocess.run(
            ["bash", "-c", line],
            cwd=self.directory,
            env={**self._environment, **environment},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )
        said = (ended.stderr.strip() or ended.stdout.strip()).splitlines()[-1:]
        assert ended.returncode == status, f"'{line}' ended with {ended.returncode}: {''.join(said)}"
        return ended.stdout


class Terminal:
    """A program on a pseudo-terminal of its own, used as a person would: type, look, go on."""

    def __init__(
        self, argv: Sequence[str], directory: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self._master, slave = pty.openpty()
        self._unread = b""
        self.resize(24, 80)
        self._process = subprocess.Popen(
            argv,
            cwd=directory,
            env={
                **os.environ, "TERM": "xterm-256color", "HOME": str(directory / "home"), **(environment or {})
            },
            preexec_fn=functools.partial(os.login_tty, slave),
        )
        os.close(slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(LIMIT_S)
        os.close(self._master)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def _read(self) -> bytes:
        ready, _, _ = select.select([self._master], [], [], QUIET_S)
        assert ready, f"nothing came from the terminal for {QUIET_S} s: {self._unread[-200:]!r}"
        try:
            return os.read(self._master, 65536)
        except OSError:  # the last program that had it open has ended
            return b""

    def wait_for(self, text: str) -> str:
        """Returns what was shown since the last call, up to and with `text`."""
        wanted = text.encode()
        while wanted not in self._unread:
            more = self._read()
            assert more, f"the terminal closed before it showed '{text}': {self._unread[-200:]!r}"
            self._unread += more
        end = self._unread.index(wanted) + len(wanted)
        shown, self._unread = self._unread[:end], self._unread[end:]
        return shown.decode(errors="replace")

    def end(self) -> int:
        """Waits for the program's end; returns its exit status."""
        while more := self._read():
            self._unread += more
        return self._process.wait(LIMIT_S)
