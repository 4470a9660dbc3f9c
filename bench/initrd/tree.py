"""A tree of 1 GB in 20,000 files whose content compresses as real files do: half of it pieces of
programs and libraries, a third text, the rest random. Pieces of this machine's own files are taken
one behind the other, so that nothing repeats within any codec's window."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

FILES = 20_000
BYTES = 1_000_000_000
MEGABYTE = 1 << 20
_SEED = 4
_FILES_A_DIRECTORY = 25
_CHUNK = 4 << 20
# What a file holds, and how many of a hundred hold it.
_ELF, _TEXT, _RANDOM = 50, 35, 15
_TEXT_SUFFIXES = frozenset({".c", ".conf", ".h", ".hpp", ".html", ".md", ".py", ".txt", ".xml"})


def _files_below(*roots: str) -> Iterator[Path]:
    for root in roots:
        for directory, names, files in os.walk(root):
            names.sort()
            yield from (Path(directory, name) for name in sorted(files))


def _is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


class _Source:
    """The bytes of one kind of file of this machine, again from the start when they are used up."""

    def __init__(self, files: list[Path]) -> None:
        self._files = files
        self._next = 0
        self._rest = memoryview(b"")

    def take(self, size: int) -> bytes:
        parts: list[memoryview] = []
        while size > 0:
            if not self._rest:
                path = self._files[self._next % len(self._files)]
                self._next += 1
                self._rest = memoryview(path.read_bytes())
            parts.append(self._rest[:size])
            self._rest = self._rest[size:]
            size -= len(parts[-1])
        return b"".join(parts)


def _usable(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and path.stat().st_size > 0


def _sources() -> tuple[_Source, _Source]:
    elf: list[Path] = []
    text: list[Path] = []
    for path in _files_below("/usr/lib", "/usr/bin", "/usr/include", "/usr/share/doc"):
        try:
            if not _usable(path):
                continue
            if path.suffix in _TEXT_SUFFIXES:
                text.append(path)
            elif _is_elf(path):
                elf.append(path)
        except OSError:
            continue  # not for this user to read
    # In an order of its own: one directory's files are more alike than a tree's are.
    mixed = random.Random(_SEED)
    mixed.shuffle(elf)
    mixed.shuffle(text)
    return _Source(elf), _Source(text)


def _sizes(chance: random.Random) -> list[int]:
    """Many small files and few large ones, as on a real system; together BYTES."""
    raw = [chance.lognormvariate(0, 1.5) for _ in range(FILES - 1)]
    scale = (BYTES - MEGABYTE) / sum(raw)
    return [MEGABYTE] + [max(1, int(size * scale)) for size in raw]


def make_tree(root: Path) -> None:
    chance = random.Random(_SEED)
    elf, text = _sources()
    for number, size in enumerate(_sizes(chance)):
        directory = root / f"usr/{number // 1000:02}/{number // _FILES_A_DIRECTORY:03}"
        if number % _FILES_A_DIRECTORY == 0:
            directory.mkdir(parents=True)
        # The first is the one whose change the bench packs.
        kind = (
            chance.choices(("elf", "text", "random"), (_ELF, _TEXT, _RANDOM))[0]
            if number
            else "elf"
        )
        path = directory / f"{kind}-{number:05}"
        if kind == "random":
            path.write_bytes(chance.randbytes(size))
            continue
        path.write_bytes((elf if kind == "elf" else text).take(size))
        if kind == "elf":
            path.chmod(0o755)
