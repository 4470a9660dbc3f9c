"""capsem run COMMAND: the command's streams and its end, as if it ran here."""

import hashlib
import os
import signal
import subprocess
import time

import pytest

from conftest import Capsem, error_lines, the_error


@pytest.mark.parametrize(
    ("command", "status"),
    [("exit 7", 7), ("true", 0), ("kill -9 $$", 137), ("kill -TERM $$", 143), ("no-such-command", 127)],
)
def test_the_exit_status_is_the_commands(capsem: Capsem, command: str, status: int) -> None:
    assert capsem.run(command).returncode == status


def test_stdout_and_stderr_stay_apart(capsem: Capsem) -> None:
    result = capsem.run("echo out; echo err >&2")
    assert (result.returncode, result.stdout, result.stderr) == (0, b"out\n", b"err\n")


def test_several_words_are_a_program_and_its_arguments(capsem: Capsem) -> None:
    result = capsem.run("printf", "%s|", "a b", "$HOME", "--accel")
    assert result.stdout == b"a b|$HOME|--accel|"


@pytest.mark.parametrize(
    ("words", "output"),
    [
        (["[ -f /etc/passwd ] && echo yes"], b"yes\n"),
        (["printf", "%s|", "[x,y]", "", "-t"], b"[x,y]||-t|"),
        (["--", "echo --timing"], b"--timing\n"),
        ([""], b""),
    ],
)
def test_words_arrive_as_they_were_given(capsem: Capsem, words: list[str], output: bytes) -> None:
    result = capsem.run(*words)
    assert (result.returncode, result.stdout, result.stderr) == (0, output, b"")


@pytest.mark.parametrize(("program", "status"), [("no-such-program", 127), ("/etc/passwd", 126)])
def test_a_program_that_cannot_be_run_is_named_in_one_line(
    capsem: Capsem, program: str, status: int
) -> None:
    result = capsem.run(program, "argument")
    assert result.returncode == status
    assert program in the_error(result)


def test_100_mb_of_input_come_back_byte_for_byte(capsem: Capsem) -> None:
    data = os.urandom(100_000_000)
    result = capsem.run("cat", stdin=data)
    assert result.returncode == 0
    assert hashlib.sha256(result.stdout).digest() == hashlib.sha256(data).digest()


def test_100_mb_from_a_regular_file(capsem: Capsem, tmp_path) -> None:
    path = tmp_path / "input"
    path.write_bytes(os.urandom(100_000_000))
    with path.open("rb") as file:
        result = subprocess.run(
            capsem.command("run", "--accel", "tcg", "sha256sum"), stdin=file, capture_output=True
        )
    assert result.stdout.split()[0].decode() == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(("command", "first"), [("yes", b"y"), ("'seq 1 1000000'", b"1")])
def test_an_output_nobody_reads_ends_the_command(capsem: Capsem, command: str, first: bytes) -> None:
    # `yes` would go on for ever.
    shell = subprocess.run(
        ["bash", "-c", f'"{capsem.executable}" run --accel tcg {command} | head -1; echo ${{PIPESTATUS[0]}}'],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
    )
    assert shell.stdout == first + b"\n141\n"
    assert shell.stderr == b""


def test_input_that_is_not_read_holds_nothing_up(capsem: Capsem) -> None:
    assert capsem.run("echo done", stdin=bytes(10_000_000)).stdout == b"done\n"


def test_a_full_disk_under_standard_output_is_an_error(capsem: Capsem) -> None:
    with open("/dev/full", "wb") as full:
        result = subprocess.run(
            capsem.command("run", "--accel", "tcg", "seq 1 100000"),
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
        )
    assert result.returncode == 125
    assert b"No space left on device" in result.stderr


def started(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_the_command(capsem: Capsem, number: signal.Signals) -> None:
    process = capsem.popen("echo ready; sleep 1000")
    started(process)
    process.send_signal(number)
    assert process.wait(timeout=30) == 128 + number


def test_a_command_may_handle_the_signal_itself(capsem: Capsem) -> None:
    process = capsem.popen("trap 'echo caught; exit 5' INT; echo ready; while :; do sleep 0.1; done")
    started(process)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (5, b"caught\n")


def test_a_second_signal_ends_the_vm(capsem: Capsem) -> None:
    process = capsem.popen("trap '' INT; echo ready; while :; do sleep 0.1; done")
    started(process)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 130


def test_the_environment_of_the_guest_is_its_own(capsem: Capsem) -> None:
    os.environ["CAPSEM_TEST_SECRET"] = "secret"
    try:
        assert b"secret" not in capsem.run("env").stdout
    finally:
        del os.environ["CAPSEM_TEST_SECRET"]


def test_usage_errors_are_125_and_one_line(capsem: Capsem) -> None:
    result = capsem.call("run", "--no-such-option", "true")
    assert result.returncode == 125
    assert "--no-such-option" in the_error(result)
    assert capsem.call("run", "--accel", "warp", "true").returncode == 125


def test_timing_names_every_part_of_the_run(capsem: Capsem) -> None:
    result = capsem.run("--timing", "echo hello")
    assert result.stdout == b"hello\n"
    text = "\n".join(error_lines(result))
    for part in [
        "build", "repack", "start QEMU", "QEMU and firmware", "kernel", "init: modules",
        "init: rootfs", "init: deploy", "init: services", "hello", "first output", "end the VM", "total",
    ]:
        assert part in text, part
