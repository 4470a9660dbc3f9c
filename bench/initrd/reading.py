"""The rows about reading images, and what memory all of it takes."""

from pathlib import Path

from context import Context, make_empty
from inputs import Input
from measure import Command, peak_mb, pipeline, take_turns

_DECOMPRESS = {"gzip": "igzip", "zstd": "zstd"}
_PEAK_MB = 128


def _rounds(item: Input) -> int:
    return 2 * item.rounds + 1


def list_image(context: Context) -> None:
    context.table.section(
        "list: ms", "all write to /dev/null; one stream an image, made by others, unless said"
    )
    for item in context.inputs:
        for codec, image in item.images().items():
            _list_one(context, item, codec, image)
    ours, peer = take_turns(
        [
            context.ours("list", context.large_image),
            Command(["lsinitramfs", context.large_image], context.out),
        ],
        1,
    )
    context.table.times_better(
        "several parts, zstd: lsinitramfs", ours.wall_ms, peer.wall_ms, "ms", 3
    )


def _list_one(context: Context, item: Input, codec: str, image: Path) -> None:
    to_nowhere = Command([_DECOMPRESS[codec], "-dc", image], context.out)
    peers: list[tuple[str, float | None, Command]] = [
        (
            f"{codec} -dc | cpio -t",
            3 if codec == "gzip" else None,
            pipeline(f"{codec} -dc {image} | cpio --quiet -t", context.out),
        )
    ]
    if item.name != "tree":
        peers.append(("lsinitramfs", 3, Command(["lsinitramfs", image], context.out)))
    ours, stream, *others = take_turns(
        [context.ours("list", image), to_nowhere, *(command for _, _, command in peers)],
        _rounds(item),
    )
    name = f"{item.name} {codec}"
    table = context.table
    table.at_most(f"{name}: {_DECOMPRESS[codec]} -dc", ours.wall_ms, stream.wall_ms, "ms", 1.15)
    for (peer, bar, _), other in zip(peers, others):
        table.times_better(f"{name}: {peer}", ours.wall_ms, other.wall_ms, "ms", bar)


def _extract(context: Context, image: Path) -> Command:
    directory = context.out / "ours"
    return context.ours("extract", image, "-C", directory).after(lambda: make_empty(directory))


def _extract_by(context: Context, *words: str | Path) -> Command:
    """The peer of these words, to which the directory comes last."""
    directory = context.out / "peer"
    return Command([*words, directory], context.out).after(lambda: make_empty(directory))


def extract(context: Context) -> None:
    context.table.section(
        "extract into an empty directory: ms", "nobody syncs; removing is not timed"
    )
    for item in context.inputs:
        for codec, image in item.images().items():
            peers = [("bsdtar", 2, _extract_by(context, "bsdtar", "-xf", image, "-C"))]
            if item.name != "tree":
                peers.append(("unmkinitramfs", 5, _extract_by(context, "unmkinitramfs", image)))
            _extract_beside(context, f"{item.name} {codec}", image, peers, _rounds(item))
    large = context.large_image
    peers = [("unmkinitramfs", 5, _extract_by(context, "unmkinitramfs", large))]
    _extract_beside(context, "several parts, zstd", large, peers, 1)


def _extract_beside(
    context: Context, name: str, image: Path, peers: list[tuple[str, int, Command]], rounds: int
) -> None:
    ours, *others = take_turns(
        [_extract(context, image), *(command for _, _, command in peers)], rounds
    )
    for (peer, bar, _), other in zip(peers, others):
        context.table.times_better(f"{name}: {peer}", ours.wall_ms, other.wall_ms, "ms", bar)


def memory(context: Context) -> None:
    context.table.section("largest resident set, of gzip and zstd")
    for item in context.inputs:
        images = item.images()
        packed = context.out / "packed/image"
        commands = {
            "pack": [context.cold_pack(item, packed, "--codec", codec) for codec in images],
            "list": [context.ours("list", image) for image in images.values()],
            "extract": [_extract(context, image) for image in images.values()],
        }
        for name, of_codecs in commands.items():
            peak = max(map(peak_mb, of_codecs))
            context.table.value(f"{item.name}: {name}", peak, "MB", _PEAK_MB)
