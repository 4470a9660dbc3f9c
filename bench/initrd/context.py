"""What every row works with: the programs, the inputs, and the commands that pack them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import inputs
from inputs import Input, remove
from measure import Command, pipeline, take_turns
from table import Table

MB = 1_000_000


@dataclass(frozen=True)
class Packed:
    wall_ms: float
    size_mb: float


def make_empty(directory: Path) -> None:
    remove(directory)
    directory.mkdir(parents=True)


INPUTS = ("guest", "debian", "tree")


class Context:
    def __init__(self, root: Path, build: Path, names: list[str], table: Table) -> None:
        self._names = names
        self.root = root
        self.table = table
        self.limit = build.resolve() / "bench/initrd_limit"
        self.out = root / "out"
        make_empty(self.out)
        self.capsem = inputs.installed_capsem(root, build)
        self._cache = root / "cache"
        self._pipelines: dict[tuple[str, str], Packed] = {}

    @cached_property
    def inputs(self) -> list[Input]:
        makers: dict[str, Callable[[], Input]] = {
            "guest": lambda: inputs.guest_set(self.root, self.capsem),
            "debian": lambda: inputs.debian(self.root),
            "tree": lambda: inputs.gigabyte(self.root),
        }
        return [make() for name, make in makers.items() if name in self._names]

    @cached_property
    def large_image(self) -> Path:
        return inputs.large_image(self.root)

    def ours(self, *words: str | Path) -> Command:
        environment = {"XDG_CACHE_HOME": str(self._cache)}
        return Command([self.capsem, "initrd", *words], self.out, environment)

    def pack(self, item: Input, image: Path, *words: str) -> Command:
        return self.ours("pack", *item.pack, *words, "-o", image)

    def cold_pack(self, item: Input, image: Path, *words: str) -> Command:
        """With nothing in the cache, into a directory of its own."""

        def prepare() -> None:
            remove(self._cache)
            make_empty(image.parent)

        return self.pack(item, image, *words).after(prepare)

    def _pipeline(self, item: Input, compressor: str, image: Path) -> Command:
        archive = "find . | cpio --quiet -o -H newc"
        script = f"exec >{image} && cat {item.stored} && {archive} | {compressor}"
        return pipeline(script, item.tree).after(lambda: make_empty(image.parent))

    def compare_packing(
        self, item: Input, ours: list[tuple[str, ...]], compressors: list[str]
    ) -> tuple[list[Packed], list[Packed]]:
        """Full packs in turns: ours with each of these words, and the pipelines."""
        of_ours = [self.out / f"ours-{number}/image" for number in range(len(ours))]
        of_peers = [self.out / f"peer-{number}/image" for number in range(len(compressors))]
        commands = [self.cold_pack(item, image, *words) for image, words in zip(of_ours, ours)]
        commands += [
            self._pipeline(item, compressor, image)
            for image, compressor in zip(of_peers, compressors)
        ]
        runs = take_turns(commands, item.rounds)
        images = of_ours + of_peers
        packed = [
            Packed(run.wall_ms, image.stat().st_size / MB) for run, image in zip(runs, images)
        ]
        for image in images:
            remove(image.parent)
        peers = packed[len(ours) :]
        for compressor, peer in zip(compressors, peers):
            self._pipelines[item.name, compressor] = peer
        return packed[: len(ours)], peers

    def packed_by(self, item: Input, compressor: str) -> Packed:
        """The pipeline's result, measured once."""
        if (item.name, compressor) not in self._pipelines:
            self.compare_packing(item, [], [compressor])
        return self._pipelines[item.name, compressor]
