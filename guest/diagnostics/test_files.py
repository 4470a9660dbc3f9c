"""Files as programs expect them: permissions, links, names, sizes, times, locks."""

import errno
import fcntl
import mmap
import os
import socket
import stat
import threading
from pathlib import Path

import pytest

from support import Shell


def test_permissions_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.touch()
    for mode in [0o600, 0o755, 0o444, 0o4755, 0o2755]:
        path.chmod(mode)
        assert stat.S_IMODE(path.stat().st_mode) == mode


def test_umask_applies(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        (tmp_path / "f").touch()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o600


def test_chmod_by_letters(shell: Shell) -> None:
    assert shell("touch f; chmod u=rwx,g=rx,o= f; chmod g+s f; stat -c %a f") == "2750\n"


def test_root_gives_files_away_and_takes_them_back(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.touch()
    for owner in [(1234, 5678), (0, 0)]:
        os.chown(path, *owner)
        assert (path.stat().st_uid, path.stat().st_gid) == owner


def test_root_reads_what_its_owner_hides(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("hidden")
    os.chown(path, 1234, 1234)
    path.chmod(0)
    assert path.read_text() == "hidden"


def test_a_directory_hands_its_group_on(tmp_path: Path) -> None:
    os.chown(tmp_path, 0, 1234)
    tmp_path.chmod(0o2755)
    (tmp_path / "sub").mkdir()
    assert (tmp_path / "sub").stat().st_gid == 1234
    assert (tmp_path / "sub").stat().st_mode & stat.S_ISGID


def test_file_capabilities_are_kept(shell: Shell) -> None:
    assert shell("cp /bin/true f; setcap cap_net_raw=ep f; getcap f") == "f cap_net_raw=ep\n"


def test_hard_and_symbolic_links(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("content")
    os.link(tmp_path / "f", tmp_path / "hard")
    os.symlink("f", tmp_path / "soft")
    assert (tmp_path / "f").stat().st_nlink == 2
    assert (tmp_path / "soft").read_text() == "content"


def test_a_loop_of_links_is_noticed(tmp_path: Path) -> None:
    os.symlink("b", tmp_path / "a")
    os.symlink("a", tmp_path / "b")
    with pytest.raises(OSError) as refused:
        (tmp_path / "a").open()
    assert refused.value.errno == errno.ELOOP


NAMES = {
    "accents": "ünïcödé",
    "kanji": "日本語",
    "space": "with space",
    "newline": "new\nline",
    "leading dash": "-rf",
    "longest": "🙂" * 60,
}


@pytest.mark.parametrize("kind", NAMES)
def test_names_of_any_characters(shell: Shell, kind: str) -> None:
    name = NAMES[kind]
    (shell.directory / name).write_text("x")
    assert [p.name for p in shell.directory.iterdir()] == [name]
    assert shell('for f in *; do cat ./"$f"; printf "|%s" "$f"; done') == f"x|{name}"


def test_a_name_that_is_too_long_is_refused(tmp_path: Path) -> None:
    (tmp_path / ("n" * 255)).touch()
    with pytest.raises(OSError) as refused:
        (tmp_path / ("n" * 256)).touch()
    assert refused.value.errno == errno.ENAMETOOLONG


def test_names_and_content_are_utf_8_to_every_tool(shell: Shell) -> None:
    (shell.directory / "straße").write_text("größe\n")
    assert shell("ls; wc -m <straße; grep -c '^gr..e$' straße; rev straße") == "straße\n6\n1\neßörg\n"


def test_encodings_are_converted(shell: Shell) -> None:
    assert shell("printf 'gr\\374\\337e' | iconv -f latin1 -t utf-8") == "grüße"


def test_a_large_file_comes_back_whole(tmp_path: Path) -> None:
    block = os.urandom(1 << 20)
    with (tmp_path / "large").open("wb") as file:
        for _ in range(64):
            file.write(block)
    assert (tmp_path / "large").stat().st_size == 64 << 20
    with (tmp_path / "large").open("rb") as file:
        assert all(file.read(1 << 20) == block for _ in range(64))


def test_a_file_beyond_4_gib_is_addressed(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("w+b") as file:
        file.seek(5 << 30)
        file.write(b"end")
        file.flush()
        assert os.fstat(file.fileno()).st_size == (5 << 30) + 3
        assert os.fstat(file.fileno()).st_blocks < 100
        assert os.pread(file.fileno(), 8, (5 << 30) - 5) == bytes(5) + b"end"


def test_a_directory_of_many_files(shell: Shell) -> None:
    assert shell("mkdir d; cd d; seq 2000 | xargs touch; ls | wc -l; cd ..; rm -r d; ls -A | wc -l") == "2000\n0\n"


def test_appending_writers_do_not_overwrite_each_other(shell: Shell) -> None:
    shell("for w in 1 2 3 4; do (for i in {1..50}; do echo $w$w$w$w$w >>f; done) & done; wait")
    assert shell("sort f | uniq -c | tr -s ' '") == " 50 11111\n 50 22222\n 50 33333\n 50 44444\n"


def test_rename_replaces(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("new")
    with (tmp_path / "b").open("w+") as old:
        old.write("old")
        old.flush()
        os.rename(tmp_path / "a", tmp_path / "b")
        assert (tmp_path / "b").read_text() == "new"
        assert os.pread(old.fileno(), 3, 0) == b"old"


def test_times_are_kept_to_the_nanosecond(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    os.utime(tmp_path / "f", ns=(1_000_000_001, 1_700_000_000_123_456_789))
    assert (tmp_path / "f").stat().st_mtime_ns == 1_700_000_000_123_456_789


def test_a_file_is_written_through_a_mapping(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(bytes(8192))
    with (tmp_path / "f").open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapping:
        mapping[4095:4098] = b"abc"
        mapping.flush()
    assert (tmp_path / "f").read_bytes()[4095:4098] == b"abc"


def test_a_lock_keeps_others_out(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as one, (tmp_path / "lock").open("w") as other:
        fcntl.flock(one, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(one, fcntl.LOCK_UN)
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_named_pipe_connects_two_processes(shell: Shell) -> None:
    assert shell("mkfifo p; (echo through >p) & cat p; wait") == "through\n"


def test_a_socket_in_the_file_system(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(str(tmp_path / "s"))
        server.listen()
        client.connect(str(tmp_path / "s"))
        accepted, _ = server.accept()
        with accepted:
            accepted.sendall(b"ping")
            assert client.recv(4) == b"ping"
    assert stat.S_ISSOCK((tmp_path / "s").stat().st_mode)


def test_a_file_without_a_name_is_a_file(tmp_path: Path) -> None:
    unnamed = os.open(tmp_path, os.O_TMPFILE | os.O_RDWR, 0o600)
    try:
        os.write(unnamed, b"whole")
        assert list(tmp_path.iterdir()) == []
        assert os.pread(unnamed, 10, 0) == b"whole"
    finally:
        os.close(unnamed)


def test_space_is_reserved_ahead_and_there_is_room(tmp_path: Path) -> None:
    with (tmp_path / "f").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 1 << 20)
    assert (tmp_path / "f").stat().st_blocks * 512 >= 1 << 20
    room = os.statvfs(tmp_path)
    assert room.f_bavail * room.f_frsize > 64 << 20


def test_reading_waits_for_a_writer(tmp_path: Path) -> None:
    read, write = os.pipe()
    writer = threading.Timer(0.01, os.write, (write, b"late"))
    writer.start()
    assert os.read(read, 4) == b"late"
    writer.join()
    os.close(read)
    os.close(write)


@pytest.mark.parametrize("directory", ["/root", "/etc", "/usr/local/bin", "/usr/bin", "/var/tmp", "/opt", "/tmp", "/dev/shm"])
def test_the_guest_can_be_written(directory: str) -> None:
    path = Path(directory) / "capsem-diagnostics"
    path.write_text("x")
    path.unlink()


@pytest.mark.parametrize("directory", ["/tmp", "/var/tmp", "/dev/shm"])
def test_shared_directories_are_sticky(directory: str) -> None:
    assert stat.S_IMODE(Path(directory).stat().st_mode) == 0o1777


@pytest.mark.parametrize("device", ["null", "zero", "full", "random", "urandom", "tty", "ptmx"])
def test_devices_are_there(device: str) -> None:
    assert stat.S_ISCHR(Path("/dev", device).stat().st_mode)


def test_devices_do_what_they_are_for(shell: Shell) -> None:
    assert shell("head -c 3 /dev/zero | od -An -tx1; echo x >/dev/null; echo via >/dev/stdout") == " 00 00 00\nvia\n"
    shell("echo x >/dev/full", status=1)
    assert len(shell("head -c 16 /dev/urandom | base64")) == 25


def deployed() -> list[Path]:
    """What capsem put there; nothing outside of its guest."""
    programs = Path("/capsem/bin")
    return sorted(programs.iterdir()) + [Path("/capsem/entries"), Path(__file__)] if programs.is_dir() else []


@pytest.mark.parametrize("path", deployed(), ids=lambda path: path.name)
def test_what_capsem_put_there_cannot_be_changed(path: Path) -> None:
    for change in [lambda: path.open("wb"), lambda: path.unlink(), lambda: path.chmod(0o777)]:
        with pytest.raises(OSError):
            change()
