"""Archives: made and unpacked, with everything that belongs to a file; damage is noticed."""

import os
from pathlib import Path

import pytest

from support import Shell


def describe(tree: Path) -> dict[str, tuple[object, ...]]:
    """All that an archive has to keep of each file."""
    described = {}
    for path in sorted(tree.rglob("*")):
        status = path.lstat()
        content = path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else None
        time = status.st_mtime if path.is_file() and not path.is_symlink() else None
        described[str(path.relative_to(tree))] = (status.st_mode, status.st_uid, status.st_gid, time, content)
    return described


@pytest.fixture(scope="module")
def tree(scratch: Path) -> Path:
    """A directory with names, modes, owners, times and links worth keeping."""
    directory = scratch / "archive" / "tree"
    (directory / "sub").mkdir(parents=True)
    (directory / "größe x").write_text("content\n" * 500)
    (directory / "sub/program").write_text("#!/bin/sh\n")
    (directory / "sub/program").chmod(0o750)
    os.chown(directory / "sub/program", 1234, 5678)
    os.symlink("sub/program", directory / "link")
    for path in [directory / "größe x", directory / "sub/program"]:
        os.utime(path, (1_000_000_000, 1_000_000_000))
    return directory


@pytest.mark.parametrize("option", ["", "--gzip", "--bzip2", "--xz", "--zstd"])
def test_tar_keeps_all_of_a_tree(shell: Shell, tree: Path, option: str) -> None:
    shell(f"tar -c {option} -f a.tar -C {tree} . && mkdir out && tar -x -f a.tar -C out")
    assert describe(shell.directory / "out") == describe(tree)


def test_zip_and_unzip(shell: Shell, tree: Path) -> None:
    shell(f"(cd {tree} && zip -qry {shell.directory}/a.zip .) && unzip -q a.zip -d out")
    assert shell(f"diff -r --no-dereference {tree} out; stat -c %a out/sub/program; readlink out/link") == (
        "750\nsub/program\n"
    )


@pytest.mark.parametrize("tool", ["gzip", "bzip2", "xz", "zstd"])
def test_compressors_give_back_what_they_got(shell: Shell, tool: str) -> None:
    shell(f"seq 20000 >f; {tool} -q -c -1 f >f.packed && {tool} -dc <f.packed | cmp - f")
    assert (shell.directory / "f.packed").stat().st_size < (shell.directory / "f").stat().st_size / 2


@pytest.mark.parametrize("tool", ["gzip", "bzip2", "xz", "zstd"])
def test_compressors_notice_damage(shell: Shell, tool: str) -> None:
    packed = shell.directory / "f.packed"
    shell(f"seq 20000 | {tool} -q -c -1 >f.packed")
    content = bytearray(packed.read_bytes())
    content[len(content) // 2] ^= 0xFF
    packed.write_bytes(content)
    shell(f"{tool} -dc <f.packed >/dev/null && exit 100 || exit 7", status=7)


def test_one_file_out_of_an_archive(shell: Shell, tree: Path) -> None:
    shell(f"tar -czf a.tgz -C {tree} .")
    assert shell("tar -xzOf a.tgz ./sub/program; tar -tzf a.tgz | wc -l") == "#!/bin/sh\n5\n"


def test_tar_leaves_out_what_it_is_told_to(shell: Shell, tree: Path) -> None:
    assert shell(f"tar -c -C {tree} --exclude=sub . | tar -t | sort") == "./\n./größe x\n./link\n"
