"""One policy, five gates: a mode or a hash that is changed by force is named by the gate it comes to.

The fifth gate, the doctor, has its tests with the others of the guest."""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import ASSETS, BUILD, Capsem, Checkout, error_lines, the_error

TOOL = "capsem/bin/snapshots"
DATA = "capsem/diagnostics/conftest.py"
SUMS = "capsem/SHA256SUMS"
SCRIPT = b"#!/bin/sh\necho from the rootfs\n"

Change = Callable[["Tree"], None]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class Tree:
    """The unpacked files of an initrd or a rootfs."""

    root: Path

    def replace(self, path: str, data: bytes | None = None, mode: int | None = None) -> None:
        """Another content or mode, for this name alone of a file that may have several."""
        file = self.root / path
        data = file.read_bytes() if data is None else data
        mode = file.stat().st_mode & 0o7777 if mode is None else mode
        directory = file.parent.stat().st_mode & 0o7777
        file.parent.chmod(0o755)
        file.unlink()
        file.write_bytes(data)
        file.chmod(mode)
        file.parent.chmod(directory)

    def list_anew(self, path: str) -> None:
        """Has the list of hashes say what the file holds now."""
        digest = sha256((self.root / path).read_bytes())
        lines = (self.root / SUMS).read_text().splitlines()
        lines = [f"{digest}  /{path}" if line.endswith(f"  /{path}") else line for line in lines]
        self.replace(SUMS, "".join(f"{line}\n" for line in lines).encode())

    def remove(self, path: str) -> None:
        (self.root / path).unlink()


