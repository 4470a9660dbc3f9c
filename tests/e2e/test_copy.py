"""Files into a VM and out of it, and TCP ports of a VM on the host."""

import hashlib
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conftest import Capsem, registry_in, the_error
from processes import wait_until

TREE = "cd {} && find . -printf '%P %y %m %T@ %l %n\\n' | sort"


@pytest.fixture(scope="module")
def vm(capsem: Capsem, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Capsem]:
    """A running VM called "one"."""
    top = tmp_path_factory.mktemp("copy")
    mine = Capsem(capsem.executable, registry_in(top))
    assert mine.run("--name", "one", "true").returncode == 0
    yield mine
    mine.call("rm", "--force", "one")


def output(vm: Capsem, command: str) -> str:
    result = vm.call("exec", "one", command)
    assert result.returncode == 0, result.stderr
    return result.stdout.decode()


def copy(vm: Capsem, source: Path | str, target: Path | str, stdin: bytes = b"") -> bytes:
    result = vm.call("cp", str(source), str(target), stdin=stdin)
    assert (result.returncode, result.stderr) == (0, b"")
    return result.stdout


def tree(directory: Path) -> str:
    return subprocess.check_output(["sh", "-c", TREE.format(directory)], text=True)


def make_tree(top: Path) -> None:
    (top / "sub/deep").mkdir(parents=True)
    (top / "empty").mkdir()
    (top / "file").write_text("content")
    (top / "sub" / ("n" * 200)).write_bytes(os.urandom(100_000))
    (top / "sub/deep/\xff\n name").write_text("")
    (top / "link").symlink_to("file")
    (top / "nowhere").symlink_to("/no/such/" + "x" * 150)
    os.link(top / "file", top / "sub/other")
    with (top / "sparse").open("wb") as sparse:
        sparse.seek(300_000_000)
        sparse.write(b"middle")
        sparse.truncate(1_000_000_000)
    (top / "file").chmod(0o640)
    (top / "empty").chmod(0o1777)
    os.utime(top / "link", ns=(0, -5_500_000_000), follow_symlinks=False)
    os.utime(top / "sub/deep", ns=(0, 1_234_567_890_123_456_789))
    (top / "sub").chmod(0o555)


def test_64_mb_are_the_same_both_ways(vm: Capsem, tmp_path: Path) -> None:
    there, back = tmp_path / "there", tmp_path / "back"
    there.write_bytes(os.urandom(64 << 20))
    digest = hashlib.sha256(there.read_bytes()).hexdigest()
    copy(vm, there, "one:/root/big")
    assert output(vm, "sha256sum /root/big").split()[0] == digest
    copy(vm, "one:big", back)
    assert hashlib.sha256(back.read_bytes()).hexdigest() == digest
    output(vm, "rm /root/big")


def test_a_tree_keeps_modes_times_links_and_holes(vm: Capsem, tmp_path: Path) -> None:
    make_tree(tmp_path / "tree")
    expected = tree(tmp_path / "tree")
    copy(vm, tmp_path / "tree", "one:/tmp")
    assert output(vm, TREE.format("/tmp/tree")) == expected
    assert output(vm, "stat -c %U:%G /tmp/tree/file") == "root:root\n"
    assert int(output(vm, "du -k /tmp/tree/sparse").split()[0]) < 1000
    copy(vm, "one:/tmp/tree", tmp_path / "back")
    assert tree(tmp_path / "back") == expected
    assert (tmp_path / "back/sparse").stat().st_blocks < 2000
    subprocess.run(["diff", "-r", "--no-dereference", "tree", "back"], cwd=tmp_path, check=True)
    output(vm, "rm -r /tmp/tree")


