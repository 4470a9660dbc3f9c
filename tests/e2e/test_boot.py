"""The boot itself: where entries come from, and what is said when it does not succeed."""

import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from conftest import Capsem, Checkout, error_lines, the_error


def without_initrd(text: str, name: str) -> str:
    """guest.toml with the entry `name` in the rootfs only."""
    head, tail = text.split(f'name = "{name}"')
    return head + f'name = "{name}"' + tail.replace('into = ["initrd", "rootfs"]', 'into = ["rootfs"]', 1)


def test_the_initrds_copy_wins(checkout: Checkout) -> None:
    # A program that says something new, without any rebuild of the rootfs.
    program = checkout.build / "guest/snapshots"
    program.unlink()
    program.write_text("#!/bin/sh\necho from the initrd\n")
    assert checkout.run("snapshots").stdout == b"from the initrd\n"


def test_the_rootfs_copy_is_the_fallback_at_the_same_path_and_as_read_only(checkout: Checkout) -> None:
    checkout.edit("guest.toml", lambda text: without_initrd(text, "capsem-doctor"))
    listed = checkout.call("initrd", "pack")
    assert listed.returncode == 0, listed.stderr
    names = checkout.call("initrd", "list", str(checkout.assets / "initrd.img")).stdout
    assert b"capsem-doctor" not in names
    result = checkout.run("stat -c %a /capsem/bin/capsem-doctor; chmod 777 /capsem/bin/capsem-doctor; capsem-doctor --only binaries")
    assert result.stdout.startswith(b"555\n")
    assert b"Read-only file system" in result.stderr
    assert result.returncode == 0


def test_a_missing_entry_that_is_not_essential_is_one_line_and_the_boot_goes_on(checkout: Checkout) -> None:
    checkout.edit(
        "guest.toml",
        lambda text: text
        + '\n[[entry]]\nname = "extra"\nfile = "guest/extra"\npath = "/capsem/extra"\nmode = "0444"\n'
        + 'into = ["rootfs"]\n',
    )
    (checkout.source / "guest/extra").write_text("x")
    result = checkout.run("echo up")
    assert result.stdout == b"up\n"
    lines = [line for line in error_lines(result) if "extra is not in the rootfs" in line]
    assert len(lines) == 1


def test_a_failing_boot_step_is_one_line_with_its_cause(checkout: Checkout) -> None:
    # A rootfs that is no squashfs, with a hash that says it is whole.
    import hashlib
    import json

    index = checkout.own(checkout.assets / "assets.json")
    rootfs = checkout.own(checkout.assets / "rootfs.squashfs")
    rootfs.write_bytes(bytes(1 << 20))
    content = json.loads(index.read_text())
    for asset in content["files"]:
        if asset["name"] == "rootfs.squashfs":
            asset["sha256"] = hashlib.sha256(bytes(1 << 20)).hexdigest()
            for key in asset:
                if "size" in key or "bytes" in key:
                    asset[key] = 1 << 20
    index.write_text(json.dumps(content))
    result = checkout.run("true")
    assert result.returncode == 125
    line = the_error(result)
    assert "boot step 'rootfs'" in line and "squashfs" in line


def test_the_watchdog_says_where_the_boot_stood(checkout: Checkout) -> None:
    result = checkout.run("--boot-limit", "1", "true")
    assert result.returncode == 125
    assert re.search(r"did not report within 1 s; it stood .*(kernel|step)", error_lines(result)[-1])
    assert error_lines(result)[0].startswith("capsem: the guest's console")


def test_a_kernel_panic_is_named(checkout: Checkout) -> None:
    init = checkout.build / "guest/capsem-init"
    init.unlink()
    source = checkout.build / "crash.cc"
    source.write_text("int main() { __builtin_trap(); }\n")
    subprocess.run(["g++", "-static", "-o", init, source], check=True)
    result = checkout.run("true")
    assert result.returncode == 125
    assert "its kernel panicked: Attempted to kill init!" in the_error(result)


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("capsem-sysutil reboot", "the guest was rebooted"),
        ("capsem-sysutil poweroff", "the guest was switched off"),
        ("reboot", "the guest was rebooted"),
        ("shutdown -r now", "the guest was rebooted"),
        ("poweroff", "the guest was switched off"),
        ("shutdown -h now", "the guest was switched off"),
        ("halt", "the guest was switched off"),
    ],
)
def test_the_guest_may_end_the_machine(capsem: Capsem, command: str, told: str) -> None:
    result = capsem.run(f"{command}; sleep 100")
    assert result.returncode == 125
    assert told in the_error(result)


