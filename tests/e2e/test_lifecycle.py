"""The machine's end as root of a session asks for it, and what `capsem run` makes of it."""

import signal
import time

import pytest

from conftest import Capsem, error_lines, the_error
from processes import gone, named

SWITCHED_OFF = "the guest was switched off before the command ended"
REBOOTED = "the guest was rebooted"


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("poweroff", SWITCHED_OFF),
        ("halt", SWITCHED_OFF),
        ("shutdown -h now", SWITCHED_OFF),
        ("shutdown -H now", SWITCHED_OFF),
        ("capsem-sysutil poweroff", SWITCHED_OFF),
        ("poweroff -f", SWITCHED_OFF),
        ("reboot", REBOOTED),
        ("reboot --force", REBOOTED),
        ("shutdown -r now", REBOOTED),
    ],
)
def test_a_command_does_not_outlive_the_end_that_it_asks_for(
    capsem: Capsem, command: str, told: str
) -> None:
    result = capsem.run(f"{command}; echo too far")
    assert (result.returncode, result.stdout) == (125, b""), result.stderr
    assert told in the_error(result)


def test_a_shutdown_waits_for_its_time_and_is_cancelled(capsem: Capsem) -> None:
    result = capsem.run(
        "set -e; shutdown -r +1 tea is ready; shutdown --show; shutdown -c; shutdown --show; "
        "sleep 1; echo goes on"
    )
    assert (result.returncode, result.stdout) == (0, b"goes on\n"), result.stderr
    lines = error_lines(result)
    # What all are told comes by another way than what the commands say, sooner or later than that.
    told = [line for line in lines if line.startswith("capsem: warning: ")]
    assert told == [
        "capsem: warning: the guest is rebooted in 60 s: tea is ready",
        "capsem: warning: the guest goes on: its shutdown was cancelled",
    ]
    pending = "capsem: the guest is rebooted in 60 s"
    assert [line for line in lines if line not in told] == [
        pending, pending, "capsem: the shutdown is cancelled", "capsem: no shutdown is pending",
    ]


def test_a_shutdown_comes_at_its_time(capsem: Capsem) -> None:
    begin = time.monotonic()
    result = capsem.run("shutdown +1; sleep 1000")
    assert result.returncode == 125
    assert time.monotonic() - begin >= 60
    assert SWITCHED_OFF in error_lines(result)[-1]


@pytest.mark.parametrize(
    ("command", "status", "told"),
    [
        ("capsem-sysutil suspend", 1, "this host cannot suspend a VM yet"),
        ("/capsem/bin/suspend", 1, "this host cannot suspend a VM yet"),
        ("shutdown -k now", 1, "-k"),
        ("reboot --firmware-setup", 1, "no firmware"),
        ("shutdown yesterday", 2, "yesterday"),
        ("poweroff --frob", 2, "--frob"),
    ],
)
def test_what_is_refused_ends_nothing_and_says_why(
    capsem: Capsem, command: str, status: int, told: str
) -> None:
    result = capsem.run(f"{command}; echo $?")
    assert (result.returncode, result.stdout) == (0, b"%d\n" % status)
    assert told in the_error(result)


def test_help_ends_nothing(capsem: Capsem) -> None:
    result = capsem.run("for name in poweroff halt reboot shutdown suspend; do /capsem/bin/$name --help; done")
    assert (result.returncode, result.stderr) == (0, b"")
    assert [line.split()[1] for line in result.stdout.decode().splitlines() if line.startswith("usage:")] == [
        "poweroff", "halt", "reboot", "shutdown", "suspend",
    ]


def test_only_root_of_the_machine_may(capsem: Capsem) -> None:
    # The port of the host refuses what comes from a port that is not root's, whoever connects.
    connect = (
        "python3 -c 'import socket; s = socket.socket(socket.AF_VSOCK); s.connect((2, 5004))' 2>/dev/null; echo $?"
    )
    result = capsem.run(f"{connect}; su -s /bin/sh nobody -c 'poweroff; echo $?; unshare -r poweroff; echo $?'")
    assert (result.returncode, result.stdout.split()) == (0, [b"1", b"1", b"1"])
    assert error_lines(result) == ["capsem: cannot switch off the VM: only root may; run it as root"] * 2


GRACE_S = 5


def seconds_to_the_end(capsem: Capsem, before: str) -> float:
    process = capsem.popen(f"{before} echo up; exec capsem-sysutil --grace {GRACE_S} poweroff")
    assert process.stdout is not None and process.stdout.readline() == b"up\n"
    begin = time.monotonic()
    assert process.wait(timeout=60) == 125
    process.communicate()
    return time.monotonic() - begin


def test_what_ignores_the_request_to_end_is_killed_after_the_grace(capsem: Capsem) -> None:
    assert seconds_to_the_end(capsem, "sleep 1000 &") < GRACE_S
    stubborn = "bash -c 'trap \"\" TERM; while :; do sleep 0.1; done' &"
    assert GRACE_S <= seconds_to_the_end(capsem, f"{stubborn} sleep 1;") < 3 * GRACE_S


def test_the_wait_for_a_guest_that_ends_can_be_cut_short(capsem: Capsem) -> None:
    stubborn = "bash -c 'trap \"\" TERM; while :; do sleep 0.1; done' & sleep 1;"
    process = capsem.popen(f"{stubborn} echo up; exec capsem-sysutil --grace 100 poweroff")
    assert process.stdout is not None and process.stdout.readline() == b"up\n"
    (qemu,) = named(process.pid, "qemu-system")
    time.sleep(2)  # the session is over by then
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 128 + signal.SIGTERM
    process.communicate()
    assert gone(qemu)