def test_what_a_target_means(vm: Capsem, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/f").write_text("one")
    copy(vm, tmp_path / "d/f", "one:/tmp/what")
    copy(vm, tmp_path / "d", "one:/tmp/dir")  # becomes it
    copy(vm, tmp_path / "d", "one:/tmp/dir")  # goes into it
    copy(vm, f"{tmp_path}/d/.", "one:/tmp/dir/d/content")
    copy(vm, tmp_path / "d/f", "one:")
    found = output(vm, "cd /tmp; find what dir ~/f -type f | sort")
    assert found.split() == ["/root/f", "dir/d/content/f", "dir/d/f", "dir/f", "what"]
    copy(vm, "one:/tmp/what", tmp_path)
    assert (tmp_path / "what").read_text() == "one"
    output(vm, "rm -r /tmp/what /tmp/dir /root/f")


def test_a_tar_stream_in_and_out(vm: Capsem, tmp_path: Path) -> None:
    make_tree(tmp_path / "tree")
    for format in ("gnu", "pax"):
        archive = subprocess.check_output(
            ["tar", "-C", str(tmp_path), f"--format={format}", "--sparse", "--owner=:7", "-cf", "-", "tree"]
        )
        copy(vm, "-", f"one:/tmp/{format}", stdin=archive)
        back = copy(vm, f"one:/tmp/{format}/tree", "-")
        # Only the pax format has the fractions of seconds.
        ignored = [line for line in tar_diff(back, tmp_path) if "Mod time" not in line or format == "pax"]
        assert [line for line in ignored if "Uid differs" not in line] == []
        assert output(vm, f"stat -c %u /tmp/{format}/tree/file") == "7\n"
        output(vm, f"rm -r /tmp/{format}")


def tar_diff(archive: bytes, directory: Path) -> list[str]:
    result = subprocess.run(["tar", "-C", str(directory), "-d", "-f", "-"], input=archive, capture_output=True)
    assert result.returncode in (0, 1), result.stderr
    return result.stdout.decode(errors="replace").splitlines()


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("one:/nope", "x", "cannot copy /nope: No such file or directory"),
        ("{}/f", "one:/no/such/x", "cannot use the directory /no/such: No such file"),
        ("{}/f", "one:/dev/null", "it is neither a file nor a directory"),
        ("{}/nope", "one:/x", "nope: No such file or directory"),
        ("{}/f", "two:/x", "there is none of that name"),
        ("{}/f", "x", "neither end is in a VM"),
        ("one:/x", "one:/y", "both ends are in a VM"),
        ("one:/etc/hostname", "/dev/null", "it is neither a file nor a directory"),
        ("one:/etc", "{}/f", "f"),
    ],
)
def test_what_cannot_be_copied_is_one_line(
    vm: Capsem, tmp_path: Path, source: str, target: str, expected: str
) -> None:
    (tmp_path / "f").write_text("old")
    result = vm.call("cp", source.format(tmp_path), target.format(tmp_path))
    assert result.returncode == 2
    assert expected in the_error(result)
    assert (tmp_path / "f").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def open_files(pid: int) -> list[str]:
    found = []
    for path in Path(f"/proc/{pid}/fd").glob("*"):
        try:
            found.append(os.readlink(path))
        except OSError:
            pass
    return [name for name in found if "deleted" in name]


def test_a_killed_copy_leaves_the_old_file(vm: Capsem, tmp_path: Path) -> None:
    mine = tmp_path / "f"
    mine.write_text("old")
    output(vm, "mkdir -p /tmp/k && echo old > /tmp/k/f && head -c 100M /dev/zero > /tmp/k/large")
    # Out: as soon as the new file is there, which has no name yet.
    out = subprocess.Popen(vm.command("cp", "one:/tmp/k/large", str(mine)), env=vm.env())
    wait_until(lambda: str(tmp_path) in "".join(open_files(out.pid)), 20)
    out.kill()
    assert out.wait() == -signal.SIGKILL
    assert mine.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["f"]
    # In: a stream that stops in the middle of a file.
    reading, writing = os.pipe()
    into = subprocess.Popen(vm.command("cp", "-", "one:/tmp/k"), stdin=reading, env=vm.env())
    os.close(reading)
    big = tmp_path / "big"
    big.mkdir()
    (big / "f").write_bytes(b"new" * 100_000)
    archive = subprocess.check_output(["tar", "-C", str(big), "-cf", "-", "f"])
    os.write(writing, archive[:50_000])
    time.sleep(0.5)
    into.kill()
    into.wait()
    os.close(writing)
    wait_until(lambda: output(vm, "pgrep -c capsem-transfer || true") == "0\n", 20)
    assert output(vm, "cat /tmp/k/f; ls -A /tmp/k") == "old\nf\nlarge\n"
    output(vm, "rm -r /tmp/k")


def test_a_signal_ends_a_copy_with_its_status(vm: Capsem) -> None:
    reading, writing = os.pipe()
    into = subprocess.Popen(vm.command("cp", "-", "one:/tmp"), stdin=reading, stderr=subprocess.PIPE, env=vm.env())
    os.write(writing, b"")
    time.sleep(0.5)
    into.send_signal(signal.SIGTERM)
    _, errors = into.communicate(timeout=20)
    assert into.returncode in (128 + signal.SIGTERM, -signal.SIGTERM), errors
    os.close(reading)
    os.close(writing)


