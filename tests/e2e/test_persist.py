"""VMs whose disk stays: what is written is there again, whatever ended them, and is never made anew."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Capsem, the_error
from named_vms import listed, monitor, output, state
from processes import named, wait_until

BLOCK = 512  # of st_blocks, stat(2)


def directory(vms: Capsem, name: str) -> Path:
    return Path(vms.environment["XDG_STATE_HOME"], "capsem/vms", name)


def disk(vms: Capsem, name: str) -> Path:
    return directory(vms, name) / "disk"


def create(vms: Capsem, name: str, *words: str, size: str = "1G") -> None:
    result = vms.run("--name", name, "--persist", "--disk", size, *words)
    assert (result.returncode, result.stderr) == (0, b"")


def is_in_order(path: Path) -> bool:
    """Unmounted as it should be, and whole."""
    header = subprocess.run(["/usr/sbin/dumpe2fs", "-h", str(path)], capture_output=True, check=True).stdout
    check = subprocess.run(["/usr/sbin/e2fsck", "-fn", str(path)], capture_output=True)
    return b"needs_recovery" not in header and check.returncode == 0


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def kill_all(vms: Capsem, name: str) -> None:
    """As the loss of power, to the VM."""
    pid = monitor(vms)
    (qemu,) = named(pid, "qemu-system")
    for each in (qemu, pid):
        os.kill(each, signal.SIGKILL)
    # A process whose first thread has ended may have others that still hold its files.
    wait_until(lambda: state(vms, name) == "stopped", 10)


def test_what_is_written_stays_and_a_copy_goes_its_own_way(vms: Capsem) -> None:
    create(vms, "one", "echo kept > note; echo 'echo tool' > /usr/local/bin/tool; chmod +x /usr/local/bin/tool; "
           "rm /usr/bin/tree; touch /tmp/gone /run/gone")
    status = disk(vms, "one").stat()
    assert (status.st_mode & 0o7777, status.st_size) == (0o600, 1 << 30)
    assert status.st_blocks * BLOCK < 32 << 20
    (vm,) = listed(vms)
    assert vm["disk_bytes"] == 1 << 30
    assert "1024 MiB" in output(vms, "ps").splitlines()[1].split("running")[1]
    assert "it is running" in the_error(vms.call("fork", "one", "two"))
    output(vms, "stop", "one")
    assert is_in_order(disk(vms, "one"))

    output(vms, "fork", "one", "two")
    assert disk(vms, "two").stat().st_blocks <= disk(vms, "one").stat().st_blocks + 64
    assert "already" in the_error(vms.call("fork", "one", "two"))
    assert state(vms, "two") == "stopped"
    output(vms, "start", "one", "two")
    seen = "cat note; tool; ls -d /usr/bin/tree /tmp/gone /run/gone 2>/dev/null; hostname"
    assert output(vms, "exec", "one", f"{seen}; echo more >> note") == "kept\ntool\none\n"
    assert output(vms, "exec", "two", seen) == "kept\ntool\ntwo\n"
    output(vms, "restart", "two")
    assert output(vms, "exec", "two", "cat note") == "kept\n"
    assert output(vms, "exec", "one", "cat note") == "kept\nmore\n"
    output(vms, "rm", "--force", "two")
    assert not directory(vms, "two").exists()
    assert [vm["name"] for vm in listed(vms)] == ["one"]


def test_what_was_synced_survives_a_kill_and_the_doctor_passes(vms: Capsem, tmp_path: Path) -> None:
    create(vms, "capsem", "true")  # the doctor expects that name
    output(vms, "exec", "capsem", "echo synced > a; sync a; mkdir d")
    kill_all(vms, "capsem")
    assert vms.call("start", "capsem").returncode == 0
    # QEMU has the host write it to its disk, which no kill shows.
    (qemu,) = named(monitor(vms), "qemu-system")
    trace = tmp_path / "trace"
    strace = subprocess.Popen(["strace", "-f", "-qq", "-e", "trace=fdatasync", "-o", str(trace), "-p", str(qemu)])
    wait_until(lambda: all("TracerPid:\t0" not in task.read_text() for task in Path(f"/proc/{qemu}/task").glob("*/status")))
    fsync = "import os; f = os.open('b', os.O_CREAT | os.O_WRONLY); os.write(f, b'fsync'); os.fsync(f)"
    assert output(vms, "exec", "capsem", f"cat a; python3 -c \"{fsync}\"") == "synced\n"
    strace.terminate()
    strace.wait(timeout=30)
    assert "fdatasync(" in trace.read_text()
    kill_all(vms, "capsem")
    assert vms.call("start", "capsem").returncode == 0
    assert output(vms, "exec", "capsem", "cat b") == "fsync"
    doctor = vms.call("exec", "capsem", "capsem-doctor --skip diagnostics")
    assert doctor.returncode == 0, doctor.stdout
    output(vms, "stop", "capsem")
    assert is_in_order(disk(vms, "capsem"))


def test_a_disk_that_is_not_the_one_is_refused_and_left_as_it_is(vms: Capsem, tmp_path: Path) -> None:
    create(vms, "one", "echo kept > note", size="64M")
    output(vms, "stop", "one")
    path, good = disk(vms, "one"), tmp_path / "good"
    subprocess.run(["cp", "--sparse=always", path, good], check=True)

    def refused(why: str) -> None:
        before = sha256(path) if path.exists() else ""
        result = vms.call("start", "one")
        assert result.returncode == 2
        assert why in the_error(result) and "capsem rm" in the_error(result)
        assert (sha256(path) if path.exists() else "") == before
        (vm,) = listed(vms)
        assert vm["state"] == "failed" and why in str(vm["reason"])

    with path.open("r+b") as file:
        file.write(bytes(4096))
    refused("it has no ext4 file system")
    path.unlink()
    refused("No such file or directory")
    path.write_bytes(b"")
    refused("it has 0 bytes and not")
    os.truncate(path, 64 << 20)
    refused("it has no ext4 file system")
    subprocess.run(["/usr/sbin/mke2fs", "-q", "-F", path], check=True, capture_output=True)
    refused("another than that of the VM")
    shutil.move(good, path)
    path.chmod(0o600)
    output(vms, "start", "one")
    assert output(vms, "exec", "one", "cat note") == "kept\n"


def test_a_damage_that_needs_a_decision_is_a_boot_that_fails_with_it(vms: Capsem) -> None:
    create(vms, "one", "true", size="64M")
    output(vms, "stop", "one")
    for change in ("clri <2>", "set_super_value state 2"):
        subprocess.run(["/usr/sbin/debugfs", "-w", "-R", change, disk(vms, "one")], check=True, capture_output=True)
    result = vms.call("start", "one")
    assert result.returncode == 2
    assert "its check ended with exit status 4" in the_error(result)
    assert "UNEXPECTED INCONSISTENCY" in the_error(result) and "e2fsck -f" in the_error(result)
    (vm,) = listed(vms)
    assert vm["state"] == "failed" and "UNEXPECTED INCONSISTENCY" in str(vm["reason"])


@pytest.fixture
def small(vms: Capsem, tmp_path: Path) -> Iterator[Path]:
    """A file system of 96 MiB for the state."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m,mode=0700", "small", str(place)])
    if mounted.returncode != 0:
        pytest.skip("needs to mount a file system")
    vms.environment["XDG_STATE_HOME"] = str(place)
    yield place
    vms.call("rm", "--force", "one")
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_of_the_host_holds_the_vm_up_until_there_is_room(vms: Capsem, small: Path) -> None:
    write = "head -c 150M /dev/urandom > big && sync && sha256sum < big"
    client = vms.popen("--name", "one", "--persist", "--disk", "1G", write)
    wait_until(lambda: "the host's disk is full" in vms.call("logs", "one").stdout.decode(), 60)
    time.sleep(3)
    assert client.poll() is None
    assert output(vms, "logs", "one").count("the host's disk is full") == 1
    assert state(vms, "one") == "running"
    subprocess.run(["mount", "-o", "remount,size=400m", str(small)], check=True)
    written, errors = client.communicate(timeout=90)
    assert client.returncode == 0, errors
    said = errors.decode().splitlines()
    assert len(said) == 2 and "is full; the VM waits" in said[0] and "the VM goes on" in said[1], said
    output(vms, "restart", "one")
    assert output(vms, "exec", "one", "sha256sum < big") == written.decode()
    # What is removed in the guest takes no room on the host.
    assert disk(vms, "one").stat().st_blocks * BLOCK > 150_000_000
    output(vms, "exec", "one", "rm big; sync")
    wait_until(lambda: disk(vms, "one").stat().st_blocks * BLOCK < 64 << 20, 30)
    output(vms, "stop", "one")
    assert is_in_order(disk(vms, "one"))


