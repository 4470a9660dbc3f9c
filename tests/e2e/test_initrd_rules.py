"""What Linux takes of an image and where it stops: capsem's verdict beside that of a booted kernel.

The rules are those of init/initramfs.c and lib/decompress_*.c; docs/initrd.md has a row for each.
"""

import gzip
import lzma
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import ASSETS, BUILD, LIMIT_S, SOURCE, Capsem

FILE, DIRECTORY, LINK = 0o100644, 0o040755, 0o120777


def record(name: str, mode: int = FILE, body: bytes = b"", **fields: object) -> bytes:
    """A newc record; `fields` are what else it says, and `raw` replaces the NUL-ended name."""
    raw = fields.get("raw", name.encode() + b"\0")
    assert isinstance(raw, bytes)
    numbers = [fields.get("inode", 0), mode, 0, 0, fields.get("links", 1), 0, len(body), 0, 0, 0, 0]
    numbers += [len(raw), fields.get("checksum", 0)]
    header = str(fields.get("magic", "070701")) + "".join(f"{number:08x}" for number in numbers)
    return padded(padded(header.encode() + raw) + body)


def padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


TRAILER = record("TRAILER!!!")
AFTER = record("after") + TRAILER  # Linux makes it when it has gone on


def gzip_with(flags: int, field: bytes) -> bytes:
    data = bytearray(gzip.compress(record("packed") + TRAILER, mtime=0))
    data[3] |= flags
    return padded(bytes(data[:10]) + field + bytes(data[10:]))


def boot_config(image: bytes) -> bytes:
    text = b"kernel.quiet\n\0"
    text += b"\0" * (-(len(image) + len(text) + 20) % 4)
    return text + len(text).to_bytes(4, "little") + sum(text).to_bytes(4, "little") + b"#BOOTCONFIG\n"


@dataclass
class Refused:
    """Bytes at which Linux stops, what it says, and what `verify` says."""

    rule: str
    data: bytes
    linux: str
    verify: str


REFUSED = [
    Refused("magic", record("x", magic="070703"), "no cpio magic", "magic is not"),
    Refused("old-format", record("x", magic="070707"), "incorrect cpio method", "old portable format"),
    Refused("multiple-of-four", b"\0\0" + record("x"), "broken padding", "multiple of four"),
    Refused("no-segment", b"XXXX", "invalid magic", "neither an archive nor"),
    Refused("name-without-nul", record("", raw=b"fooP"), "malformed archive", "end with a NUL"),
    Refused("checksum", record("x", body=b"b", magic="070702", checksum=1), "bad data checksum", "checksum"),
    Refused(
        "behind-the-last-archive",
        padded(gzip.compress(record("packed") + TRAILER + b"junk", mtime=0)),
        "junk within compressed archive",
        "something else behind",
    ),
    Refused("gzip-fhcrc", gzip_with(2, b"ab"), "", "FHCRC"),
    Refused("gzip-fextra", gzip_with(4, b"\6\0BC\2\0\x1b\0"), "", "FEXTRA"),
    Refused("gzip-fcomment", gzip_with(16, b"hello\0"), "", "FCOMMENT"),
    Refused(
        "xz-check",
        padded(lzma.compress(record("packed") + TRAILER, check=lzma.CHECK_CRC64)),
        "",
        "check is one that Linux does not read",
    ),
]


@dataclass
class Taken:
    """Records that Linux takes, or passes over: what is there afterwards, and what `verify` says."""

    rule: str
    data: bytes
    there: dict[str, str]  # type and mode, and size, by path; empty for what is not there
    verify: str


