"""The packer is killed at each of its system calls: the old or the new image is there, whole."""

import json
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import LIMIT_S, Capsem, Checkout

# Calls that only look, or that the loader makes before there is anything to lose: killing at the
# first of them is as good as at any.
ONCE = {"execve", "mmap", "munmap", "mprotect", "brk", "close", "read", "pread64", "newfstatat", "readlink"}


@dataclass
class Packing:
    """A packer's command, and all that it writes: an image beside other files, and a cache."""

    capsem: Capsem
    words: list[str]
    directory: Path  # the image's
    image: str
    cache: Path

    def strace(self, *options: str) -> list[str]:
        return ["strace", "-f", "-qq", *options, *self.capsem.command(*self.words)]

    def run(self, command: list[str]) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            command,
            capture_output=True,
            env={**self.capsem.env(), "XDG_CACHE_HOME": str(self.cache)},
            timeout=LIMIT_S,
        )

    def pack(self) -> bytes:
        result = self.run(self.capsem.command(*self.words))
        assert result.returncode == 0, result.stderr
        return (self.directory / self.image).read_bytes()

    def calls(self) -> Counter[str]:
        """How often each system call is made by any one thread."""
        log = self.directory.parent / "strace.log"
        result = self.run(self.strace("-o", str(log)))
        assert result.returncode == 0, result.stderr
        counts: Counter[tuple[str, str]] = Counter()
        for line in log.read_text(errors="replace").splitlines():
            if found := re.match(r"(\d+) +(\w+)\(", line):
                counts[(found[1], found[2])] += 1
        most: Counter[str] = Counter()
        for (_, name), count in counts.items():
            most[name] = max(most[name], count)
        return most

    def moments(self) -> Iterator[tuple[str, int]]:
        for name, count in sorted(self.calls().items()):
            for number in range(1, (1 if name in ONCE else count) + 1):
                yield name, number


def check(packing: Packing, old_state: Path, old: bytes, new: bytes) -> None:
    link = packing.directory.parent / "link"
    killed = 0
    restore(packing, old_state)
    for name, number in list(packing.moments()):
        restore(packing, old_state)
        link.unlink(missing_ok=True)
        os.link(packing.directory / packing.image, link)
        result = packing.run(
            packing.strace("-o", "/dev/null", "-e", f"inject={name}:signal=KILL:when={number}")
        )
        moment = f"killed at {name} number {number}"
        # Threads may share the work differently this time, so that the call is never made.
        killed += result.returncode != 0
        assert (packing.directory / packing.image).read_bytes() in (old, new), moment
        assert link.read_bytes() == old, moment
        assert packing.pack() == new, moment
        left = {path.name for path in packing.directory.iterdir()}
        assert left <= {path.name for path in old_state.joinpath("directory").iterdir()}, moment
    assert killed > 30


def save(packing: Packing, state: Path) -> None:
    shutil.copytree(packing.directory, state / "directory")
    shutil.copytree(packing.cache, state / "cache")


def restore(packing: Packing, state: Path) -> None:
    for saved, place in (("directory", packing.directory), ("cache", packing.cache)):
        shutil.rmtree(place)
        shutil.copytree(state / saved, place)


@pytest.mark.parametrize("threads", ["1", "2"])
def test_image_of_a_directory(capsem: Capsem, tmp_path: Path, threads: str) -> None:
    tree = tmp_path / "tree"
    for number in range(4):
        (tree / f"d{number}").mkdir(parents=True)
        (tree / f"d{number}/large").write_bytes(os.urandom(300_000))
    (tree / "small").write_text("old")
    directory = tmp_path / "images"
    directory.mkdir()
    words = ["initrd", "pack", "--from-dir", str(tree), "--threads", threads, "--level", "1"]
    packing = Packing(
        capsem, [*words, "-o", str(directory / "x.img")], directory, "x.img", tmp_path / "cache"
    )
    old = packing.pack()
    save(packing, tmp_path / "old")
    (tree / "small").write_text("new")
    (tree / "d2/large").write_bytes(os.urandom(300_001))
    new = packing.pack()
    assert old != new
    check(packing, tmp_path / "old", old, new)


def test_image_of_the_guest_with_its_index(checkout: Checkout, tmp_path: Path) -> None:
    directory = tmp_path / "images"
    directory.mkdir()
    packing = Packing(
        checkout,
        ["initrd", "pack", "-o", str(directory / "initrd.img")],
        directory,
        "initrd.img",
        tmp_path / "cache",
    )
    old = packing.pack()
    save(packing, tmp_path / "old")
    checkout.edit("guest/diagnostics/conftest.py", lambda text: text + "\n# changed\n")
    new = packing.pack()
    assert old != new
    check(packing, tmp_path / "old", old, new)
    assert json.loads((directory / "initrd.json").read_text())["image"]["bytes"] == len(new)
    verified = checkout.call("initrd", "verify", str(directory / "initrd.img"))
    assert verified.returncode == 0, verified.stderr
