"""Files as programs expect them: permissions, links, names, sizes, times."""

import os
import stat
from pathlib import Path

import pytest


def test_permissions_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.touch()
    for mode in [0o600, 0o755, 0o444]:
        path.chmod(mode)
        assert stat.S_IMODE(path.stat().st_mode) == mode


def test_umask_applies(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        (tmp_path / "f").touch()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o600


def test_hard_and_symbolic_links(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("content")
    os.link(tmp_path / "f", tmp_path / "hard")
    os.symlink("f", tmp_path / "soft")
    assert (tmp_path / "f").stat().st_nlink == 2
    assert (tmp_path / "soft").read_text() == "content"


@pytest.mark.parametrize("name", ["ünïcödé", "日本語", "with space", "new\nline", "🙂" * 60])
def test_names_of_any_characters(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("x")
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_large_file_comes_back_whole(tmp_path: Path) -> None:
    block = os.urandom(1 << 20)
    with (tmp_path / "large").open("wb") as file:
        for _ in range(64):
            file.write(block)
    assert (tmp_path / "large").stat().st_size == 64 << 20
    with (tmp_path / "large").open("rb") as file:
        assert all(file.read(1 << 20) == block for _ in range(64))


def test_a_sparse_file_takes_no_space(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 30)
    assert (tmp_path / "sparse").stat().st_blocks < 100


def test_rename_replaces(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("new")
    (tmp_path / "b").write_text("old")
    os.rename(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_text() == "new"


def test_times_are_kept_to_the_nanosecond(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    os.utime(tmp_path / "f", ns=(1_000_000_001, 1_700_000_000_123_456_789))
    assert (tmp_path / "f").stat().st_mtime_ns == 1_700_000_000_123_456_789


@pytest.mark.parametrize("directory", ["/root", "/etc", "/usr/local", "/var/tmp", "/opt", "/tmp"])
def test_the_guest_can_be_written(directory: str) -> None:
    path = Path(directory) / "capsem-diagnostics"
    path.write_text("x")
    path.unlink()


@pytest.mark.parametrize("path", sorted(Path("/capsem/bin").iterdir()) + [Path("/capsem/entries")])
def test_what_capsem_put_there_cannot(path: Path) -> None:
    for change in [lambda: path.open("wb"), lambda: path.unlink(), lambda: path.chmod(0o777)]:
        with pytest.raises(OSError):
            change()