@pytest.mark.parametrize("words, why", [
    (["--disk", "2G", "--name", "one"], "--persist"),
    (["--persist"], "--name"),
    (["--persist", "--name", "one", "--disk", "1"], "64"),
    (["--persist", "--name", "one", "--disk", "abc"], "abc"),
    (["--persist", "--name", "one", "--disk", "-1"], "--disk"),
    (["--persist", "--name", "one", "--disk", "5000G"], "4194304"),
])
def test_bad_input(vms: Capsem, words: list[str], why: str) -> None:
    result = vms.run(*words, "true")
    assert result.returncode == 125
    assert why in the_error(result)
    assert listed(vms) == []


def test_a_host_without_mke2fs_says_what_to_install(vms: Capsem, tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("needs root, to hide a program")
    hidden = tmp_path / "nothing"
    hidden.write_text("")
    script = 'for each in /usr/sbin/mke2fs /sbin/mke2fs; do mount --bind "$0" $each; done; exec "$@"'
    words = vms.command("run", "--accel", "tcg", "--name", "one", "--persist", "true")
    result = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, str(hidden), *words], capture_output=True, env=vms.env(), timeout=60
    )
    assert result.returncode == 125
    assert "install e2fsprogs" in the_error(result)
    assert json.loads(vms.call("ps", "--all", "--json").stdout) == []
