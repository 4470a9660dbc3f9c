"""Bad input and missing things: one clear line, a stable status, and the next run works."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import Checkout, error_lines, the_error


@pytest.mark.parametrize("name", ["vmlinux", "modules.img", "rootfs.squashfs", "assets.json"])
def test_a_missing_asset(checkout: Checkout, name: str) -> None:
    (checkout.assets / name).unlink()
    result = checkout.run("true")
    assert result.returncode == 125
    assert name in the_error(result) or "build-assets" in the_error(result)
    assert "build-assets" in the_error(result)


@pytest.mark.parametrize("name", ["vmlinux", "modules.img", "rootfs.squashfs"])
def test_one_flipped_bit(checkout: Checkout, name: str) -> None:
    assert checkout.run("true").returncode == 0  # its hash is remembered now
    path = checkout.own(checkout.assets / name)
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(before.st_size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    result = checkout.run("true")
    assert result.returncode == 125
    assert name in the_error(result) and "build-assets" in the_error(result)


def test_a_damaged_image_is_packed_anew(checkout: Checkout) -> None:
    assert checkout.run("true").returncode == 0
    (checkout.assets / "initrd.img").write_bytes(b"damaged")
    assert checkout.run("echo works").stdout == b"works\n"


def test_qemu_missing(checkout: Checkout, tmp_path: Path) -> None:
    for program in ["ninja", "sh", "uname"]:
        os.symlink(shutil.which(program) or "", tmp_path / program)
    checkout.environment["PATH"] = str(tmp_path)
    result = checkout.run("true")
    assert result.returncode == 125
    assert "qemu-system-x86" in the_error(result)


def test_a_guest_toml_that_is_refused(checkout: Checkout) -> None:
    checkout.edit("guest.toml", lambda text: text.replace('mode = "0555"', 'mode = "0775"', 1))
    result = checkout.run("true")
    assert result.returncode == 125
    line = the_error(result)
    assert "guest.toml:" in line and 'mode = "0555"' in line


def test_an_init_that_linux_cannot_start_is_not_booted(checkout: Checkout) -> None:
    init = checkout.build / "guest/capsem-init"
    head = bytearray(init.read_bytes())
    head[18:20] = (183).to_bytes(2, "little")  # e_machine: EM_AARCH64
    init.unlink()
    init.write_bytes(head)
    reason = "cannot start /init: it is a program for aarch64, not for x86_64"
    result = checkout.run("true")
    assert result.returncode == 125
    assert the_error(result) == f"capsem: cannot boot the image {checkout.assets / 'initrd.img'}: {reason}"
    result = checkout.call("initrd", "pack")
    assert result.returncode == 0
    assert f"{checkout.assets / 'initrd.img'}: Linux {reason}" in error_lines(result)[0]


def test_a_program_that_is_not_built(checkout: Checkout) -> None:
    (checkout.build / "guest/snapshots").unlink()
    result = checkout.run("true")
    assert result.returncode == 125
    assert "snapshots" in the_error(result)


def test_a_source_that_does_not_compile_is_the_compilers_word(checkout: Checkout) -> None:
    (checkout.build / "build.ninja").write_text(
        "rule fail\n  command = echo broken.cc: error >&2; exit 1\nbuild guest: fail\n"
    )
    result = checkout.run("true")
    assert result.returncode == 125
    text = "\n".join(error_lines(result))
    assert "broken.cc: error" in text
    assert "cannot build the guest programs" in error_lines(result)[-1]
    assert result.stdout == b""


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_keeps_the_old_image(checkout: Checkout, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small], check=True)
    try:
        target = small / "initrd.img"
        target.write_bytes(b"old")
        result = checkout.call("initrd", "pack", "-o", str(target))
        assert result.returncode == 2
        assert "No space left" in error_lines(result)[-1]
        assert target.read_bytes() == b"old"
        assert sorted(p.name for p in small.iterdir()) == ["initrd.img", "initrd.img.lock"]
    finally:
        subprocess.run(["umount", small], check=True)
    assert checkout.run("echo works").stdout == b"works\n"


@pytest.mark.skipif(os.geteuid() == 0 and shutil.which("setpriv") is None, reason="needs setpriv")
def test_no_permission_to_write_the_image(checkout: Checkout) -> None:
    command = checkout.command("initrd", "pack")
    if os.geteuid() == 0:
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command]
    else:
        checkout.assets.chmod(0o555)
    environment = {**checkout.env(), "XDG_CACHE_HOME": "/nonexistent"}
    result = subprocess.run(command, capture_output=True, env=environment)
    assert result.returncode == 2
    assert "Permission denied" in error_lines(result)[-1]


def test_without_home_the_password_database_has_the_cache(checkout: Checkout) -> None:
    environment = {k: v for k, v in checkout.env().items() if k not in ("HOME", "XDG_CACHE_HOME")}
    result = subprocess.run(checkout.command("run", "true"), capture_output=True, env=environment)
    assert result.returncode == 0, result.stderr
