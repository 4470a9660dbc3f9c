"""capsem run COMMAND: the command's streams and its end, as if it ran here."""

import hashlib
import os
import signal
import subprocess

import pytest

from conftest import Capsem, error_lines, the_error
from processes import parts


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
    process = capsem.popen(
        "trap 'echo caught; caught=1' INT; echo ready; while :; do sleep 0.1; [ -z \"$caught\" ] || echo on; done"
    )
    started(process)
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(2)] == [b"caught\n", b"on\n"]
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 130


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_command_that_ignores_signals_is_ended_after_the_grace(
    capsem: Capsem, number: signal.Signals
) -> None:
    process = capsem.popen("--grace", "1", "trap '' INT TERM HUP QUIT; echo ready; while :; do sleep 0.1; done")
    started(process)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert f"did not end within 1 s of {number.name}" in stderr.decode()


@pytest.mark.parametrize("trap", ["", "trap '' TERM; ", "trap 'exit 0' TERM; "])
def test_a_time_limit_ends_the_command_with_124(capsem: Capsem, trap: str) -> None:
    result = capsem.run("--time-limit", "0.5", "--grace", "1", f"{trap}while :; do sleep 0.1; done")
    assert result.returncode == 124
    # bash may say before of its sleep that it was terminated.
    assert "its time limit of 0.5 s is over" in error_lines(result)[-1]
    assert capsem.run("--time-limit", "100", "exit 3").returncode == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_that_is_ignored_stays_so(capsem: Capsem, number: signal.Signals) -> None:
    process = subprocess.Popen(
        ["sh", "-c", f"trap '' {number.name[3:]}; exec \"$@\"", "sh"]
        + capsem.command("run", "--accel", "tcg", "echo ready; read line; exit 3"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    parts(process.pid)
    process.send_signal(number)  # in the boot
    started(process)
    process.send_signal(number)
    process.communicate(b"go on\n", timeout=30)
    assert process.returncode == 3


def test_an_ignored_sigchld_is_no_matter(capsem: Capsem) -> None:
    trap = ["sh", "-c", "trap '' CHLD; exec \"$@\"", "sh"]
    result = subprocess.run(trap + capsem.command("run", "--accel", "tcg", "exit 3"), stdin=subprocess.DEVNULL)
    assert result.returncode == 3


@pytest.mark.parametrize("option", ["-n", "--no-stdin"])
def test_a_loop_that_reads_a_list_keeps_it(capsem: Capsem, option: str) -> None:
    loop = f'while read word; do "$0" run --accel tcg {option} "cat; echo $word"; done'
    result = subprocess.run(["sh", "-c", loop, str(capsem.executable)], input=b"a\nb\n", capture_output=True)
    assert result.stdout == b"a\nb\n", result.stderr


def test_a_command_line_that_begins_with_a_dash_is_no_option_of_the_shell(capsem: Capsem) -> None:
    result = capsem.run("--", "-x")
    assert result.returncode == 127
    assert b"-x: command not found" in result.stderr


@pytest.mark.parametrize(("size", "mebibytes"), [("512", 512), ("512M", 512), ("524288K", 512), ("1G", 1024)])
def test_memory_has_a_suffix_as_elsewhere(capsem: Capsem, size: str, mebibytes: int) -> None:
    result = capsem.run("--memory", size, "awk '/MemTotal/ {print $2}' /proc/meminfo")
    assert 0.8 * mebibytes < int(result.stdout) / 1024 <= mebibytes


@pytest.mark.parametrize("size", ["2X", "G", "1025K", "1", "-1", "99999999999999999999G"])
def test_a_memory_that_is_none_is_refused(capsem: Capsem, size: str) -> None:
    result = capsem.call("run", "--memory", size, "true")
    assert result.returncode == 125
    assert "--memory" in the_error(result) and "see 'capsem run --help'" in the_error(result)


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["frobnicate"], 2, "no subcommand 'frobnicate', there are run, exec, attach, deploy, ps, inspect, logs, log, cp, port, start, stop, "
             "kill, restart, rename, fork, rm, policy, initrd, build-assets, loop, doctor; see 'capsem --help'"),
        (["initrd", "frobnicate"], 2, "no subcommand 'frobnicate', there are pack, convert"),
        (["initrd", "pack", "--frobnicate"], 2, "see 'capsem initrd pack --help'"),
        (["run", "--frobnicate"], 125, "see 'capsem run --help'"),
        (["build-assets", "--frobnicate"], 2, "see 'capsem build-assets --help'"),
    ],
)
def test_a_mistaken_command_line_is_told_what_there_is(
    capsem: Capsem, words: list[str], status: int, said: str
) -> None:
    result = capsem.call(*words)
    assert result.returncode == status
    assert said in the_error(result)


def test_a_version_that_cannot_be_written_is_an_error(capsem: Capsem) -> None:
    with open("/dev/full", "wb") as full:
        result = subprocess.run(capsem.command("--version"), stdout=full, stderr=subprocess.PIPE)
    assert result.returncode == 2
    assert "No space left on device" in the_error(result)


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
