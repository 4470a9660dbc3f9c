"""list, diff and verify on images that other tools made."""

import gzip
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import Capsem, Checkout, error_lines, the_error

HEADER_BYTES = 110


def record(path: bytes, mode: int = 0o100644, body: bytes = b"", **fields: int) -> bytes:
    """One newc record, of any content."""
    values = [
        fields.get("inode", 1), mode, fields.get("uid", 0), 0, fields.get("links", 1),
        fields.get("mtime", 0), len(body), 0, 0, fields.get("major", 0), fields.get("minor", 0),
        len(path) + 1, 0,
    ]  # fmt: skip
    header = b"070701" + b"".join(b"%08x" % value for value in values) + path + b"\0"
    header += b"\0" * (-len(header) % 4)
    return header + body + b"\0" * (-len(body) % 4)


TRAILER = record(b"TRAILER!!!", 0)
INIT = record(b"init", 0o100755, b"#!/bin/sh\n")


def as_it_is(data: bytes) -> bytes:
    return data


def by(*command: str) -> Callable[[bytes], bytes]:
    return lambda data: subprocess.run(command, input=data, capture_output=True, check=True).stdout


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "none": as_it_is,
    "gzip": by("gzip", "-9n"),
    "zstd": by("zstd", "-q", "-c"),
    "lz4": by("lz4", "-q", "-l", "-c"),
    "xz": by("xz", "--check=crc32", "-c"),
}


@dataclass
class Tree:
    """A directory with what an ordinary user can make, and its names in order."""

    root: Path
    names: list[str]

    def archive(self, *command: str) -> bytes:
        names = "\n".join(self.names).encode() + b"\n"
        return subprocess.run(
            command, input=names, cwd=self.root, capture_output=True, check=True
        ).stdout


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    root = tmp_path / "tree"
    (root / "sub/empty").mkdir(parents=True)
    (root / "init").write_bytes(Path("/bin/true").read_bytes())
    (root / "init").chmod(0o755)
    (root / "sub/a").write_bytes(b"x" * 100_000)
    os.link(root / "sub/a", root / "sub/b")
    (root / "sub/link").symlink_to("../init")
    os.mkfifo(root / "fifo", 0o600)
    (root / "sub/größe und mehr").write_text("")
    for path in root.rglob("*"):
        os.utime(path, (0, 86_400), follow_symlinks=False)
    return Tree(root, sorted(str(path.relative_to(root)) for path in root.rglob("*")))


ARCHIVERS = {
    "newc": ("cpio", "-o", "-H", "newc", "--quiet"),
    "crc": ("cpio", "-o", "-H", "crc", "--quiet"),
    "bsdtar": ("bsdtar", "--format", "newc", "--no-recursion", "-cf", "-", "-T", "-"),
}


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("archiver", ARCHIVERS)
def test_reads_what_others_write(
    capsem: Capsem, tree: Tree, tmp_path: Path, archiver: str, packer: str
) -> None:
    image = tmp_path / "image"
    image.write_bytes(PACKERS[packer](tree.archive(*ARCHIVERS[archiver])))
    listed = capsem.call("initrd", "list", str(image))
    assert listed.returncode == 0, listed.stderr
    lines = [line.split(None, 6) for line in listed.stdout.decode().splitlines()]
    assert [line[6].split(" -> ")[0] for line in lines] == tree.names
    verified = capsem.call("initrd", "verify", str(image))
    assert verified.returncode == 0, verified.stderr
    # The only thing to say of it is that its times may be lost.
    assert [line for line in error_lines(verified) if "warning" in line and "MTIME" not in line] == []


