"""The host's processes as /proc shows them, and how to wait for what is to become of them."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


def wait_until(holds: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"{holds} does not hold after {seconds} s"
        time.sleep(0.01)


def stat(pid: int) -> list[str]:
    """/proc/PID/stat from the state on; empty when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def state(pid: int) -> str:
    return stat(pid)[0] if stat(pid) else ""


def gone(pid: int) -> bool:
    return state(pid) in ("", "Z")


def name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def children(pid: int) -> set[int]:
    numbers = (int(path.name) for path in Path("/proc").glob("[0-9]*"))
    return {each for each in numbers if stat(each)[1:2] == [str(pid)]}


def descendants(pid: int) -> set[int]:
    found = children(pid)
    return found.union(*map(descendants, found))


def named(pid: int, wanted: str) -> set[int]:
    """Those of the descendants whose name begins so."""
    return {each for each in descendants(pid) if name(each).startswith(wanted)}


@dataclass
class Parts:
    """The three processes of a run."""

    client: int
    monitor: int
    qemu: int


def parts(client: int) -> Parts:
    """Of a run that has its QEMU, or is about to have it."""
    wait_until(lambda: named(client, "qemu-system"))
    (monitor,) = named(client, "capsem")
    (qemu,) = named(client, "qemu-system")
    return Parts(client, monitor, qemu)


def processor_seconds(pid: int) -> float:
    """What all its threads took; in nanoseconds from /proc/PID/schedstat, whose ticks are finer than stat's."""
    times = [int(task.read_text().split()[0]) for task in Path(f"/proc/{pid}/task").glob("*/schedstat")]
    return sum(times) / 1e9
