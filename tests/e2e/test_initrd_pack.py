"""capsem initrd pack and convert on trees, lists and images made by others, read by others."""

import json
import os
import re
import stat
import subprocess
import time
from pathlib import Path

import pytest

from conftest import Capsem, Checkout, the_error

CODECS = ["none", "gzip", "zstd", "lz4", "xz"]


@pytest.fixture
def packer(capsem: Capsem, tmp_path: Path) -> Capsem:
    return Capsem(capsem.executable, {"XDG_CACHE_HOME": str(tmp_path / "cache")})


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "bin").mkdir(parents=True)
    (root / "etc").mkdir()
    (root / "bin/tool").write_bytes(os.urandom(400_000))
    (root / "bin/tool").chmod(0o4755)
    os.link(root / "bin/tool", root / "etc/tool-again")
    (root / "etc/name with space\n").write_text("content")
    (root / "sbin").symlink_to("bin")
    os.mkfifo(root / "etc/pipe", 0o600)
    return root




def described(root: Path) -> dict[str, tuple[object, ...]]:
    result: dict[str, tuple[object, ...]] = {}
    for path in sorted(root.rglob("*")):
        info = path.lstat()
        body: object = None
        if stat.S_ISREG(info.st_mode):
            body = path.read_bytes()
        if stat.S_ISLNK(info.st_mode):
            body = os.readlink(path)
        links = 0 if stat.S_ISDIR(info.st_mode) else info.st_nlink
        mode = 0 if stat.S_ISLNK(info.st_mode) else info.st_mode
        result[str(path.relative_to(root))] = (mode, links, body)
    return result


def pack(packer: Capsem, *words: str, **environment: str) -> bytes:
    caller = Capsem(packer.executable, {**packer.environment, **environment})
    result = caller.call("initrd", "pack", *words, "-o", "-")
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_gnu_cpio_unpacks_what_was_packed(packer: Capsem, tree: Path, tmp_path: Path) -> None:
    # One archive after the other is more than GNU cpio reads: each segment of a stored image.
    image = pack(packer, "--from-dir", str(tree), "--codec", "none")
    target = tmp_path / "unpacked"
    target.mkdir()
    trailer = b"TRAILER!!!\0"
    while image.strip(b"\0"):
        end = image.index(trailer) + len(trailer)
        end += -end % 4
        done = subprocess.run(
            ["cpio", "-idm", "--quiet"], cwd=target, input=image[:end] + b"\0" * 512, capture_output=True
        )
        assert done.returncode == 0, done.stderr
        image = image[end:]
    assert described(target) == described(tree)


def test_our_extract_gives_the_tree_back(packer: Capsem, tree: Path, tmp_path: Path) -> None:
    for codec in CODECS:
        image = tmp_path / f"{codec}.img"
        image.write_bytes(pack(packer, "--from-dir", str(tree), "--codec", codec))
        target = tmp_path / codec
        result = packer.call("initrd", "extract", str(image), "-C", str(target))
        assert result.returncode == 0, result.stderr
        assert described(target) == described(tree), codec


def test_the_bytes_depend_on_nothing_around(packer: Capsem, tree: Path, tmp_path: Path) -> None:
    first = pack(packer, "--from-dir", str(tree))
    for path in tree.rglob("*"):
        os.utime(path, (12345, 67890), follow_symlinks=False)
    os.utime(tree, (1, 2))
    again = subprocess.run(
        ["sh", "-c", f"umask 0777; cd {tree}; exec {packer.executable} initrd pack --from-dir . --no-cache -o -"],
        capture_output=True,
        env={**packer.env(), "LC_ALL": "C", "TZ": "Asia/Tokyo"},
    )
    assert again.returncode == 0, again.stderr
    assert again.stdout == first
    for threads in ["1", "2", "9"]:
        assert pack(packer, "--from-dir", str(tree), "--threads", threads, "--no-cache") == first


def test_source_date_epoch_is_the_time_of_every_record(packer: Capsem, tree: Path, tmp_path: Path) -> None:
    image = tmp_path / "x.img"
    image.write_bytes(pack(packer, "--from-dir", str(tree), SOURCE_DATE_EPOCH="86400"))
    listed = packer.call("initrd", "list", str(image))
    assert listed.returncode == 0
    assert listed.stdout.count(b"1970-01-02") == len(list(tree.rglob("*")))
    wrong = Capsem(packer.executable, {**packer.environment, "SOURCE_DATE_EPOCH": "soon"})
    result = wrong.call("initrd", "pack", "--from-dir", str(tree), "-o", str(image))
    assert result.returncode == 2
    assert "SOURCE_DATE_EPOCH" in the_error(result)


