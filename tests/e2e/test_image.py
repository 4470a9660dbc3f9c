"""The packed image, as other tools see it."""

import gzip
import json
import subprocess
from pathlib import Path

from conftest import BUILD, Capsem, Checkout

# What a comparable system takes for its guest binaries; each boot has to unpack them.
MOST_BYTES = 2_300_000


def test_lsinitramfs_lists_what_we_list(checkout: Checkout) -> None:
    assert checkout.call("initrd", "pack").returncode == 0
    image = checkout.assets / "initrd.img"
    ours = checkout.call("initrd", "list", str(image)).stdout.decode().splitlines()
    ours_paths = [line.split(None, 6)[6].split(" -> ")[0] for line in ours]
    # lsinitramfs reads one early segment and then the rest as one stream, so it is shown the
    # guest's segments, which are all gzip, without the module segment.
    index = json.loads((checkout.assets / "initrd.json").read_text())
    segments = [s for s in index["segments"] if s["name"] != "modules"]
    content = image.read_bytes()
    listed: list[str] = []
    for segment in segments:
        part = checkout.assets / "part.img"
        part.write_bytes(content[segment["offset"] : segment["offset"] + segment["bytes"]])
        result = subprocess.run(["lsinitramfs", part], capture_output=True, check=True)
        listed += result.stdout.decode().splitlines()
    assert listed == [path for path in ours_paths if not path.startswith(("lib", "."))]


def test_the_guests_part_stays_small(checkout: Checkout) -> None:
    assert checkout.call("initrd", "pack").returncode == 0
    index = json.loads((checkout.assets / "initrd.json").read_text())
    assert index["codec"] == "gzip"
    assert sum(s["bytes"] for s in index["segments"] if s["name"] != "modules") < MOST_BYTES


def test_cpio_unpacks_the_modes_of_the_policy(checkout: Checkout, tmp_path: Path) -> None:
    assert checkout.call("initrd", "pack").returncode == 0
    index = json.loads((checkout.assets / "initrd.json").read_text())
    content = (checkout.assets / "initrd.img").read_bytes()
    for segment in index["segments"]:
        if segment["name"] == "modules":
            continue
        archive = gzip.decompress(content[segment["offset"] : segment["offset"] + segment["bytes"]])
        subprocess.run(["cpio", "-i", "--quiet"], input=archive, cwd=tmp_path, check=True)
    for entry in index["entries"]:
        for file in entry["files"]:
            path = tmp_path / file["path"].lstrip("/")
            assert f"{path.stat().st_mode & 0o7777:04o}" == file["mode"], path
    assert (tmp_path / "init").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "capsem/bin/capsem-doctor").stat().st_mode & 0o777 == 0o555


def test_every_program_is_static(capsem: Capsem) -> None:
    for program in (BUILD / "guest").iterdir():
        if program.suffix:
            continue
        headers = subprocess.run(["readelf", "-lW", program], capture_output=True, check=True).stdout
        assert b"INTERP" not in headers, program


def test_pack_list_verify(checkout: Checkout, tmp_path: Path) -> None:
    target = tmp_path / "image.img"
    assert checkout.call("initrd", "pack", "-o", str(target), "--no-cache").returncode == 0
    again = tmp_path / "again.img"
    assert checkout.call("initrd", "pack", "-o", str(again)).returncode == 0
    assert target.read_bytes() == again.read_bytes()
    assert checkout.call("initrd", "verify", str(target)).returncode == 0
    damaged = bytearray(target.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    target.write_bytes(damaged)
    assert checkout.call("initrd", "verify", str(target)).returncode == 1
    assert checkout.call("initrd", "list", str(tmp_path / "missing")).returncode == 2
    assert checkout.call("initrd", "pack", "--codec", "rar").returncode == 2


def test_every_codec_boots(checkout: Checkout) -> None:
    for codec in ["none", "gzip", "zstd", "lz4", "xz"]:
        result = checkout.run("--codec", codec, "echo up")
        assert result.stdout == b"up\n", (codec, result.stderr)