@dataclass
class Gates(Checkout):
    """A checkout whose image and rootfs are changed by hand."""

    unpacked_rootfs: Path = Path()

    def image(self, change: Change) -> str:
        """An image with something changed that the packer would not have made."""
        assert self.call("initrd", "pack").returncode == 0
        tree = Tree(self.source / "image")
        packed = self.call("initrd", "extract", str(self.assets / "initrd.img"), "-C", str(tree.root))
        assert packed.returncode == 0, packed.stderr
        change(tree)
        image = self.source / "by-hand.img"
        packed = self.call("initrd", "pack", "--from-dir", str(tree.root), "-o", str(image))
        assert packed.returncode == 0, packed.stderr
        return str(image)

    def change_rootfs(self, change: Change) -> None:
        """The same for the rootfs, which takes the place of the real one."""
        tree = Tree(self.source / "rootfs")
        shutil.copytree(self.unpacked_rootfs, tree.root, symlinks=True, copy_function=os.link)
        change(tree)
        path = self.assets / "rootfs.squashfs"
        path.unlink()
        subprocess.run(
            ["mksquashfs", tree.root, path, "-comp", "lz4", "-all-root", "-quiet", "-no-progress"],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        index_path = self.own(self.assets / "assets.json")
        index = json.loads(index_path.read_text())
        for file in index["files"]:
            if file["name"] == path.name:
                file.update(size=path.stat().st_size, sha256=sha256(path.read_bytes()))
        index_path.write_text(json.dumps(index))

    def boot(self, image: str, command: str, *options: str) -> subprocess.CompletedProcess[bytes]:
        return self.run(*options, "--initrd", image, "--", command)


@pytest.fixture(scope="module")
def unpacked_rootfs() -> Iterator[Path]:
    """Without what no command here needs."""
    root = BUILD / "e2e" / f"rootfs-{os.getpid()}"
    shutil.rmtree(root, ignore_errors=True)
    root.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["unsquashfs", "-quiet", "-no-progress", "-no-xattrs", "-dest", root, "-excludes",
         ASSETS / "rootfs.squashfs", "usr/share", "usr/include"],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    yield root
    shutil.rmtree(root)


@pytest.fixture
def gates(checkout: Checkout, unpacked_rootfs: Path) -> Gates:
    return Gates(**vars(checkout), unpacked_rootfs=unpacked_rootfs)


def deploy_lines(result: subprocess.CompletedProcess[bytes]) -> list[str]:
    """What PID 1 said of the deployment; it is all that was said."""
    prefix = "capsem: warning: in the guest: deploy: "
    lines = error_lines(result)
    assert all(line.startswith(prefix) for line in lines), lines
    return [line.removeprefix(prefix) for line in lines]


def test_the_list(checkout: Checkout) -> None:
    checkout.edit("guest.toml", lambda text: text.replace('mode = "0555"', 'mode = "0755"', 1))
    result = checkout.run("true")
    assert result.returncode == 125
    line = the_error(result)
    assert "guest.toml:" in line and "mode 0755 of capsem-pty-agent lets it be written" in line


def test_the_packed_image(checkout: Checkout, tmp_path: Path) -> None:
    assert checkout.call("initrd", "pack").returncode == 0
    image = checkout.assets / "initrd.img"
    assert checkout.call("initrd", "verify", str(image)).returncode == 0
    (tmp_path / "list").write_text(f"file /{DATA} {__file__} 0644 0 0\n")
    segment = checkout.call("initrd", "pack", "--from-list", str(tmp_path / "list"), "-o", "-").stdout
    data = image.read_bytes()
    image.write_bytes(data + bytes(-len(data) % 4) + segment)
    result = checkout.call("initrd", "verify", str(image))
    assert result.returncode == 1
    text = result.stderr.decode()
    assert f"cannot accept /{DATA}: its mode is 0644, the policy says 0444" in text
    assert f"/{SUMS} does not hold the hashes of the entries' files" in text


# What PID 1 does with the image of an engineer who made it by hand.
@pytest.mark.parametrize(
    ("entry", "path", "change", "reason"),
    [
        ("snapshots", TOOL, {"mode": 0o755}, "its mode is 0755, the policy says 0555"),
        ("snapshots", TOOL, {"data": SCRIPT}, f"its SHA-256 begins with {sha256(SCRIPT)[:12]}, "),
        ("diagnostics", DATA, {"mode": 0o644}, "its mode is 0644, the policy says 0444"),
        ("diagnostics", DATA, {"data": b"x"}, f"its SHA-256 begins with {sha256(b'x')[:12]}, "),
    ],
)
def test_a_changed_copy_in_the_initrd_is_refused_for_that_of_the_rootfs(
    gates: Gates, entry: str, path: str, change: dict[str, object], reason: str
) -> None:
    image = gates.image(lambda tree: tree.replace(path, **change))  # type: ignore[arg-type]
    result = gates.boot(image, f"grep -P '^{entry}\\t' /capsem/deployed | cut -f 2; ls /{path}")
    assert result.stdout.decode() == f"rootfs\n/{path}\n"
    (line,) = deploy_lines(result)
    assert line.startswith(f"cannot accept /{path} of the initrd: {reason}")


def test_an_appended_segment_is_refused_too(gates: Gates, tmp_path: Path) -> None:
    image = Path(gates.image(lambda tree: None))
    # A link first: over a file of several names Linux would write all of them.
    (tmp_path / "list").write_text(
        f"slink /{TOOL} x 0777 0 0\nfile /{TOOL} {gates.build}/guest/snapshots 0755 0 0\n"
    )
    segment = gates.call("initrd", "pack", "--from-list", str(tmp_path / "list"), "-o", "-").stdout
    with image.open("ab") as file:
        file.write(bytes(-file.tell() % 4) + segment)
    result = gates.boot(str(image), "grep snapshots /capsem/deployed | cut -f 2")
    assert result.stdout == b"rootfs\n"
    assert deploy_lines(result) == [
        f"cannot accept /{TOOL} of the initrd: its mode is 0755, the policy says 0555"
    ]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"mode": 0o775}, "its mode is 0775, the policy says 0555"),
        ({"data": SCRIPT}, f"its SHA-256 begins with {sha256(SCRIPT)[:12]}, "),
    ],
)
def test_a_changed_copy_in_the_rootfs_is_refused(
    gates: Gates, change: dict[str, object], reason: str
) -> None:
    gates.change_rootfs(lambda tree: tree.replace(TOOL, **change))  # type: ignore[arg-type]
    image = gates.image(lambda tree: tree.remove(TOOL))
    result = gates.boot(image, f"grep snapshots /capsem/deployed; ls /{TOOL}; echo up")
    assert result.stdout == b"snapshots\tabsent\t-\nup\n"
    lines = error_lines(result)
    assert lines[0].startswith(
        f"capsem: warning: in the guest: deploy: cannot accept /{TOOL} of the rootfs: {reason}"
    )
    assert lines[1].endswith("deploy: snapshots is absent: no copy of it was accepted")


def test_a_wrong_hash_with_the_right_mode_in_both_places(gates: Gates) -> None:
    gates.change_rootfs(lambda tree: tree.replace(TOOL, data=SCRIPT))
    image = gates.image(lambda tree: tree.replace(TOOL, data=SCRIPT))
    lines = deploy_lines(gates.boot(image, "true"))
    assert [line.partition(": its SHA-256 begins with ")[0] for line in lines] == [
        f"cannot accept /{TOOL} of the initrd",
        f"cannot accept /{TOOL} of the rootfs",
        "snapshots is absent: no copy of it was accepted",
    ]


