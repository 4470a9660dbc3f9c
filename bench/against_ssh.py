"""Rows of bench/sessions against ssh to a guest of the same QEMU: in turns, with both VMs up."""

import os
import pty
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from named_vm import Row, Vm, seconds
from peer_guest import PeerGuest

MEMORY_MIB = 4096  # of which a VM gives a third to what sessions write, and a copy is 1 GB
LARGE_BYTES = 10**9
SMALL_FILES = 10_000
ALONE = 40
AT_ONCE = 50
LATENCY_BAR = 0.5
COPY_BAR = 1.5
KEYS = 300

Work = Callable[[], object]


def latencies(command: list[str], count: int, env: dict[str, str]) -> list[float]:
    """From each one's start to its exit, all started at once."""
    quiet = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (0, 1)]
    begun = {}
    took = []
    for _ in range(count):
        begin = time.monotonic()
        begun[os.posix_spawnp(command[0], command, env, file_actions=quiet)] = begin
    while begun:
        pid, status = os.wait()
        took.append(time.monotonic() - begun.pop(pid))
        if status != 0:
            raise RuntimeError(f"{command[0]} failed: {os.waitstatus_to_exitcode(status)}")
    return took


def latency_rows(vm: Vm, peer: PeerGuest) -> list[Row]:
    commands = ([vm.capsem, "exec", vm.name, "true"], peer.ssh("peer", "true"))
    rows = []
    for what, at_once, rounds in (("one at a time", 1, ALONE), (f"{AT_ONCE} at once", AT_ONCE, 3)):
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(rounds):
            for command, each in zip(commands, times):
                each.extend(latencies(command, at_once, vm.env))
        ours, theirs = (statistics.median(each) * 1000 for each in times)
        ratio = ours / theirs
        rows.append(Row(f"exec true, {what}: each one's median, and through ssh",
                        f"{ours:.0f} ms, {theirs:.0f} ms, {ratio:.2f}", f"<= {LATENCY_BAR}", ratio <= LATENCY_BAR))  # fmt: skip
    return rows


def echo_seconds(command: list[str], env: dict[str, str]) -> float:
    """From a key to its echo, as the guest's terminal gives it back: median."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(command, env=env, stdin=follower, stdout=follower, start_new_session=True)
    os.close(follower)
    took = []
    try:
        read = b""
        while b"ready" not in read:
            read += os.read(leader, 4096)
        time.sleep(0.2)
        for _ in range(KEYS):
            begin = time.monotonic()
            os.write(leader, b"x")
            os.read(leader, 4096)
            took.append(time.monotonic() - begin)
        os.write(leader, b"\n\x04")
        while True:
            os.read(leader, 4096)
    except OSError:  # the end of the terminal's other side
        pass
    finally:
        os.close(leader)
        process.wait()
    return statistics.median(took)


def echo_rows(vm: Vm, peer: PeerGuest, raw_microseconds: float) -> list[Row]:
    ours, theirs = (
        echo_seconds(command, vm.env) * 1e6
        for command in ([vm.capsem, "exec", "-t", vm.name, "echo ready; cat"], peer.ssh("-tt", "peer", "echo ready; cat"))
    )
    raw = f"{ours / raw_microseconds:.1f} times {raw_microseconds:.0f}" if raw_microseconds else "no figure of vsock"
    return [
        Row("a key's echo, and the raw round trip over vsock", f"{ours:.0f} us, {raw}"),
        Row("the same through ssh", f"{theirs:.0f} us"),
    ]


def make_files(directory: Path) -> tuple[Path, Path]:
    large = directory / "large"
    block = os.urandom(1 << 20)
    with open(large, "wb") as file:
        for start in range(0, LARGE_BYTES, len(block)):
            file.write(block[: LARGE_BYTES - start])
    small = directory / "small"
    for number in range(SMALL_FILES):
        path = small / f"{number // 100:03}" / f"{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(block[: 100 + number % 4000])
    return large, small


def call(command: list[str]) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def pipe(first: list[str], second: list[str]) -> None:
    with subprocess.Popen(first, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as source:
        subprocess.run(second, stdin=source.stdout, check=True)
    if source.returncode != 0:
        raise RuntimeError(f"{first[0]} failed")


@dataclass
class Copy:
    what: str
    prepare: Work  # removes what was copied before; takes no part in the time
    ours: Work
    theirs: Work
    rounds: int
    megabytes: float = 0  # 0: a rate says nothing of many small files

    def row(self) -> Row:
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(self.rounds):
            self.prepare()
            for work, each in zip((self.ours, self.theirs), times):
                each.append(seconds(work))
        ours, theirs = (statistics.median(each) for each in times)
        rate = f"{self.megabytes / ours:.0f} MB/s: " if self.megabytes else ""
        ratio = theirs / ours
        return Row(self.what, f"{rate}{ours:.2f} s, {theirs:.2f} s, {ratio:.1f}", f">= {COPY_BAR}", ratio >= COPY_BAR)


def copies(vm: Vm, peer: PeerGuest, directory: Path, memory: Path) -> list[Copy]:
    large, small = make_files(directory)
    # The small ones in memory: ext4 is slow to make files where others were removed a while ago.
    ours, peers = memory / "ours", memory / "peers"
    back = [directory / "back-from-ours", directory / "back-from-peer"]

    def forget_guests(name: str) -> Work:
        def forget() -> None:
            vm.exec(f"rm -rf {name}")
            call(peer.ssh("peer", f"rm -rf {name}"))

        return forget

    def forget_ours(*targets: Path) -> Work:
        def forget() -> None:
            for target in targets:
                shutil.rmtree(target, ignore_errors=True)
                target.mkdir()

        return forget

    return [
        Copy("cp of 1 GB into the VM, and scp", forget_guests("large"),
             lambda: vm.call("cp", str(large), f"{vm.name}:large"),
             lambda: call(peer.scp(str(large), "peer:large")), 1, LARGE_BYTES / 1e6),
        Copy("cp of 1 GB out of the VM, and scp", forget_ours(*back),
             lambda: vm.call("cp", f"{vm.name}:large", str(back[0])),
             lambda: call(peer.scp("peer:large", str(back[1]))), 1, LARGE_BYTES / 1e6),
        Copy(f"cp of {SMALL_FILES} files into the VM, and tar | ssh", forget_guests("large small"),
             lambda: vm.call("cp", str(small), f"{vm.name}:small"),
             lambda: pipe(["tar", "-C", str(directory), "-cf", "-", "small"], peer.ssh("peer", "tar -xf -")), 3),
        Copy(f"cp of {SMALL_FILES} files out of the VM, and ssh | tar", forget_ours(ours, peers),
             lambda: vm.call("cp", f"{vm.name}:small", str(ours)),
             lambda: pipe(peer.ssh("peer", "tar -cf - small"), ["tar", "-C", str(peers), "-xf", "-"]), 3),
    ]  # fmt: skip


def rows(capsem: str, assets: Path, sshd: Path, directory: Path, raw_microseconds: float) -> list[Row]:
    vm = Vm(capsem, directory / "ours")
    vm.start("--memory", str(MEMORY_MIB))
    try:
        peer = PeerGuest(vm.machine(), assets, sshd, directory / "peer")
        try:
            with tempfile.TemporaryDirectory(prefix="capsem-bench-", dir="/dev/shm") as memory:
                return [
                    *latency_rows(vm, peer),
                    *echo_rows(vm, peer, raw_microseconds),
                    *(copy.row() for copy in copies(vm, peer, directory, Path(memory))),
                ]
        finally:
            peer.close()
    finally:
        vm.remove()