def on_terminal(vm: Capsem, *words: str, after: "Callable[[subprocess.Popen[bytes]], object]", **options: object) -> str:
    """What a copy shows where its standard error is a terminal; `after` is called when it has begun."""
    ours, theirs = os.openpty()
    process = subprocess.Popen(vm.command("cp", *words), stderr=theirs, env=vm.env(), **options)  # type: ignore[call-overload]
    os.close(theirs)
    after(process)
    assert process.wait(timeout=60) == 0
    shown = b""
    try:
        while piece := os.read(ours, 4096):
            shown += piece
    except OSError:  # nobody has the other side any more
        pass
    os.close(ours)
    return shown.decode()


def test_a_terminal_shows_how_far_a_copy_is_and_is_left_clean(vm: Capsem, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(os.urandom(100 << 20))

    def hold_up(process: "subprocess.Popen[bytes]") -> None:
        io = Path(f"/proc/{process.pid}/io")
        wait_until(lambda: int(io.read_text().split()[1]) > 10 << 20, 20)
        process.send_signal(signal.SIGSTOP)
        time.sleep(1.2)
        process.send_signal(signal.SIGCONT)

    shown = on_terminal(vm, str(large), "one:/root/", after=hold_up)
    line = re.escape(f"\r\x1b[Kcapsem: copying {large}: ") + r"\d+ %"
    assert re.fullmatch(rf"({line})+" + re.escape("\r\x1b[K"), shown), shown
    # Of a stream nobody knows how much there is.
    reading, writing = os.pipe()
    archive = subprocess.check_output(["tar", "-C", str(tmp_path), "-cf", "-", "large"])

    def feed(_: object) -> None:
        os.close(reading)
        with open(writing, "wb") as stream:
            stream.write(archive[: 1 << 20])
            time.sleep(1.2)
            stream.write(archive[1 << 20 :])

    shown = on_terminal(vm, "-", "one:/root/", after=feed, stdin=reading)
    assert re.fullmatch(r"(\r\x1b\[Kcapsem: copying -: [\d.]+ [kM]?B)+\r\x1b\[K", shown), shown
    # What is over within a second shows nothing.
    assert on_terminal(vm, "one:/etc/hostname", str(tmp_path), after=lambda _: None) == ""
    output(vm, "rm /root/large")


@pytest.fixture
def server(vm: Capsem) -> Iterator[None]:
    output(vm, "mkdir -p /srv/web && head -c 3M /dev/urandom | base64 > /srv/web/data")
    output(vm, "setsid python3 -m http.server 8000 -d /srv/web >/dev/null 2>&1 </dev/null &")
    wait_until(lambda: output(vm, "ss -ltn | grep -c :8000 || true") != "0\n", 20)
    yield
    output(vm, "pkill -f http.server")


def forward(vm: Capsem, ports: str) -> "tuple[subprocess.Popen[bytes], str]":
    process = subprocess.Popen(
        vm.command("port", "one", ports), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=vm.env()
    )
    assert process.stdout
    line = process.stdout.readline().decode()
    assert (found := re.fullmatch(r"listening at (.*)\n", line)), line
    return process, found[1]


def test_curl_reaches_a_server_in_the_guest(vm: Capsem, server: None, tmp_path: Path) -> None:
    expected = output(vm, "cat /srv/web/data")
    process, where = forward(vm, "0:8000")
    assert where.startswith("127.0.0.1:")
    for _ in range(3):
        assert subprocess.check_output(["curl", "-sS", f"http://{where}/data"], text=True) == expected
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=20) == (b"", b"")
    assert process.returncode == 128 + signal.SIGTERM

    path = tmp_path / "socket"
    for _ in range(2):
        process, where = forward(vm, f"{path}:8000")
        assert (where, path.stat().st_mode & 0o777) == (str(path), 0o600)
        assert subprocess.check_output(
            ["curl", "-sS", "--unix-socket", str(path), "http://one/data"], text=True) == expected
        process.kill()  # what it leaves is no hindrance
        process.communicate()


def test_a_port_that_nobody_listens_at_is_a_reset(vm: Capsem) -> None:
    process, where = forward(vm, "0:9")
    with socket.create_connection(("127.0.0.1", int(where.rpartition(":")[2]))) as client:
        client.settimeout(20)
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=20)
    assert errors.count(b"\n") == 1 and b"port 9 of the guest: Connection refused" in errors


@pytest.mark.parametrize("ports", ["0.0.0.0:1:80", "8080", "1:0", "192.168.0.1:1:80", "x:80", "1:65536", ":80"])
def test_only_ports_of_the_loopback_interface_are_taken(vm: Capsem, ports: str) -> None:
    result = vm.call("port", "one", ports)
    assert result.returncode == 2
    the_error(result)