TAKEN = [
    Taken("number", record("number").replace(b"070701" + b"0" * 8, b"070701" + b"0x" + b"0" * 6, 1),
          {"/number": "100644 0"}, "newer kernels refuse the image"),
    Taken("zeros", record("before") + b"\0" * 8 + record("zeros"), {"/zeros": "100644 0"}, "zero bytes stand between"),
    Taken("empty-name", record("", raw=b"\0"), {}, "name is empty"),
    Taken("long-name", record("n" * 4096), {}, "longer than 4095"),
    Taken("nul-in-name", record("", raw=b"cut\0short\0"), {"/cut": "100644 0", "/short": ""}, "holds a NUL"),
    Taken("long-target", record("far", LINK, b"x" * 4097), {"/far": ""}, "target is longer"),
    Taken("body", record("body", DIRECTORY, b"x"), {"/body": ""}, "neither a file nor a symlink"),
    Taken("type", record("type", 0o110644), {"/type": ""}, "type does not exist"),
    Taken("no-directory", record("none/x"), {"/none/x": ""}, "does not come before it"),
    Taken("no-such-directory", record("plain") + record("plain/x"), {"/plain/x": ""}, "is no directory"),
    Taken("loop", record("round", LINK, b"round") + record("round/x"), {"/round/x": ""}, "too many symlinks"),
    Taken("long-part", record("p" * 256), {"/" + "p" * 256: ""}, "longer than 255"),
    Taken("in-the-way", record("full", DIRECTORY) + record("full/x") + record("full", FILE),
          {"/full": "40755 0", "/full/x": "100644 0"}, "is in its way"),
    Taken("other-type", record("other") + record("other", DIRECTORY), {"/other": "40755 0"}, "removes that"),
    Taken("other-mode", record("twice") + record("twice", 0o100600), {"/twice": "100600 0"}, "another mode"),
    Taken("through-link",
          record("one", inode=7, links=2, body=b"1") + record("two", inode=7, links=2)
          + record("one", inode=8, body=b"long"),
          {"/one": "100644 4", "/two": "100644 4"}, "writes into the file of all its names"),
    Taken("parent", record("a", DIRECTORY) + record("a/../up"), {"/up": "100644 0"}, "holds ..; Linux follows"),
    Taken("link-in-another-archive",
          record("first", inode=9, links=2, body=b"text") + TRAILER + record("second", inode=9, links=2),
          {"/first": "100644 4", "/second": "100644 0"}, "makes an empty file"),
]


def init_image() -> bytes:
    program = (BUILD / "tests/vm/vm_test_init").read_bytes()
    return record("init", 0o100755, program) + TRAILER


def boot(image: bytes, directory: Path) -> tuple[dict[str, str], str]:
    """What the kernel has made of the image, by path, and all that it said."""
    if not (ASSETS / "vmlinux").exists():
        pytest.skip("no kernel: build the assets")
    initrd = directory / "boot.img"
    initrd.write_bytes(image)
    qemu = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
    qemu += ["-machine", "q35", "-accel", "tcg", "-m", "256", "-bios", "qboot.rom", "-serial", "stdio"]
    qemu += ["-cpu", "qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+rdrand,+aes,+pclmulqdq"]
    qemu += ["-kernel", str(ASSETS / "vmlinux"), "-initrd", str(initrd)]
    qemu += ["-append", "console=ttyS0 panic=-1 nolapic_timer bootconfig -- list"]
    done = subprocess.run(qemu, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT_S)
    text = done.stdout.decode(errors="replace").replace("\r", "")
    assert "FLOOR" in text, text[-2000:]
    found = re.findall(r"^= (\d+ \d+) (.*)$", text, re.MULTILINE)
    return {path: what for what, path in found}, text


def verified(capsem: Capsem, image: bytes) -> tuple[int, str]:
    result = capsem.call("initrd", "verify", "-", stdin=image)
    return result.returncode, result.stderr.decode()


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.rule)
def test_linux_stops_where_verify_says(capsem: Capsem, tmp_path: Path, case: Refused) -> None:
    image = init_image() + case.data + AFTER
    status, said = verified(capsem, image)
    assert status == 1
    assert case.verify in said
    assert "Linux can unpack it" not in said
    there, log = boot(image, tmp_path)
    assert f"Initramfs unpacking failed: {case.linux}" in log
    assert "/after" not in there


def test_linux_takes_what_verify_warns_of(capsem: Capsem, tmp_path: Path) -> None:
    for case in TAKEN:
        status, said = verified(capsem, init_image() + case.data + TRAILER)
        assert case.verify in said, case.rule
        assert status == (1 if case.rule == "number" else 0), case.rule
    # An archive for each, since hard links hold within one.
    there, log = boot(init_image() + b"".join(case.data + TRAILER for case in TAKEN) + AFTER, tmp_path)
    assert "unpacking failed" not in log
    for case in TAKEN:
        for path, what in case.there.items():
            assert there.get(path, "") == what, case.rule
    assert "/after" in there


def test_linux_needs_no_trailer_and_cuts_off_a_boot_configuration(capsem: Capsem, tmp_path: Path) -> None:
    image = init_image() + record("after")
    image += boot_config(image)
    status, said = verified(capsem, image)
    assert status == 0
    assert "has no trailer" in said and "cuts it off" in said
    there, log = boot(image, tmp_path)
    assert "unpacking failed" not in log
    assert "/after" in there


def test_every_rule_has_its_row_in_the_docs() -> None:
    text = (SOURCE / "docs/initrd.md").read_text()
    rules = [case.rule for case in REFUSED] + [case.rule for case in TAKEN] + ["trailer", "boot-configuration"]
    rows = re.findall(r"^\| `([a-z-]+)` \|", text, re.MULTILINE)
    assert [row for row in rows if row in rules] == rules