def test_what_is_written_to_the_console_after_the_boot_is_no_reason_of_ours(capsem: Capsem) -> None:
    result = capsem.run(
        "--privileged", "echo 'capsem-init: failed: FORGED' >/dev/console; capsem-sysutil poweroff; sleep 100"
    )
    assert result.returncode == 125
    assert "switched off" in error_lines(result)[-1]


def test_a_service_that_dies_is_started_again(capsem: Capsem) -> None:
    result = capsem.run(
        "--privileged",
        "old=$(pgrep -x capsem-net-prox); kill -9 $old; "
        "for i in $(seq 100); do new=$(pgrep -x capsem-net-prox) && break; sleep 0.1; done; "
        '[ -n "$new" ] && [ "$new" != "$old" ] && echo restarted'
    )
    assert result.stdout == b"restarted\n", result.stderr
    assert b"capsem-net-proxy: ended with signal 9 (Killed), starting it again" in result.stderr


def test_the_agent_is_reachable_again_after_its_death(capsem: Capsem) -> None:
    # The session's own process goes on; the port stays open in PID 1 meanwhile.
    result = capsem.run(
        "--privileged",
        "old=$(pgrep -o -x capsem-pty-agen); kill -9 $old; "
        "for i in $(seq 100); do new=$(pgrep -o -x capsem-pty-agen) && break; sleep 0.1; done; "
        '[ -n "$new" ] && [ "$new" != "$old" ] && echo restarted',
    )
    assert result.stdout == b"restarted\n", result.stderr


def test_an_agent_that_always_ends_is_named_with_its_reason(checkout: Checkout) -> None:
    agent = checkout.build / "guest/capsem-pty-agent"
    agent.unlink()
    agent.write_text("#!/bin/sh\nexit 3\n")
    result = checkout.run("true")
    assert result.returncode == 125
    last = error_lines(result)[-1]
    assert last.startswith("capsem: cannot start the command: the guest did not within 30 s (")
    assert "capsem-pty-agent: ended with exit status 3, starting it again in " in last


def test_two_runs_at_once_boot_what_each_of_them_packed(checkout: Checkout) -> None:
    marker = checkout.source / "guest/diagnostics/marker.txt"
    image = checkout.assets / "initrd.img"
    marker.write_text("first\n")
    with ThreadPoolExecutor() as pool:
        first = pool.submit(checkout.run, "cat /capsem/diagnostics/marker.txt")
        limit = time.monotonic() + 60
        while not image.exists():
            assert time.monotonic() < limit
            time.sleep(0.01)
        # The first has packed and is about to boot; the second replaces the image under it.
        marker.write_text("second\n")
        second = checkout.run("cat /capsem/diagnostics/marker.txt")
    assert first.result().stdout == b"first\n"
    assert second.stdout == b"second\n"


@pytest.mark.parametrize("accel", ["auto", "kvm", "tcg"])
def test_each_accelerator_runs_or_says_at_once_why_not(capsem: Capsem, accel: str) -> None:
    result = capsem.call("run", "--accel", accel, "echo up", timeout=60)
    if accel == "kvm" and result.returncode == 125:
        assert "KVM" in error_lines(result)[-1]
    else:
        assert result.stdout == b"up\n"


def test_the_probes_verdict_is_told_once(checkout: Checkout) -> None:
    first = checkout.call("run", "true")
    second = checkout.call("run", "true")
    assert first.returncode == second.returncode == 0
    assert second.stderr == b""
    assert len(error_lines(first)) <= 1


def test_the_image_that_boots_was_packed_a_moment_ago(checkout: Checkout) -> None:
    (checkout.source / "guest/diagnostics/new.txt").write_text("just now\n")
    assert checkout.run("cat /capsem/diagnostics/new.txt").stdout == b"just now\n"
    (checkout.source / "guest/diagnostics/new.txt").unlink()
    assert checkout.run("cat /capsem/diagnostics/new.txt").returncode == 1