def test_lists_as_ls_does(capsem: Capsem, tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(
        record(b"dir", 0o041777, mtime=1_000_000_000)
        + record(b"suid", 0o104755, b"abc", uid=1000, links=2)
        + record(b"null", 0o020666, major=1, minor=3)
        + record(b"link", 0o120777, b"a\nb")
        + record(b"bad\x1b[31m\xff", 0o100000)
        + TRAILER
    )
    listed = capsem.call("initrd", "list", str(image)).stdout.decode().splitlines()
    assert [" ".join(line.split()) for line in listed] == [
        "drwxrwxrwt 1 0 0 0 2001-09-09T01:46:40Z dir",
        "-rwsr-xr-x 2 1000 0 3 - suid",
        "crw-rw-rw- 1 0 0 1, 3 - null",
        "lrwxrwxrwx 1 0 0 3 - link -> a\\x0ab",
        "---------- 1 0 0 0 - bad\\x1b[31m\\xff",
    ]


def test_json_holds_every_field_and_name(capsem: Capsem, tmp_path: Path) -> None:
    image = tmp_path / "image"
    odd = b'q"\\\n\xff'
    image.write_bytes(
        record(b"null", 0o020666, major=1, minor=3, inode=9, mtime=5) + TRAILER + bytes(12)
        + gzip.compress(record(odd) + record(b"link", 0o120777, "ü".encode()) + TRAILER)
    )  # fmt: skip
    first, second = json.loads(capsem.call("initrd", "list", "--json", str(image)).stdout)["segments"]
    assert first["records"] == [
        {
            "path": "null", "type": "character device", "mode": "0666", "links": 1, "uid": 0,
            "gid": 0, "bytes": 0, "mtime": 5, "inode": 9, "device_major": 0, "device_minor": 0,
            "rdevice_major": 1, "rdevice_minor": 3, "archive": 0,
        }
    ]  # fmt: skip
    assert (first["codec"], first["offset"], first["record_count"]) == ("none", 0, 1)
    assert second["offset"] == first["bytes"] + 12
    assert second["records"][0]["path"] == 'q"\\\n\N{REPLACEMENT CHARACTER}'
    assert bytes.fromhex(second["records"][0]["path_hex"]) == odd
    assert second["records"][1]["target"] == "ü"
    assert "path_hex" not in second["records"][1]
    segments = json.loads(capsem.call("initrd", "list", "--json", "--segments", str(image)).stdout)
    assert [segment["codec"] for segment in segments["segments"]] == ["none", "gzip"]
    assert all("records" not in segment for segment in segments["segments"])


def test_lists_segments(capsem: Capsem, tmp_path: Path) -> None:
    image = tmp_path / "image"
    packed = gzip.compress(INIT + record(b"a") + TRAILER)
    image.write_bytes(INIT + TRAILER + packed)
    lines = capsem.call("initrd", "list", "--segments", str(image)).stdout.decode().splitlines()
    stored = len(INIT + TRAILER)
    assert [line.split() for line in lines] == [
        ["offset", "codec", "bytes", "unpacked", "records"],
        ["0", "none", str(stored), str(stored), "1"],
        [str(stored), "gzip", str(len(packed)), str(len(INIT + record(b"a") + TRAILER)), "2"],
    ]


def test_lists_what_comes_before_the_damage(capsem: Capsem, tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(INIT + TRAILER + b"rubbish")
    listed = capsem.call("initrd", "list", str(image))
    assert listed.returncode == 2
    assert listed.stdout.decode().split()[-1] == "init"
    assert "segment at byte" in the_error(listed)
    listed = capsem.call("initrd", "list", "--json", str(image))
    assert listed.returncode == 2
    document = json.loads(listed.stdout)
    assert document["segments"][0]["records"][0]["path"] == "init"
    assert "segment at byte" in document["error"]
    # In the middle of a segment too.
    image.write_bytes(INIT + record(b"a", body=b"x" * 1000)[:500])
    document = json.loads(capsem.call("initrd", "list", "--json", str(image)).stdout)
    assert [r["path"] for r in document["segments"][0]["records"]] == ["init", "a"]


def test_stops_at_the_limit(capsem: Capsem, tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(gzip.compress(record(b"bomb", body=bytes(50_000_000)) + TRAILER))
    assert capsem.call("initrd", "list", str(image)).returncode == 0
    for word, status in (("list", 2), ("verify", 1)):
        stopped = capsem.call("initrd", word, "--limit", "1M", str(image))
        assert stopped.returncode == status
        assert "limit" in error_lines(stopped)[-1]


@pytest.mark.parametrize("word", ["list", "verify"])
def test_reads_a_pipe(capsem: Capsem, tree: Tree, word: str) -> None:
    image = gzip.compress(tree.archive(*ARCHIVERS["newc"]))
    piped = capsem.call("initrd", word, "-", stdin=image)
    assert piped.returncode == 0
    assert capsem.call("initrd", word, "-", stdin=image[:-9]).returncode == (2 if word == "list" else 1)


def test_a_closed_pipe_ends_the_list_quietly(capsem: Capsem, tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(b"".join(record(b"f%d" % i) for i in range(20_000)) + TRAILER)
    listing = subprocess.Popen(
        capsem.command("initrd", "list", str(image)),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=capsem.env(),
    )  # fmt: skip
    assert listing.stdout is not None and listing.stderr is not None
    listing.stdout.readline()
    listing.stdout.close()
    assert listing.stderr.read() == b""
    assert listing.wait() != 0


def test_a_full_disk_is_told(capsem: Capsem, tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(INIT + TRAILER)
    with open("/dev/full", "wb") as full:
        listed = subprocess.run(
            capsem.command("initrd", "list", str(image)), stdout=full, stderr=subprocess.PIPE
        )
    assert listed.returncode == 2
    assert b"No space left" in listed.stderr


def test_diff(capsem: Capsem, tree: Tree, tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    before.write_bytes(tree.archive(*ARCHIVERS["newc"]))
    after.write_bytes(PACKERS["zstd"](tree.archive(*ARCHIVERS["bsdtar"])))
    same = capsem.call("initrd", "diff", str(before), str(after))
    assert (same.returncode, same.stdout, same.stderr) == (0, b"", b"")

    (tree.root / "init").chmod(0o700)
    (tree.root / "sub/a").write_bytes(b"y" * 100_000)
    (tree.root / "new").write_text("")
    tree.names = ["new", *(name for name in tree.names if name != "fifo")]
    after.write_bytes(tree.archive(*ARCHIVERS["crc"]))
    different = capsem.call("initrd", "diff", str(before), str(after))
    assert different.returncode == 1
    assert different.stdout.decode().splitlines() == [
        "- fifo",
        "M init: mode 0755 -> 0700",
        "+ new",
        "M sub/a: content",
        "M sub/b: content",
    ]
    with_times = capsem.call("initrd", "diff", "--times", str(before), str(after)).stdout.decode()
    assert "M sub/a: time 86400 -> " in with_times

    piped = capsem.call("initrd", "diff", "-", str(after), stdin=before.read_bytes())
    assert piped.stdout == different.stdout
    piped = capsem.call("initrd", "diff", str(before), "-", stdin=after.read_bytes())
    assert piped.stdout == different.stdout


def test_diff_has_a_status_for_trouble(capsem: Capsem, tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_bytes(INIT + TRAILER)
    bad.write_bytes(b"rubbish")
    for pair in ((good, bad), (bad, good), (good, tmp_path / "missing"), ("-", "-")):
        failed = capsem.call("initrd", "diff", *map(str, pair))
        assert failed.returncode == 2, pair
        the_error(failed)


def test_verify_tells_problems_from_warnings(capsem: Capsem, tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(INIT + record(b"a/b") + TRAILER)
    warned = capsem.call("initrd", "verify", str(image))
    assert warned.returncode == 0
    assert "warning" in error_lines(warned)[0] and "its directory a" in error_lines(warned)[0]
    image.write_bytes(INIT + b"070707" + bytes(100))
    damaged = capsem.call("initrd", "verify", str(image))
    assert damaged.returncode == 1
    assert "old portable format" in the_error(damaged)
    for unreadable in (tmp_path / "missing", tmp_path):
        assert capsem.call("initrd", "verify", str(unreadable)).returncode == 2


def test_verify_holds_the_guests_image_against_its_index(checkout: Checkout, tmp_path: Path) -> None:
    assert checkout.call("initrd", "pack").returncode == 0
    good = checkout.call("initrd", "verify")
    assert good.returncode == 0, good.stderr
    assert len(error_lines(good)) == 1, "a warning of our own image"
    image, index = checkout.assets / "initrd.img", checkout.assets / "initrd.json"

    # A mode that breaks the policy, in an image that is otherwise as it was.
    mode = checkout.call("initrd", "list", "--json", str(image))
    assert json.loads(mode.stdout)["segments"]
    added = record(b"capsem/bin/capsem-doctor", 0o100777, b"#!/bin/sh\n") + TRAILER
    changed = tmp_path / "changed.img"
    changed.write_bytes(image.read_bytes() + bytes(-image.stat().st_size % 4) + added)
    assert checkout.call("initrd", "verify", str(changed)).returncode == 0, "no index, any image"
    shutil.copy(index, tmp_path / "changed.json")
    found = checkout.call("initrd", "verify", str(changed))
    assert found.returncode == 1
    text = found.stderr.decode()
    assert "/capsem/bin/capsem-doctor: its mode is 0777" in text
    assert "the image does not match the hash in its index" in text
    assert "/capsem/bin/capsem-doctor is not the one in the index" in text
    assert checkout.call("initrd", "verify", "--structure", str(changed)).returncode == 0

    index.unlink()
    missing = checkout.call("initrd", "verify")
    assert missing.returncode == 2, "a missing index is no pass"
    assert "initrd.json" in the_error(missing)


def test_reads_what_mkinitramfs_makes(capsem: Capsem, tmp_path: Path) -> None:
    program = shutil.which("mkinitramfs", path=os.environ["PATH"] + ":/usr/sbin")
    kernels = sorted(Path("/lib/modules").glob("*")) if Path("/lib/modules").is_dir() else []
    if program is None or not kernels:
        pytest.skip("no mkinitramfs, or no kernel's modules to make an image of")
    # Without the modules of a generic image, which take most of a minute.
    configuration = tmp_path / "initramfs-tools"
    shutil.copytree("/etc/initramfs-tools", configuration)
    (configuration / "initramfs.conf").write_text("MODULES=list\nCOMPRESS=zstd\n")
    image = tmp_path / "initrd.img"
    subprocess.run(
        [program, "-d", configuration, "-o", image, kernels[0].name],
        check=True, capture_output=True,
    )  # fmt: skip
    listed = capsem.call("initrd", "list", str(image))
    assert listed.returncode == 0
    theirs = subprocess.run(["lsinitramfs", image], capture_output=True, check=True).stdout.decode()
    names = [line.split(None, 6)[6].split(" -> ")[0] for line in listed.stdout.decode().splitlines()]
    assert names == theirs.splitlines()
    assert capsem.call("initrd", "verify", str(image)).returncode == 0