def make_a_script_of_it(tree: Tree) -> None:
    tree.replace(TOOL, data=SCRIPT)
    tree.list_anew(TOOL)


def test_of_an_entry_in_both_places_the_initrds_copy_runs(gates: Gates) -> None:
    gates.change_rootfs(make_a_script_of_it)
    result = gates.boot(gates.image(lambda tree: None), "snapshots list; true", "--timing")
    assert b"from the rootfs" not in result.stdout
    digest = sha256((gates.build / "guest/snapshots").read_bytes())
    assert f"   initrd  {digest[:12]}  snapshots" in error_lines(result)


def test_removed_from_the_initrd_the_rootfs_copy_runs_at_the_same_path_and_as_protected(
    gates: Gates,
) -> None:
    gates.change_rootfs(make_a_script_of_it)
    image = gates.image(lambda tree: tree.remove(TOOL))
    result = gates.boot(
        image,
        f"/{TOOL}; stat -c '%a %u:%g' /{TOOL}; (echo x >/{TOOL}) 2>&1 | grep -o 'Read-only.*'; "
        f"rm -f /{TOOL} 2>&1 | grep -o 'Read-only.*'; chmod 755 /{TOOL} 2>&1 | grep -o 'Read-only.*'; "
        "grep snapshots /capsem/deployed",
        "--timing",
    )
    assert result.stdout.decode().splitlines() == [
        "from the rootfs", "555 0:0", *["Read-only file system"] * 3, f"snapshots\trootfs\t{sha256(SCRIPT)}",
    ]  # fmt: skip
    assert f"   rootfs  {sha256(SCRIPT)[:12]}  snapshots" in error_lines(result)


def test_in_neither_is_one_line_and_the_boot_goes_on(gates: Gates) -> None:
    gates.change_rootfs(lambda tree: tree.remove(TOOL))
    result = gates.boot(gates.image(lambda tree: tree.remove(TOOL)), "echo up")
    assert result.stdout == b"up\n"
    assert deploy_lines(result) == ["snapshots is neither in the initrd nor in the rootfs"]


def test_without_an_essential_entry_the_boot_fails_with_the_reason(gates: Gates) -> None:
    agent = "capsem/bin/capsem-pty-agent"
    gates.change_rootfs(lambda tree: tree.replace(agent, mode=0o775))
    image = gates.image(lambda tree: tree.replace(agent, mode=0o755))
    result = gates.boot(image, "true")
    assert result.returncode == 125
    line = the_error(result)
    assert "cannot boot the guest: " in line
    assert f"cannot accept /{agent} of the initrd: its mode is 0755" in line
    assert f"cannot accept /{agent} of the rootfs: its mode is 0775" in line


def test_a_rootfs_without_hashes_boots_without_a_word(gates: Gates) -> None:
    gates.change_rootfs(lambda tree: tree.remove(SUMS))
    result = gates.boot(gates.image(lambda tree: None), "echo up")
    assert (result.stdout, result.stderr) == (b"up\n", b"")


def test_of_a_rootfs_without_hashes_nothing_is_taken_and_it_says_so_once(gates: Gates) -> None:
    gates.change_rootfs(lambda tree: tree.remove(SUMS))

    def remove_two(tree: Tree) -> None:
        tree.remove(TOOL)
        tree.remove("capsem/bin/capsem-sysutil")

    result = gates.boot(gates.image(remove_two), "echo up")
    assert result.stdout == b"up\n"
    assert deploy_lines(result) == [
        f"cannot check the copies of the rootfs: it has no /{SUMS}; make it anew with "
        "'./dev build-assets'",
        "capsem-sysutil is absent: no copy of it was accepted",
        "snapshots is absent: no copy of it was accepted",
    ]


def test_a_ready_image_is_booted_and_none_is_packed(checkout: Checkout, tmp_path: Path) -> None:
    image = tmp_path / "ready.img"
    assert checkout.call("initrd", "pack", "-o", str(image)).returncode == 0
    (checkout.build / "build.ninja").write_text("a build that must not run")
    result = checkout.run("--initrd", str(image), "echo up")
    assert (result.stdout, result.stderr) == (b"up\n", b"")
    assert not (checkout.assets / "initrd.img").exists()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("rootfs.squashfs", "it starts with neither an archive nor a known compression"),
        ("modules.img", "cannot find /init: there is none"),
    ],
)
def test_what_is_no_image_is_not_booted(capsem: Capsem, name: str, reason: str) -> None:
    result = capsem.run("--initrd", str(ASSETS / name), "true")
    assert result.returncode == 125
    line = the_error(result)
    assert f"cannot boot the image {ASSETS / name}: " in line and reason in line
