"""What the benches of a VM with a name share: the VM, and the table they print."""

import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Row:
    what: str
    value: str
    bar: str = ""
    holds: bool = True

    def text(self) -> str:
        verdict = "" if not self.bar else "ok" if self.holds else "MISSED"
        return f"{self.what:<76} {self.value:>26}  {self.bar:<10} {verdict}".rstrip()


class Vm:
    """A VM with a name in a registry of its own."""

    def __init__(self, capsem: str, directory: Path) -> None:
        self.capsem = capsem
        self.name = "bench"
        self.state = directory / "state"
        self.runtime = directory / "runtime"
        self.env = {**os.environ, "XDG_STATE_HOME": str(self.state), "XDG_RUNTIME_DIR": str(self.runtime)}
        for path in (self.state, self.runtime):
            path.mkdir(mode=0o700, parents=True)

    def call(self, *words: str, **options: object) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([self.capsem, *words], env=self.env, check=True, **options)  # type: ignore[call-overload]

    def exec(self, command: str, **options: object) -> subprocess.CompletedProcess[bytes]:
        options.setdefault("stdin", subprocess.DEVNULL)
        return self.call("exec", self.name, command, **options)

    def output(self, command: str) -> str:
        return self.exec(command, stdout=subprocess.PIPE).stdout.decode()

    def start(self, *options: str) -> None:
        self.call("run", "--accel", "tcg", *options, "--name", self.name, "true")

    def remove(self) -> None:
        self.call("rm", "--force", self.name)

    def monitor(self) -> int:
        lock = self.state / "capsem/vms" / self.name / "lock"
        for link in Path("/proc").glob("[0-9]*/fd/*"):
            try:
                if os.readlink(link) == str(lock):
                    return int(link.parts[2])
            except OSError:
                continue
        raise RuntimeError("no process holds the VM's lock")

    def machine(self) -> list[str]:
        """QEMU's command line."""
        for child in Path(f"/proc/{self.monitor()}/task").glob("*/children"):
            for pid in child.read_text().split():
                words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
                if "qemu-system" in words[0]:
                    return words[:-1]
        raise RuntimeError("the monitor has no QEMU")


def seconds(work: Callable[[], object]) -> float:
    begin = time.monotonic()
    work()
    return time.monotonic() - begin


def resident_bytes(pid: int) -> int:
    """Its own pages, without those of files."""
    line = next(x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if x.startswith("RssAnon"))
    return int(line.split()[1]) << 10


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def vsock_figures(vsock_bench: list[str]) -> dict[str, float]:
    """What the stream itself does, as bench/vsock_bench measures it: a figure for each line's name."""
    raw = subprocess.run(vsock_bench, capture_output=True, text=True)
    return {line[:32].strip(): float(line[32:].split()[0]) for line in raw.stdout.splitlines()[1:]}
