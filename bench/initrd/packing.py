"""The rows about writing images."""

import os
import subprocess
from pathlib import Path

from context import MB, Context, Packed
from inputs import Input, remove, shell
from measure import Command, run, take_turns

# By codec, pipelines that repack everything, the fastest first; of the tree those that take less
# than a minute.
_PIPELINES = {
    "gzip": [
        "igzip -0",
        "igzip -1",
        "igzip",
        "igzip -3",
        "pigz -6",
        "gzip -6",
        "pigz -9",
    ],
    "zstd": [f"zstd -q -T0 -{level}" for level in (1, 3, 6, 9, 12, 15, 19)],
}
_TREE_PIPELINES = {
    "gzip": ["igzip", "igzip -3", "pigz -6", "pigz -9"],
    "zstd": ["zstd -q -T0 -3", "zstd -q -T0 -6", "zstd -q -T0 -9"],
}
# What mkinitramfs and dracut run, by the codec.
_MKINITRAMFS = {
    codec: f'cat >"$PWD.cpio" && {compressor} -c "$PWD.cpio" && rm "$PWD.cpio"'
    for codec, compressor in (("gzip", "pigz"), ("zstd", "zstd -q -9 -T0"))
}
_DRACUT = {"gzip": "pigz -9 -n -T -R", "zstd": "zstd -15 -q -T0"}
_NEARLY = 1.03
_ZSTD_LEVELS = {"guest": (3, 12, 19), "debian": (3, 12), "tree": (3,)}


def _pipelines(item: Input, codec: str) -> list[str]:
    return (_TREE_PIPELINES if item.name == "tree" else _PIPELINES)[codec]


def _edit(path: Path) -> None:
    """Changes a few bytes in the middle, to what they never were."""
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(os.urandom(16))


def _beside(
    context: Context, item: Input, codec: str, size_mb: float
) -> tuple[tuple[str, Packed], tuple[str, Packed] | None]:
    """The fastest pipeline whose result is no larger (when all are, the one with the smallest), and
    one that is faster with a result only a little larger."""
    near = None
    measured: list[tuple[str, Packed]] = []
    for compressor in _pipelines(item, codec):
        one = (compressor, context.packed_by(item, compressor))
        if one[1].size_mb <= size_mb:
            return one, near
        if near is None and one[1].size_mb <= _NEARLY * size_mb:
            near = one
        measured.append(one)
    smallest = min(measured, key=lambda one: one[1].size_mb)
    return smallest, near if near != smallest else None


def repack(context: Context) -> None:
    """One file of 1 MB changed."""
    context.table.section(
        "one 1 MB binary changed: ms",
        "limit: that file compressed in memory, one write and sync of the image",
        "peer: the fastest of the pipelines whose result is no larger, which writes without sync",
    )
    for item in context.inputs:
        for codec in _PIPELINES:
            _repack_one(context, item, codec)


def _repack_one(context: Context, item: Input, codec: str) -> None:
    image = context.out / "repacked/image"
    written = context.out / "limit"
    run(context.cold_pack(item, image, "--codec", codec))
    bytes_ = image.stat().st_size
    pack = context.pack(item, image, "--codec", codec)
    compress: list[str | Path] = [context.limit, "repack", item.edited, str(bytes_), written, codec]
    ours, limit = take_turns(
        [
            pack.after(lambda: _edit(item.edited)),
            Command(compress, context.out).after(lambda: remove(written)),
        ],
        2 * item.rounds + 3,
    )
    (name, peer), near = _beside(context, item, codec, bytes_ / MB)
    reached = peer.wall_ms / limit.wall_ms
    table = context.table

    def against(compressor: str, packed: Packed, bar: float | None) -> None:
        of_our_size = f"({packed.size_mb / bytes_ * MB:.3f} of our size)"
        label = f"{item.name} {codec}: {compressor} {of_our_size}"
        table.times_better(label, ours.wall_ms, packed.wall_ms, "ms", bar)

    table.at_most(f"{item.name} {codec}: limit", ours.wall_ms, limit.wall_ms, "ms", 1.5)
    against(name, peer, 25 if reached >= 25 else None)
    if near is not None:
        against(*near, None)
    if reached < 25:
        table.note(f"{item.name} {codec}: no bar, the limit itself is {reached:.1f} times faster")


