"""Whenever it ends, nothing remains: no process, no socket, no temporary file."""

import os
import resource
import signal
import subprocess
import time
from pathlib import Path

import pytest

from conftest import Checkout
from processes import descendants, gone, named, parts, state, wait_until


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
    wait_until(lambda: all(gone(child) for child in children), 5)
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
    wait_until(lambda: named(process.pid, "sleep"), 30)
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


def is_pending(pid: int, number: signal.Signals) -> bool:
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return bool((int(status["SigPnd"], 16) | int(status["ShdPnd"], 16)) >> (number - 1) & 1)


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_that_is_ignored_stays_so_while_programs_are_built(
    checkout: Checkout, number: signal.Signals
) -> None:
    trap = ["sh", "-c", f"trap '' {number.name[3:]}; exec \"$@\"", "sh"]
    process, _ = begin_slow_build(checkout, trap + checkout.command("run", "true"))
    process.send_signal(number)
    # Dropped, or taken; only then the other one, as of two that wait the lower number comes first.
    wait_until(lambda: not is_pending(process.pid, number))
    assert process.poll() is None
    other = signal.SIGINT if number == signal.SIGTERM else signal.SIGTERM
    process.send_signal(other)
    assert process.wait(timeout=30) == 128 + other


def begin_command(checkout: Checkout) -> "subprocess.Popen[bytes]":
    process = checkout.popen("echo ready; sleep 1000")
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    return process


def test_monitor_and_vm_die_with_the_client(checkout: Checkout) -> None:
    process = begin_command(checkout)
    run = parts(process.pid)
    process.kill()
    process.wait()
    wait_until(lambda: gone(run.monitor) and gone(run.qemu), 5)


@pytest.mark.parametrize("moment", ["boot", "session"])
def test_without_its_monitor_the_client_says_so_and_nothing_remains(checkout: Checkout, moment: str) -> None:
    assert checkout.run("true").returncode == 0
    root = checkout.source.parent
    kept = files_below(root)
    process = begin_command(checkout) if moment == "session" else checkout.popen("sleep 1000")
    run = parts(process.pid)
    os.kill(run.monitor, signal.SIGKILL)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 125
    assert stderr.decode().splitlines() == [
        "capsem: cannot go on with the VM: its monitor is gone: it ended with signal 9 (Killed); run capsem again"
    ]
    wait_until(lambda: gone(run.qemu), 5)
    assert files_below(root) == kept


def test_capsem_ends_when_qemu_dies(checkout: Checkout) -> None:
    process = begin_command(checkout)
    os.kill(parts(process.pid).qemu, signal.SIGKILL)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 125
    assert b"qemu-system" in stderr and b"signal 9" in stderr


def test_why_the_vsock_device_ended_is_what_the_user_is_told(checkout: Checkout) -> None:
    """The monitor maps the guest's memory once the guest's driver starts; here it may not."""
    assert checkout.run("true").returncode == 0
    process = checkout.popen("sleep 1000")
    run = parts(process.pid)
    os.kill(run.qemu, signal.SIGSTOP)
    wait_until(lambda: state(run.qemu) == "T")
    used = int(Path(f"/proc/{run.monitor}/statm").read_text().split()[0]) * resource.getpagesize()
    resource.prlimit(run.monitor, resource.RLIMIT_AS, (used + (64 << 20), resource.RLIM_INFINITY))
    os.kill(run.qemu, signal.SIGCONT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 125
    line = stderr.decode().splitlines()[-1]
    assert line.startswith("capsem: cannot ") and "memory" in line and "Cannot allocate memory" in line
    wait_until(lambda: gone(run.monitor) and gone(run.qemu), 5)
