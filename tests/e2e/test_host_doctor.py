"""capsem doctor: each thing that can be wrong with a host is broken once, and is named."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Checkout, error_lines

# What depends on the machine that the tests run on.
OF_THE_MACHINE = {"accelerator", "temporary directory", "build-assets tools"}


def checks(checkout: Checkout, *words: str) -> dict[str, dict[str, str]]:
    """The report by the names of its checks."""
    result = checkout.call("doctor", "--json", *words)
    report = json.loads(result.stdout)
    assert result.returncode == (1 if report["problem"] else 0)
    return {check["name"]: check for check in report["checks"]}


def expect(checkout: Checkout, name: str, health: str, *texts: str, words: tuple[str, ...] = ()) -> None:
    found = checks(checkout, *words)[name]
    assert found["health"] == health, found
    for text in texts:
        assert text in found["seen"] + " -> " + found["advice"], found
    assert bool(found["advice"]) == (health != "ok"), found


def flip_a_bit(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1]))


def snapshot(root: Path) -> dict[str, tuple[int, int, int]]:
    return {
        str(path): (status.st_size, status.st_mtime_ns, status.st_mode)
        for path in sorted(root.rglob("*"))
        if (status := path.lstat())
    }


@pytest.fixture
def packed(checkout: Checkout) -> Iterator[Checkout]:
    """A checkout that has run, as far as that leaves something on disk."""
    assert checkout.call("initrd", "pack").returncode == 0
    yield checkout


def test_nothing_is_wrong_with_a_checkout_that_works(packed: Checkout) -> None:
    for name, check in checks(packed).items():
        if name not in OF_THE_MACHINE:
            assert check["health"] == "ok", check


def test_it_changes_nothing(packed: Checkout) -> None:
    before = snapshot(packed.source), snapshot(packed.build), snapshot(packed.source.parent / "cache")
    assert packed.call("doctor").returncode == 0
    assert packed.call("doctor", "--deep").returncode == 0
    assert before == (snapshot(packed.source), snapshot(packed.build), snapshot(packed.source.parent / "cache"))


def test_the_table_says_the_same_as_the_json_and_is_plain_in_a_pipe(packed: Checkout) -> None:
    result = packed.call("doctor")
    lines = result.stdout.decode().splitlines()
    assert b"\x1b" not in result.stdout
    for name, check in checks(packed).items():
        assert any(line.startswith(check["health"]) and f" {name} " in line for line in lines), name
    assert lines[-1].startswith("14 checks: ")
    assert result.stderr == b""


def test_a_terminal_gets_colours(packed: Checkout, tmp_path: Path) -> None:
    command = f"script -qec '{packed.executable} doctor' /dev/null"
    for environment, coloured in [({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False), ({"TERM": "xterm", "NO_COLOR": "1"}, False)]:
        shown = subprocess.run(command, shell=True, capture_output=True, env={**packed.env(), **environment}, timeout=60)
        assert (b"\x1b[32mok" in shown.stdout) == coloured


def test_an_asset_that_does_not_match_its_hash(packed: Checkout) -> None:
    flip_a_bit(packed.own(packed.assets / "modules.img"), 1000)
    expect(packed, "assets", "problem", "modules.img", "damaged", "./dev build-assets")


def test_a_missing_asset(packed: Checkout) -> None:
    (packed.assets / "rootfs.squashfs").unlink()
    expect(packed, "assets", "problem", "rootfs.squashfs", "missing", "./dev build-assets")


def test_assets_that_were_never_built(packed: Checkout) -> None:
    (packed.assets / "assets.json").unlink()
    expect(packed, "assets", "problem", "never built", "./dev build-assets")


def test_a_rootfs_that_is_older_than_its_inputs(packed: Checkout) -> None:
    packed.edit("guest/config/packages.list", lambda text: text + "sl\n")
    expect(packed, "rootfs inputs", "warning", "guest/config/packages.list changed", "./dev build-assets")


def test_an_initrd_that_is_not_packed_yet(checkout: Checkout) -> None:
    expect(checkout, "initrd", "warning", "initrd.img", "'capsem run' packs it")


def test_a_damaged_initrd(packed: Checkout) -> None:
    flip_a_bit(packed.assets / "initrd.img", 500)
    expect(packed, "initrd", "problem", "initrd.img", "SHA-256")


def test_an_initrd_without_its_index(packed: Checkout) -> None:
    (packed.assets / "initrd.json").unlink()
    expect(packed, "initrd", "warning", "index")


def test_a_damaged_segment_is_found_by_its_hash(packed: Checkout) -> None:
    segments = packed.source.parent / "cache/capsem/segments"
    segment = max((p for p in segments.iterdir() if p.name != "usage"), key=lambda p: p.stat().st_size)
    flip_a_bit(segment, segment.stat().st_size // 2)
    expect(packed, "segment cache", "problem", segment.name, f"rm -rf {segments}")


def test_a_guest_toml_that_is_refused(packed: Checkout) -> None:
    packed.edit("guest.toml", lambda text: text.replace('mode = "0555"', 'mode = "0775"', 1))
    expect(packed, "guest.toml", "problem", "guest.toml:", '0555')
    assert "guest programs" not in checks(packed)


def test_a_guest_program_that_is_missing(packed: Checkout) -> None:
    (packed.build / "guest/snapshots").unlink()
    expect(packed, "guest programs", "problem", "snapshots", "./dev build")


def test_guest_programs_that_are_stale(packed: Checkout) -> None:
    (packed.build / "build.ninja").write_text("rule make\n  command = touch $out\nbuild x: make\nbuild guest: phony x\n")
    expect(packed, "guest programs", "warning", "not up to date", "'capsem run' builds them")
    assert not (packed.build / "x").exists()


def test_qemu_missing_and_too_old(packed: Checkout, tmp_path: Path) -> None:
    (tmp_path / "ninja").symlink_to(shutil.which("ninja") or "")
    (tmp_path / "sh").symlink_to("/bin/sh")
    packed.environment["PATH"] = str(tmp_path)
    expect(packed, "QEMU", "problem", "apt-get install qemu-system-x86")
    (tmp_path / "qemu-system-x86_64").write_text("#!/bin/sh\necho QEMU emulator version 6.2.0\n")
    (tmp_path / "qemu-system-x86_64").chmod(0o755)
    expect(packed, "QEMU", "problem", "6.2.0", "older than 7.2")


def test_missing_build_tools_matter_when_the_assets_are_damaged(packed: Checkout, tmp_path: Path) -> None:
    (tmp_path / "ninja").symlink_to(shutil.which("ninja") or "")
    packed.environment["PATH"] = str(tmp_path)
    expect(packed, "build-assets tools", "ok", "mmdebstrap")
    (packed.assets / "vmlinux").unlink()
    expect(packed, "build-assets tools", "problem", "mmdebstrap", "apt-get install")


def test_a_cache_that_others_may_write(packed: Checkout) -> None:
    cache = packed.source.parent / "cache/capsem"
    cache.chmod(0o777)
    expect(packed, "cache directory", "problem", "0777", f"chmod go-w {cache}")


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root, to be another user")
def test_directories_that_this_user_cannot_write(packed: Checkout) -> None:
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *packed.command("doctor", "--json")]
    result = subprocess.run(command, capture_output=True, env=packed.env(), timeout=60)
    assert result.returncode == 1, result.stderr
    found = {check["name"]: check for check in json.loads(result.stdout)["checks"]}
    for name in ["cache directory", "assets directory"]:
        assert found[name]["health"] == "problem"
        assert "cannot be written by this user" in found[name]["seen"]
    assert found["temporary directory"]["health"] != "problem"


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_disk_without_room(packed: Checkout, tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path], check=True)
    try:
        packed.environment["TMPDIR"] = str(tmp_path)
        expect(packed, "temporary directory", "problem", "only 1.0 MB free", "TMPDIR")
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_what_killed_processes_left(packed: Checkout) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    left = packed.assets / f".initrd.img.tmp-{ended.pid}"
    left.touch()
    (packed.assets / ".building").mkdir()
    expect(packed, "leftovers", "warning", str(left), f"rm {left}", ".building", "the next './dev build-assets'")


def test_a_deep_look_finds_what_nobody_touched(packed: Checkout) -> None:
    expect(packed, "assets", "ok", "4 files")
    expect(packed, "assets", "ok", "4 read in", words=("--deep",))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_no_home_is_a_problem_and_the_machine_is_checked_all_the_same(checkout: Checkout) -> None:
    environment = {k: v for k, v in checkout.env().items() if k not in ("HOME", "XDG_CACHE_HOME")}
    # A user that the password database does not know.
    result = subprocess.run(
        checkout.command("doctor"), capture_output=True, env=environment, timeout=60, user=54321, extra_groups=[]
    )
    assert result.returncode == 1
    first, advice, second = result.stdout.decode().splitlines()[:3]
    assert first.startswith("problem  installation") and "HOME is not set" in first
    assert "set HOME or XDG_CACHE_HOME" in advice
    assert "QEMU" in second


def test_bad_usage_and_a_report_that_cannot_be_written(checkout: Checkout) -> None:
    assert checkout.call("doctor", "--no-such-option").returncode == 2
    with open("/dev/full", "wb") as full:
        result = subprocess.run(checkout.command("doctor"), stdout=full, stderr=subprocess.PIPE, env=checkout.env(), timeout=60)
    assert result.returncode == 2
    assert error_lines(result) == ["capsem: cannot write standard output: No space left on device"]
