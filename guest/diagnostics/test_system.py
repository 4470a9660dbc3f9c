"""The machine: processes, terminal, time, and the air around it."""

import os
import pty
import socket
import time

import pytest


def test_git_keeps_a_history(shell) -> None:
    line = (
        "git init -q . && git config user.name n && git config user.email e@localhost && "
        "echo a > f && git add f && git commit -qm one && echo b > f && git commit -qam two && "
        "git log --format=%s"
    )
    assert shell(line).stdout == "two\none\n"


def test_a_terminal_of_ones_own() -> None:
    pid, master = pty.fork()
    if pid == 0:
        os.execvp("bash", ["bash", "-c", "test -t 0 && stty size"])
    text = os.read(master, 100)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert text.split() == [b"0", b"0"]


def test_orphans_are_reaped(shell) -> None:
    shell("(sleep 0.2 &) ; (sleep 0.2 &)")
    time.sleep(0.5)
    assert "Z" not in shell("ps -eo stat=").stdout


@pytest.mark.parametrize(("zone", "clock"), [("UTC", "00:00"), ("Asia/Tokyo", "09:00"), ("Europe/Berlin", "01:00")])
def test_time_zones(shell, zone: str, clock: str) -> None:
    assert shell(f"TZ={zone} date -d @0 +%H:%M").stdout.strip() == clock


def test_the_clock_moves() -> None:
    before = time.time()
    time.sleep(0.05)
    assert 0.04 < time.time() - before < 30


def test_the_environment_is_small_and_known() -> None:
    assert os.environ["HOME"] == "/root"
    assert "/capsem/bin" in os.environ["PATH"].split(":")


def test_loopback_works_and_nothing_else() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname(), timeout=5) as client:
            accepted, _ = server.accept()
            client.sendall(b"ping")
            assert accepted.recv(4) == b"ping"
            accepted.close()
    with pytest.raises(OSError, match="unreachable"):
        socket.create_connection(("192.0.2.1", 80), timeout=5)


def test_names_are_refused_at_once() -> None:
    begin = time.monotonic()
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("example.com", 80)
    assert time.monotonic() - begin < 10


def test_memory_can_be_used() -> None:
    block = bytearray(64 << 20)
    block[-1] = 1
    assert block[-1] == 1


def test_many_files_can_be_open() -> None:
    files = [open("/dev/null") for _ in range(900)]
    for file in files:
        file.close()