def test_a_list_makes_devices_without_root(packer: Capsem, tmp_path: Path) -> None:
    listing = "dir /dev 0755 0 0\nnod /dev/console 0600 0 0 c 5 1\nfile /init /bin/true 0755 7 8 /linuxrc\n"
    result = packer.call("initrd", "pack", "--from-list", "-", "-o", "-", stdin=listing.encode())
    assert result.returncode == 0, result.stderr
    listed = packer.call("initrd", "list", "-", stdin=result.stdout)
    lines = listed.stdout.decode().splitlines()
    assert any(re.match(r"crw------- .* 5, +1 .* dev/console$", line) for line in lines), lines
    assert any(line.endswith(" linuxrc") and " 7 " in line for line in lines), lines


@pytest.mark.parametrize("form", ["newc", "crc"])
def test_an_image_of_gnu_cpio_is_packed_again(packer: Capsem, tree: Path, tmp_path: Path, form: str) -> None:
    made = subprocess.run(
        f"find . | cpio -o --quiet -H {form} | gzip -1", shell=True, cwd=tree, capture_output=True
    ).stdout
    image = tmp_path / "theirs.img"
    image.write_bytes(made)
    ours = tmp_path / "ours.img"
    result = packer.call("initrd", "pack", "--from-cpio", str(image), "--codec", "zstd", "-o", str(ours))
    assert result.returncode == 0, result.stderr
    assert packer.call("initrd", "diff", "--times", str(image), str(ours)).stdout == b""


def test_convert_keeps_what_linux_leaves_and_the_early_archive_first(
    packer: Capsem, tree: Path, tmp_path: Path
) -> None:
    early = tmp_path / "early/kernel/x86/microcode"
    early.mkdir(parents=True)
    (early / "GenuineIntel.bin").write_bytes(b"microcode")
    archive = "find . | LC_ALL=C sort | cpio -o --quiet -H newc"
    first = subprocess.run(archive, shell=True, cwd=tmp_path / "early", capture_output=True).stdout
    second = subprocess.run(archive + " | zstd -q", shell=True, cwd=tree, capture_output=True).stdout
    image = first + second
    for codec in CODECS:
        converted = packer.call("initrd", "convert", "-", "--codec", codec, "-o", "-", stdin=image)
        assert converted.returncode == 0, converted.stderr
        assert converted.stdout.startswith(b"070701")
        assert converted.stdout.index(b"microcode/GenuineIntel.bin") < 1000
        (tmp_path / "before").write_bytes(image)
        difference = packer.call("initrd", "diff", str(tmp_path / "before"), "-", stdin=converted.stdout)
        assert (difference.returncode, difference.stdout) == (0, b""), codec


def test_gnu_cpio_reads_an_archive_with_checksums(packer: Capsem, tree: Path) -> None:
    image = pack(packer, "--from-dir", str(tree), "--codec", "none", "--checksum")
    first = image[: image.index(b"TRAILER!!!") + 12]
    names = subprocess.run(["cpio", "-it", "--quiet"], input=first + b"\0" * 512, capture_output=True)
    assert names.returncode == 0 and names.stderr == b""
    assert names.stdout.count(b"\n") >= first.count(b"070702") - 1
    assert b"070701" not in first
    # And it stays one with checksums when it is converted.
    converted = packer.call("initrd", "convert", "-", "--codec", "none", "-o", "-", stdin=image)
    assert b"070701" not in converted.stdout and converted.stdout.startswith(b"070702")


def test_standard_output_is_taken_as_it_is(packer: Capsem, tree: Path, tmp_path: Path) -> None:
    image = pack(packer, "--from-dir", str(tree))
    out = tmp_path / "out"
    command = packer.command("initrd", "pack", "--from-dir", str(tree), "-o", "-")
    for mode in ["ab", "r+b"]:
        out.write_bytes(b"early")
        with out.open(mode) as file:
            file.seek(5)
            assert subprocess.run(command, stdout=file, env=packer.env()).returncode == 0
        assert out.read_bytes() == b"early" + image, mode
    closed = subprocess.run(
        ["sh", "-c", '"$@" >&-', "sh", *command], env=packer.env(), capture_output=True
    )
    assert closed.returncode == 2
    assert b"standard output" in closed.stderr


def test_a_repack_keeps_the_mode_and_leaves_the_image_out_of_itself(
    packer: Capsem, tree: Path, tmp_path: Path
) -> None:
    image = tree / "x.img"
    image.write_text("old")
    image.chmod(0o600)
    words = ["--from-dir", str(tree), "-o", str(image)]
    first = packer.call("initrd", "pack", *words)
    assert first.returncode == 0 and b"leaving out" in first.stderr
    size = image.stat().st_size
    assert stat.S_IMODE(image.stat().st_mode) == 0o600
    packer.call("initrd", "pack", *words)
    assert image.stat().st_size == size


