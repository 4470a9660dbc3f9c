"""What changes a VM with a name is killed at each of its system calls that changes something: the VM is
whole and known, or not there, what was left is put away by the next command, and nothing goes on."""

import json
import os
import re
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from conftest import LIMIT_S, Capsem, Checkout, error_lines
from processes import gone, wait_until

# Calls that change what others see of a VM, where they name something in its directories.
CHANGES = re.compile(
    r"(mkdir|rename|unlink|rmdir|link|chmod|fchmod|bind|listen|write|ftruncate|f(data)?sync|flock)\w*\("
    r"|openat\(.*(O_CREAT|O_TMPFILE)|fcntl\(.*SETLK"
)
TRACE = ("-f", "-y", "-qq", "-s", "4096", "-o")
# And those by which one process has another do something, wherever.
BETWEEN = re.compile(r"(clone3?|vfork|sendmsg)\(")


@dataclass
class Vms:
    """A registry of its own."""

    capsem: Capsem
    top: Path
    prepared: Path = field(init=False)

    def __post_init__(self) -> None:
        self.prepared = self.top / "prepared"
        self.clear()
        self.environment = {
            **self.capsem.env(),
            "XDG_STATE_HOME": str(self.top / "state"), "XDG_RUNTIME_DIR": str(self.top / "runtime"),
        }  # fmt: skip

    def without_boots(self) -> None:
        """From now on QEMU ends at once, so that each start fails."""
        programs = self.top / "programs"
        programs.mkdir()
        (programs / "qemu-system-x86_64").write_text("#!/bin/sh\necho no luck >&2\nexit 1\n")
        (programs / "qemu-system-x86_64").chmod(0o755)
        self.environment["PATH"] = f"{programs}:{os.environ['PATH']}"

    def clear(self) -> None:
        for name in ("state", "runtime"):
            shutil.rmtree(self.top / name, ignore_errors=True)
            (self.top / name).mkdir(mode=0o700)

    def keep(self) -> None:
        """What restore() brings back from now on."""
        shutil.rmtree(self.prepared, ignore_errors=True)
        shutil.copytree(self.top / "state", self.prepared)

    def restore(self) -> None:
        self.clear()
        shutil.copytree(self.prepared, self.top / "state", dirs_exist_ok=True)

    def run(self, *command: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, env=self.environment, timeout=LIMIT_S
        )

    def call(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        return self.run(*self.capsem.command(*words))

    def listed(self) -> dict[str, dict[str, object]]:
        result = self.call("ps", "--all", "--json")
        assert result.returncode == 0, result.stderr
        return {vm["name"]: vm for vm in json.loads(result.stdout)}

    def record(self, name: str) -> Path:
        return self.top / "state/capsem/vms" / name / "vm.json"

    def processes(self) -> list[int]:
        mark = f"XDG_STATE_HOME={self.top}/state".encode()
        return [
            int(path.parent.name)
            for path in Path("/proc").glob("[0-9]*/environ")
            if mark in read(path) and not gone(int(path.parent.name))
        ]

    def left(self) -> list[str]:
        tops = (self.top / "state/capsem/vms", self.top / "runtime/capsem/vms")
        return [str(path) for top in tops for path in top.glob("*") if path.name != ".lock"]

    def moments(self, words: list[str]) -> list[tuple[bool, str, int]]:
        """Each call that changes something: whether children are followed, its name, and which of that name it is."""
        log = self.top / "strace.log"
        self.run("strace", *TRACE, str(log), *self.capsem.command(*words))
        return self.changes(log)

    def changes(self, log: Path) -> list[tuple[bool, str, int]]:
        counts: Counter[tuple[str, str]] = Counter()
        found = set()
        first = ""
        for line in log.read_text(errors="replace").splitlines():
            match = re.match(r"(\d+) +((\w+)\(.*)", line)
            if match is None:
                continue
            pid, text, name = match.groups()
            first = first or pid
            counts[(pid, name)] += 1
            inside = "/capsem/vms/" in text and CHANGES.match(text)
            if not inside and not BETWEEN.match(text):
                continue
            found.add((True, name, counts[(pid, name)]))
            if pid == first:
                found.add((False, name, counts[(pid, name)]))
        return sorted(found)


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@pytest.fixture
def vms(checkout: Checkout, tmp_path: Path) -> Iterator[Vms]:
    mine = Vms(checkout, tmp_path)
    yield mine
    for pid in mine.processes():
        os.kill(pid, signal.SIGKILL)


def check(vms: Vms, words: list[str], allowed: list[set[str]], refusal: str, least: int) -> None:
    """`allowed`: the VMs that may be there after it was killed; `refusal`: what the same may be told then."""
    killed = 0
    vms.restore()
    for follow, name, number in vms.moments(words):
        vms.restore()
        strace = ["strace", *(["-f"] if follow else []), "-qq", "-o", "/dev/null"]
        result = vms.run(*strace, "-e", f"inject={name}:signal=KILL:when={number}", *vms.capsem.command(*words))
        moment = f"killed at {name} number {number}, {'any process' if follow else 'the client'}"
        killed += result.returncode == -signal.SIGKILL or result.returncode == 128 + signal.SIGKILL
        wait_until(lambda: not vms.processes(), 10)
        found = vms.listed()
        assert set(found) in allowed, moment
        for vm in found.values():
            assert vm["state"] == "stopped" or vm["state"] == "failed" and vm["reason"], (moment, vm)
        again = vms.call(*words)
        if again.returncode != 0:
            assert re.search(refusal, error_lines(again)[-1]), (moment, again.stderr)
        assert all(line.startswith("capsem: ") for line in error_lines(again)), (moment, again.stderr)
        there = list(vms.listed())
        assert vms.call("rm", *there, "nobody").stderr.count(b"\n") == 1, moment
        assert vms.left() == [], moment
    assert killed >= least


def make_one(vms: Vms) -> None:
    vms.without_boots()
    result = vms.call("run", "--accel", "tcg", "--name", "one", "--detach")
    assert result.returncode == 125 and b"no luck" in result.stderr
    vms.keep()


def test_a_vm_that_is_made(vms: Vms) -> None:
    make_one(vms)
    vms.call("rm", "one")
    vms.keep()
    words = ["run", "--accel", "tcg", "--name", "one", "--detach"]
    check(vms, words, [set(), {"one"}], "no luck|there is one of that name already", 20)


def test_a_vm_that_is_started(vms: Vms) -> None:
    make_one(vms)
    check(vms, ["start", "one"], [{"one"}], "no luck", 20)


def test_a_vm_that_is_renamed(vms: Vms) -> None:
    make_one(vms)
    check(vms, ["rename", "one", "two"], [{"one"}, {"two"}], "there is none of that name", 2)


def test_a_vm_that_is_removed(vms: Vms) -> None:
    make_one(vms)
    check(vms, ["rm", "one"], [{"one"}, set()], "there is none of that name", 4)


def test_a_killed_monitor_that_is_cleaned_up_after(vms: Vms) -> None:
    make_one(vms)
    record = vms.record("one")
    record.write_text(json.dumps({**json.loads(record.read_text()), "state": "running"}))
    vms.keep()
    check(vms, ["ps", "--all"], [{"one"}], "", 4)


def monitor_of(vms: Vms) -> int:
    (pid,) = [each for each in vms.processes() if read(Path(f"/proc/{each}/cmdline")).endswith(b"monitor\0")]
    return pid


def stop_under_strace(vms: Vms, *options: str) -> subprocess.CompletedProcess[bytes]:
    pid = monitor_of(vms)
    tracer = subprocess.Popen(["strace", "-p", str(pid), *options], stderr=subprocess.DEVNULL)
    # Traced, or ended by the first thing it did then.
    wait_until(lambda: b"TracerPid:\t0" not in read(Path(f"/proc/{pid}/status")), 10)
    result = vms.call("stop", "--time", "1", "one")
    tracer.wait(timeout=LIMIT_S)
    return result


def test_a_monitor_that_is_stopping(vms: Vms) -> None:
    result = vms.call("run", "--accel", "tcg", "--name", "one", "--detach")
    assert result.returncode == 0, result.stderr
    log = vms.top / "monitor.log"
    assert stop_under_strace(vms, *TRACE, str(log)).returncode == 0
    moments = [(name, number) for follow, name, number in vms.changes(log) if follow]
    killed = 0
    for name, number in moments:
        assert vms.call("start", "one").returncode == 0
        stopped = stop_under_strace(vms, "-f", "-qq", "-o", "/dev/null", "-e", f"inject={name}:signal=KILL:when={number}")
        moment = f"killed at {name} number {number}"
        wait_until(lambda: not vms.processes(), 10)
        assert stopped.returncode == 0 or error_lines(stopped)[-1].startswith("capsem: cannot "), moment
        (vm,) = vms.listed().values()
        assert vm["state"] == "stopped", (moment, vm)
        killed += vm["reason"] == "its monitor was killed"
    assert killed > 2
    assert vms.call("rm", "one").returncode == 0
    assert vms.left() == []
