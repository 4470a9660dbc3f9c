"""Whenever it ends, nothing remains: no process, no socket, no temporary file."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from conftest import Checkout


def descendants(pid: int) -> set[int]:
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == pid:
            child = int(stat.parent.name)
            found |= {child} | descendants(child)
    return found


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def files_below(root: Path) -> set[Path]:
    return set(root.rglob("*"))


@pytest.mark.parametrize("delay_s", [0.02, 0.1, 0.3, 0.6, 1.0, 1.6, 2.5])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_remains_after_a_signal_at_any_moment(
    checkout: Checkout, delay_s: float, number: signal.Signals
) -> None:
    assert checkout.run("true").returncode == 0
    kept = files_below(checkout.source)
    # A change, so that the repack is among the moments.
    checkout.edit("guest.toml", lambda text: text + "\n# changed\n")
    (checkout.source / "guest/diagnostics/new.py").write_text(f"# {delay_s}\n" * 10000)
    process = checkout.popen("sleep 1000", start_new_session=True)
    children: set[int] = set()
    end = time.monotonic() + delay_s
    while time.monotonic() < end:
        children |= descendants(process.pid)
        time.sleep(0.005)
    children |= descendants(process.pid)
    process.send_signal(number)
    expected = {128 + number, -number}
    assert process.wait(timeout=30) in expected
    limit = time.monotonic() + 5
    while not all(gone(child) for child in children):
        assert time.monotonic() < limit, children
        time.sleep(0.02)
    assert files_below(checkout.source) - kept == {checkout.source / "guest/diagnostics/new.py"}
    # The cache may have grown by whole files, whose names are those of their content.
    assert not [p for p in files_below(Path(checkout.environment["XDG_CACHE_HOME"])) if ".tmp" in p.name]
    assert checkout.run("echo works").stdout == b"works\n"


ENDING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT]


def begin_slow_build(checkout: Checkout, command: list[str]) -> tuple["subprocess.Popen[bytes]", set[int]]:
    """A capsem whose build takes its time, and the processes of that build."""
    (checkout.build / "build.ninja").write_text("rule slow\n  command = sleep 1000\nbuild guest: slow\n")
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=checkout.env()
    )
    limit = time.monotonic() + 30
    while not {p for p in descendants(process.pid) if "sleep" in Path(f"/proc/{p}/comm").read_text()}:
        assert time.monotonic() < limit
        time.sleep(0.02)
    return process, descendants(process.pid)


@pytest.mark.parametrize("number", ENDING)
@pytest.mark.parametrize("words", [["run", "true"], ["initrd", "pack"]])
def test_an_interrupted_build_leaves_no_process(
    checkout: Checkout, words: list[str], number: signal.Signals
) -> None:
    process, children = begin_slow_build(checkout, checkout.command(*words))
    process.send_signal(number)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    line = f"capsem: cannot build the guest programs: it was interrupted by {number.name}"
    assert stderr.decode().splitlines()[-1] == line
    assert all(gone(child) for child in children)


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_that_is_ignored_stays_so_while_programs_are_built(
    checkout: Checkout, number: signal.Signals
) -> None:
    trap = ["sh", "-c", f"trap '' {number.name[3:]}; exec \"$@\"", "sh"]
    process, _ = begin_slow_build(checkout, trap + checkout.command("run", "true"))
    process.send_signal(number)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.5)
    other = signal.SIGINT if number == signal.SIGTERM else signal.SIGTERM
    process.send_signal(other)
    assert process.wait(timeout=30) == 128 + other


def test_the_vm_dies_with_capsem(checkout: Checkout) -> None:
    process = checkout.popen("echo ready; sleep 1000")
    assert process.stdout is not None
    process.stdout.readline()
    qemu = {p for p in descendants(process.pid) if "qemu" in Path(f"/proc/{p}/comm").read_text()}
    assert len(qemu) == 1
    process.kill()
    process.wait()
    limit = time.monotonic() + 5
    while not all(gone(pid) for pid in qemu):
        assert time.monotonic() < limit
        time.sleep(0.02)


def test_capsem_ends_when_qemu_dies(checkout: Checkout) -> None:
    process = checkout.popen("echo ready; sleep 1000")
    assert process.stdout is not None
    process.stdout.readline()
    for pid in descendants(process.pid):
        if "qemu" in Path(f"/proc/{pid}/comm").read_text():
            os.kill(pid, signal.SIGKILL)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 125
    assert b"qemu-system" in stderr and b"signal 9" in stderr
