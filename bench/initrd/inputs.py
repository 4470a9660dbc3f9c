"""What is packed, listed and extracted. Made once below build/bench-initrd and kept; what is
missing is made again. All of it and what the rows write take up to 5 GB of disk."""

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tree import MEGABYTE, make_tree

_KERNEL = "linux-image-cloud-amd64"
_CONFIG = """MODULES=most
BUSYBOX=n
KEYMAP=n
COMPRESS=zstd
DEVICE=
NFSROOT=auto
RUNSIZE=10%
FSTYPE=auto
"""
# mkinitramfs with the modules and the configuration of a kernel that is not installed: they are
# laid over the machine's own directories for this one process.
_MKINITRAMFS = """
mount -t overlay bench -o "lowerdir=$KERNEL/lib:/usr/lib" /usr/lib
mount -t overlay bench -o "lowerdir=$KERNEL/boot:/boot" /boot
exec mkinitramfs -d "$CONFIG" -o "$IMAGE" "$VERSION"
"""
_EARLY_SEED = 5


@dataclass(frozen=True)
class Input:
    name: str
    pack: tuple[str, ...]  # what chooses it for `capsem initrd pack`
    tree: Path  # the same for the pipelines
    edited: Path  # the file of about 1 MB that changes
    rounds: int  # of what takes long
    gzip: Path  # one archive in one stream, made by others
    zstd: Path
    stored: Path = Path("/dev/null")  # an uncompressed part before the rest

    def images(self) -> dict[str, Path]:
        return {"gzip": self.gzip, "zstd": self.zstd}


def shell(script: str, cwd: Path, **variables: str | Path) -> None:
    """Runs the script; ends the bench with its output when it fails."""
    environment = {**os.environ, **{name: str(value) for name, value in variables.items()}}
    environment["PATH"] += ":/usr/sbin:/sbin"  # depmod and mkinitramfs
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode != 0:
        sys.exit(
            f"bench: making an input failed with status {done.returncode}:\n"
            f"{script}\n{done.stdout}"
        )


def _made(path: Path, make: Callable[[Path], None]) -> Path:
    """`path`, which `make` fills under another name, so that half of it never counts as made."""
    if not path.exists():
        print(f"bench: making {path}", file=sys.stderr, flush=True)
        partial = path.with_name(path.name + ".partial")
        remove(partial)
        make(partial)
        partial.rename(path)
    return path


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _file_of_a_megabyte(tree: Path) -> Path:
    files = [path for path in sorted(tree.rglob("*")) if path.is_file() and not path.is_symlink()]
    return min(files, key=lambda path: abs(path.stat().st_size - MEGABYTE))


def _archive(tree: Path, compressor: str) -> Callable[[Path], None]:
    script = f'find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0 | {compressor} >"$IMAGE"'
    return lambda image: shell(script, tree, IMAGE=image)


def _other_tools_images(tree: Path) -> tuple[Path, Path]:
    gzip = _made(tree.with_suffix(".gz"), _archive(tree, "pigz -6 -n"))
    zstd = _made(tree.with_suffix(".zst"), _archive(tree, "zstd -q -T0 -3"))
    return gzip, zstd


def installed_capsem(root: Path, build: Path) -> Path:
    """The capsem of `build` as an installation, which packs without building anything."""
    installed = root / "installed"
    shell(
        'cmake --install "$BUILD" --prefix "$PREFIX"', root, BUILD=build.resolve(), PREFIX=installed
    )
    # One program with several names is one file in the build folder; cmake copies it for each.
    first: dict[bytes, Path] = {}
    for path in sorted((installed / "lib/capsem/programs").iterdir()):
        same = first.setdefault(path.read_bytes(), path)
        if not same.samefile(path):
            path.unlink()
            path.hardlink_to(same)
    return installed / "bin/capsem"


def guest_set(root: Path, capsem: Path) -> Input:
    """Made anew each time: it is small, and the programs may have changed."""
    tree, gzip, zstd = root / "guest", root / "guest.gz", root / "guest.zst"
    for path in (tree, gzip, zstd):
        remove(path)
    tree.mkdir()
    shell(
        '"$CAPSEM" initrd pack --no-cache -o guest.img\n'
        '"$CAPSEM" initrd extract guest.img -C guest',
        root,
        CAPSEM=capsem,
    )
    gzip, zstd = _other_tools_images(tree)
    # The pipelines get the modules as we do: an archive that is there, and stays uncompressed.
    remove(tree / "lib/modules")
    installed = capsem.parents[1] / "lib/capsem"
    edited = _file_of_a_megabyte(installed / "programs")
    modules = next(installed.glob("assets/*/modules.img"))
    return Input("guest", (), tree, edited, 9, gzip, zstd, modules)


