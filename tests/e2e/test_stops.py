"""Processes that are stopped for a while, and a run in which nothing happens."""

import fcntl
import hashlib
import os
import signal
import subprocess
import termios
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from conftest import Capsem
from processes import children, parts, processor_seconds, state, wait_until

SIZE = 64_000_000
STOP_EACH = 8_000_000  # bytes moved from one stop to the next
PIECE = 1 << 20


@dataclass
class Transfer:
    command: str
    input: bytes
    output: bytes


def transfer(way: str) -> Transfer:
    if way == "out":
        numbers = b"".join(b"%d\n" % number for number in range(1, 8_000_001))
        return Transfer("seq 1 8000000", b"", numbers)
    data = os.urandom(SIZE)
    if way == "in":
        return Transfer("sha256sum", data, f"{hashlib.sha256(data).hexdigest()}  -\n".encode())
    return Transfer("cat", data, data)


def stop_and_continue(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: state(pid) == "T")
    time.sleep(0.2)  # it is stopped for so long; nothing is waited for
    os.kill(pid, signal.SIGCONT)


class Stopper:
    """Stops a process each time that so many bytes have moved, beside those who move them."""

    def __init__(self, pid: int) -> None:
        self.moved = self.stops = 0
        self.over = False
        self.thread = threading.Thread(target=self.run, args=[pid])
        self.thread.start()

    def run(self, pid: int) -> None:
        while not self.over:
            if self.moved < (self.stops + 1) * STOP_EACH:
                time.sleep(0.002)
                continue
            self.stops += 1
            stop_and_continue(pid)

    def finish(self) -> None:
        self.over = True
        self.thread.join()


def feed(process: "subprocess.Popen[bytes]", data: bytes, moved: Callable[[int], None]) -> None:
    assert process.stdin is not None
    for begin in range(0, len(data), PIECE):
        process.stdin.write(data[begin : begin + PIECE])
        moved(min(PIECE, len(data) - begin))
    process.stdin.close()


@pytest.mark.parametrize("who", ["client", "monitor", "qemu"])
@pytest.mark.parametrize("way", ["in", "out", "both"])
def test_a_stop_and_a_continue_lose_nothing(capsem: Capsem, way: str, who: str) -> None:
    wanted = transfer(way)
    process = subprocess.Popen(
        capsem.command("run", "--accel", "tcg", wanted.command),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stderr is not None
    stopper = Stopper(getattr(parts(process.pid), who))

    def moved(size: int) -> None:
        stopper.moved += size

    feeder = threading.Thread(target=feed, args=[process, wanted.input, moved])
    feeder.start()
    received, size = hashlib.sha256(), 0
    while piece := process.stdout.read1(PIECE):
        received.update(piece)
        size += len(piece)
        moved(len(piece))
    stopper.finish()
    feeder.join()
    assert (process.stderr.read(), process.wait(timeout=30)) == (b"", 0)
    assert stopper.stops >= 4
    assert (size, received.digest()) == (len(wanted.output), hashlib.sha256(wanted.output).digest())


AT_REST_S = 15
# Of client and monitor together: a tenth of a second in a minute.
MOST_S = 0.1 * AT_REST_S / 60


def assert_at_rest(client: int) -> None:
    pids = [client, parts(client).monitor]

    def used() -> float:
        return sum(processor_seconds(pid) for pid in pids)

    def settled() -> bool:
        before = used()
        time.sleep(1)
        return used() - before < 0.01

    wait_until(settled)  # what the boot and the full pipes left to do
    before = used()
    time.sleep(AT_REST_S)
    assert used() - before < MOST_S


def test_an_input_at_its_end_takes_no_processor_time(capsem: Capsem) -> None:
    process = capsem.popen("echo ready; sleep 1000")
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    try:
        assert_at_rest(process.pid)
    finally:
        process.kill()
        process.communicate()


def test_a_reader_that_stopped_takes_no_processor_time(capsem: Capsem) -> None:
    process = capsem.popen("yes")
    assert process.stdout is not None
    pipe = process.stdout.fileno()

    def is_full() -> bool:
        waiting = int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), "little")
        return waiting >= fcntl.fcntl(pipe, 1032) - 4096  # F_GETPIPE_SZ

    try:
        wait_until(is_full)
        assert_at_rest(process.pid)
    finally:
        process.kill()
        process.communicate()


def test_a_standard_error_that_nobody_reads_holds_up_nothing(capsem: Capsem) -> None:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writer, b"x" * 4096)
    process = subprocess.Popen(
        capsem.command("run", "--accel", "tcg", "--privileged", "--time-limit", "1", "--grace", "1",
                       "echo up; exec sleep 1000"),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=writer, env=capsem.env(),
    )
    os.close(writer)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    wait_until(lambda: not children(process.pid))
    assert process.poll() is None  # it has something to say yet
    said = b""
    while piece := os.read(reader, 65536):
        said += piece
    os.close(reader)
    assert process.wait() == 124
    warning, end = said.lstrip(b"x").decode().splitlines()
    assert "this session is privileged" in warning and "time limit of 1 s" in end