def test_nothing_gives_an_image_of_nothing(packer: Capsem, tmp_path: Path) -> None:
    result = packer.call("initrd", "pack", "--from-list", "-", "-o", "-", stdin=b"# nothing\n")
    assert result.returncode == 0, result.stderr
    listed = packer.call("initrd", "list", "-", stdin=result.stdout)
    assert (listed.returncode, listed.stdout) == (0, b"")


def test_convert_may_replace_its_own_input(packer: Capsem, tree: Path, tmp_path: Path) -> None:
    image = tmp_path / "x.img"
    image.write_bytes(pack(packer, "--from-dir", str(tree)))
    before = image.read_bytes()
    result = packer.call("initrd", "convert", str(image), "--codec", "xz", "-o", str(image))
    assert result.returncode == 0, result.stderr
    assert packer.call("initrd", "diff", str(image), "-", stdin=before).returncode == 0


def test_a_link_stays_and_what_it_leads_to_is_replaced(packer: Capsem, tree: Path, tmp_path: Path) -> None:
    real, link = tmp_path / "real.img", tmp_path / "link.img"
    real.write_text("old")
    link.symlink_to("real.img")
    assert packer.call("initrd", "pack", "--from-dir", str(tree), "-o", str(link)).returncode == 0
    assert link.is_symlink()
    assert real.read_bytes() == pack(packer, "--from-dir", str(tree))


def test_a_link_that_dangles_stays_and_its_target_is_made(packer: Capsem, tree: Path, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "first.img").symlink_to("sub/second.img")
    (tmp_path / "sub/second.img").symlink_to("../real.img")
    first = tmp_path / "first.img"
    for words in (["pack", "--from-dir", str(tree)], ["convert", str(first)]):
        result = packer.call("initrd", *words, "-o", str(first))
        assert result.returncode == 0, result.stderr
        assert first.is_symlink() and (tmp_path / "sub/second.img").is_symlink()
        assert not (tmp_path / "real.img").is_symlink() and (tmp_path / "real.img").stat().st_size > 0
    (tmp_path / "loop.img").symlink_to("loop.img")
    result = packer.call("initrd", "pack", "--from-dir", str(tree), "-o", str(tmp_path / "loop.img"))
    assert result.returncode == 2
    assert "symbolic links" in the_error(result)


@pytest.mark.parametrize("codec", CODECS)
def test_a_boot_configuration_is_read_listed_and_kept(
    packer: Capsem, tree: Path, tmp_path: Path, codec: str
) -> None:
    image = pack(packer, "--from-dir", str(tree), "--codec", codec)
    text = b"kernel.quiet\n\0"
    text += b"\0" * (-(len(image) + len(text) + 20) % 4)
    sizes = len(text).to_bytes(4, "little") + sum(text).to_bytes(4, "little")
    with_config = tmp_path / "config.img"
    with_config.write_bytes(image + text + sizes + b"#BOOTCONFIG\n")
    for stdin in (False, True):
        words = ["initrd", "list", "--json", "-" if stdin else str(with_config)]
        listed = packer.call(*words, stdin=with_config.read_bytes() if stdin else b"")
        assert listed.returncode == 0, listed.stderr
        config = json.loads(listed.stdout)["boot_config"]
        assert config == {"offset": len(image), "bytes": len(text) + 20, "text": "kernel.quiet\n"}
    verified = packer.call("initrd", "verify", str(with_config))
    assert verified.returncode == 0
    assert b"'bootconfig' on the command line" in verified.stderr
    converted = tmp_path / "converted.img"
    result = packer.call("initrd", "convert", str(with_config), "--codec", codec, "-o", str(converted))
    assert result.returncode == 0, result.stderr
    assert converted.read_bytes() == with_config.read_bytes()


def test_a_device_is_written_to_and_not_replaced(packer: Capsem, tree: Path) -> None:
    assert packer.call("initrd", "pack", "--from-dir", str(tree), "-o", "/dev/null").returncode == 0
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_bad_input_leaves_the_old_image(packer: Capsem, tree: Path, tmp_path: Path) -> None:
    image = tmp_path / "x.img"
    image.write_text("old")
    (tmp_path / "list").write_text("dir /a 755 0 0\nfile /f /no/such/file 644 0 0\n")
    (tmp_path / "cut.img").write_bytes(pack(packer, "--from-dir", str(tree))[:-5000])
    huge = tmp_path / "huge"
    huge.mkdir()
    with (huge / "file").open("wb") as file:
        file.truncate(1 << 32)
    for words, says in [
        (["--from-dir", str(tmp_path / "nowhere")], "nowhere"),
        (["--from-dir", str(huge)], "4 GiB"),
        (["--from-list", str(tmp_path / "list")], "list:2"),
        (["--from-cpio", str(tmp_path / "cut.img")], "cut short"),
        (["--from-dir", ""], "the name is empty"),
        (["--from-list", str(tmp_path / "list"), "--keep-owner"], "--keep-owner"),
        (["--from-dir", str(tree), "--codec", "rar"], "none, gzip, zstd, lz4, xz"),
        (["--from-dir", str(tree), "--codec", "auto"], "only the guest's own image"),
        (["--from-dir", str(tree), "--level", "13"], "1 to 12"),
    ]:
        result = packer.call("initrd", "pack", *words, "-o", str(image))
        assert result.returncode == 2, words
        assert says in the_error(result), words
        assert image.read_text() == "old", words
    for words in [["--from-dir", str(tree)], ["--from-dir", "a", "--from-cpio", "b", "-o", "c"]]:
        assert packer.call("initrd", "pack", *words).returncode == 2, words