def unchanged(context: Context) -> None:
    context.table.section("nothing changed")
    for item in context.inputs:
        image = context.out / "unchanged/image"
        run(context.cold_pack(item, image))
        pack = context.pack(item, image)
        run(pack)
        (seen,) = take_turns([pack], 2 * item.rounds + 3)
        bar = 3 if item.name == "guest" else None
        context.table.value(f"{item.name}: processor", seen.processor_ms, "ms", bar)
        context.table.value(f"{item.name}: wall", seen.wall_ms, "ms")


def cold(context: Context) -> None:
    """Everything packed, with nothing in the cache."""
    table = context.table
    table.section(
        "cold pack: s, and MB of the result",
        "ours syncs the image and keeps its segments in the cache; the peers write without sync",
        "what takes over 3 s runs three times, over 20 s once",
    )
    for item in context.inputs:
        _cold_gzip(context, item)
        for level in _ZSTD_LEVELS[item.name]:
            (ours,), (peer,) = context.compare_packing(
                item, [("--codec", "zstd", "--level", str(level))], [f"zstd -q -T0 -{level}"]
            )
            _times_better(context, f"{item.name} zstd {level}: zstd -T0 -{level}", ours, peer, 1)
        if item.name == "debian":
            _packing_steps_of_others(context, item)


def _cold_gzip(context: Context, item: Input) -> None:
    (ours, uncached, fast), (pigz, igzip) = context.compare_packing(
        item, [(), ("--no-cache",), ("--level", "1")], ["pigz -9", "igzip"]
    )
    _times_better(context, f"{item.name} gzip: pigz -9", ours, pigz, 4)
    context.table.at_most("  bytes", ours.size_mb, pigz.size_mb, "MB", 1.03)
    _times_better(context, "  --no-cache", uncached, pigz)
    _times_better(context, f"{item.name} gzip 1: igzip", fast, igzip, 1)
    context.table.at_most("  bytes", fast.size_mb, igzip.size_mb, "MB", 1)
    for compressor in _pipelines(item, "gzip"):
        if compressor.startswith("igzip -"):
            _times_better(
                context,
                f"{item.name} gzip 1: {compressor}",
                fast,
                context.packed_by(item, compressor),
            )


def _packing_steps_of_others(context: Context, item: Input) -> None:
    for tool, by_codec in (("mkinitramfs", _MKINITRAMFS), ("dracut", _DRACUT)):
        for codec, compressor in by_codec.items():
            (ours,), (peer,) = context.compare_packing(item, [("--codec", codec)], [compressor])
            _times_better(context, f"{item.name} {codec}: {tool}'s", ours, peer)


def _times_better(
    context: Context, name: str, ours: Packed, peer: Packed, bar: float | None = None
) -> None:
    context.table.times_better(
        f"{name} ({peer.size_mb / ours.size_mb:.3f} of our size)",
        ours.wall_ms / 1000,
        peer.wall_ms / 1000,
        "s",
        bar,
    )


def size(context: Context) -> None:
    """What segments cost: the same codec and level over the whole archive at once."""
    context.table.section("size of the image: one stream of codec and level")
    for item in context.inputs:
        # The others would take minutes for the tree.
        codecs = ("gzip",) if item.name == "tree" else ("gzip", "zstd", "lz4", "xz")
        archive = context.out / "archive"
        script = 'find . | LC_ALL=C sort | cpio --quiet -o -H newc >"$ARCHIVE"'
        shell(script, item.tree, ARCHIVE=archive)
        for codec in codecs:
            image = context.out / "sized/image"
            run(context.cold_pack(item, image, "--no-cache", "--codec", codec))
            ours = image.stat().st_size / MB
            stream = int(subprocess.check_output([context.limit, "size", archive, codec]))
            one = (stream + item.stored.stat().st_size) / MB
            bar = 1.02 if codec == "gzip" else None
            context.table.at_most(f"{item.name} {codec}", ours, one, "MB", bar)
        remove(archive)