def _kernel_package(directory: Path) -> None:
    """The newest kernel's files below `directory`, from Debian."""
    directory.mkdir()
    shell(
        'package=$(apt-cache show --no-all-versions "$KERNEL" |'
        " sed -n 's/^Depends: \\([^ ,]*\\).*/\\1/p')\n"
        'apt-get download -q -o APT::Sandbox::User=root "$package"\n'
        'dpkg-deb -x "$package"_*.deb . && rm "$package"_*.deb\n'
        'depmod -b . "$(ls lib/modules)"',
        directory,
        KERNEL=_KERNEL,
    )


def _debian_image(kernel: Path) -> Callable[[Path], None]:
    def make(image: Path) -> None:
        config = kernel.with_name("mkinitramfs")
        for name in ("conf.d", "hooks", "scripts"):
            (config / name).mkdir(parents=True, exist_ok=True)
        (config / "initramfs.conf").write_text(_CONFIG)
        (config / "modules").write_text("")
        own = ["--map-root-user", "--map-auto"] if os.geteuid() != 0 else []
        shell(
            f"unshare {' '.join(own)} --mount bash -euc '{_MKINITRAMFS}'",
            kernel.parent,
            KERNEL=kernel,
            CONFIG=config,
            IMAGE=image,
            VERSION=next((kernel / "lib/modules").iterdir()).name,
        )

    return make


def _unpacked(image: Path) -> Callable[[Path], None]:
    def make(directory: Path) -> None:
        directory.mkdir()
        shell('zstd -dc "$IMAGE" | cpio --quiet -i -d -m', directory, IMAGE=image)

    return make


def debian(root: Path) -> Input:
    kernel = _made(root / "kernel", _kernel_package)
    image = _made(root / "debian.zst", _debian_image(kernel))
    tree = _made(root / "debian", _unpacked(image))
    gzip, zstd = _other_tools_images(tree)
    return Input(
        "debian", ("--from-dir", str(tree)), tree, _file_of_a_megabyte(tree), 3, gzip, zstd
    )


def gigabyte(root: Path) -> Input:
    tree = _made(root / "tree", make_tree)
    edited = _file_of_a_megabyte(tree)
    return Input("tree", ("--from-dir", str(tree)), tree, edited, 1, *_other_tools_images(tree))


def _early_tree(kernel: Path) -> Callable[[Path], None]:
    """What distributions put before the compressed part: microcode, firmware, and the modules."""

    def make(directory: Path) -> None:
        chance = random.Random(_EARLY_SEED)
        microcode = directory / "kernel/x86/microcode"
        firmware = directory / "usr/lib/firmware"
        for path in (microcode, firmware):
            path.mkdir(parents=True)
        (microcode / "GenuineIntel.bin").write_bytes(chance.randbytes(8 * MEGABYTE))
        (microcode / "AuthenticAMD.bin").write_bytes(chance.randbytes(MEGABYTE // 4))
        for number in range(60):
            (firmware / f"device-{number:02}.bin").write_bytes(chance.randbytes(MEGABYTE // 4))
        for version in (kernel / "lib/modules").iterdir():
            for kind in ("drivers", "net"):
                shutil.copytree(
                    version / "kernel" / kind,
                    directory / "usr/lib/modules" / version.name / "kernel" / kind,
                )

    return make


def large_image(root: Path) -> Path:
    """An image of several parts: an uncompressed one of some 80 MB, then a zstd one."""
    kernel = _made(root / "kernel", _kernel_package)
    main = _made(root / "debian.zst", _debian_image(kernel))
    early = _made(root / "early", _early_tree(kernel))
    archive = _made(root / "early.cpio", _archive(early, "cat"))
    return _made(
        root / "large.img",
        lambda image: shell(
            'cat "$EARLY" "$MAIN" >"$IMAGE"', root, EARLY=archive, MAIN=main, IMAGE=image
        ),
    )