def test_without_home_the_password_database_says_where_the_cache_is(packer: Capsem, tree: Path, tmp_path: Path) -> None:
    command = packer.command("initrd", "pack", "--from-dir", str(tree), "-o", str(tmp_path / "x.img"))
    result = subprocess.run(["env", "-i", *command], capture_output=True)
    assert result.returncode == 0, result.stderr
    assert b"nothing is kept" not in result.stderr


def test_progress_is_for_a_terminal_only(packer: Capsem, tmp_path: Path) -> None:
    tree = tmp_path / "much"
    tree.mkdir()
    for number in range(30):
        (tree / str(number)).write_bytes(os.urandom(1 << 19) * 2)
    words = ["initrd", "pack", "--from-dir", str(tree), "--codec", "xz", "--no-cache", "-o", "-"]
    plain = packer.call(*words)
    assert plain.returncode == 0 and plain.stderr == b""
    out = tmp_path / "out"
    begin = time.monotonic()
    shown = subprocess.run(
        ["script", "-qec", " ".join(packer.command(*words)) + f" > {out}", "/dev/null"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=packer.env(),
    )
    assert out.read_bytes() == plain.stdout
    assert time.monotonic() - begin > 1.2, "too quick to show anything: give it more to do"
    assert b"packing: " in shown.stdout
    assert shown.stdout.endswith(b"\x1b[K"), shown.stdout[-80:]


def test_the_codec_that_boots_soonest_is_chosen_once(checkout: Checkout) -> None:
    first = checkout.call("initrd", "pack", "--codec", "auto", timeout=600)
    assert first.returncode == 0, first.stderr
    assert b"measuring" in first.stderr
    assert all(codec.encode() in first.stderr for codec in CODECS)
    second = checkout.call("initrd", "pack", "--codec", "auto")
    assert b"measuring" not in second.stderr
    assert b"codec " in second.stderr and b"pack + boot: " in second.stderr
    assert checkout.run("--codec", "auto", "echo up").stdout == b"up\n"


# What stands in a list, and why Linux cannot start its /init.
INITS = [
    ("file /init program 0644 0 0", "it cannot be executed: its mode is 0644"),
    ("file /init foreign 0755 0 0", "it is a program for aarch64, not for x86_64"),
    ("file /init script 0755 0 0", "it is a script for /bin/sh, which is not in the image"),
    ("slink /init sbin/init 0777 0 0", "it is a symlink to sbin/init, which leads to nothing in the image"),
    (
        "slink /init a 0777 0 0\nslink /a init 0777 0 0",
        "it is a symlink to a, which leads in circles, or through more symlinks than Linux follows",
    ),
]


@pytest.mark.parametrize(("listing", "reason"), INITS, ids=["mode", "machine", "interpreter", "dangling", "circle"])
def test_an_init_that_linux_cannot_start_is_told_at_once_and_not_booted(
    packer: Capsem, tmp_path: Path, listing: str, reason: str
) -> None:
    program = bytearray(Path("/bin/true").read_bytes())
    (tmp_path / "program").write_bytes(program)
    program[18:20] = (183).to_bytes(2, "little")  # e_machine: EM_AARCH64
    (tmp_path / "foreign").write_bytes(program)
    (tmp_path / "script").write_text("#!/bin/sh\n")
    (tmp_path / "list").write_text(listing + "\n")
    packed = subprocess.run(
        packer.command("initrd", "pack", "--from-list", "list", "-o", "x.img"),
        cwd=tmp_path, capture_output=True, env=packer.env(),
    )
    assert packed.returncode == 0
    assert packed.stderr.decode().splitlines()[0] == f"capsem: warning: x.img: Linux cannot start /init: {reason}"
    booted = packer.call("run", "--initrd", str(tmp_path / "x.img"), "true")
    assert booted.returncode == 125
    assert the_error(booted) == f"capsem: cannot boot the image {tmp_path / 'x.img'}: cannot start /init: {reason}"
