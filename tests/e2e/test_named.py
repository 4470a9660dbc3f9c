"""VMs with a name: they go on when the command has ended, and are found again."""

import fcntl
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from conftest import Capsem, the_error
from named_vms import listed, monitor, output, state
from processes import gone, named, wait_until


def test_a_named_vm_goes_on_when_its_command_has_ended(vms: Capsem) -> None:
    result = vms.run("--name", "one", "echo hi > /root/note; hostname; exit 3")
    assert (result.returncode, result.stdout) == (3, b"one\n")
    assert output(vms, "exec", "one", "cat /root/note") == "hi\n"
    assert vms.call("exec", "one", "cat", stdin=b"\x00\xff").stdout == b"\x00\xff"
    assert vms.call("exec", "one", "exit 7").returncode == 7
    assert vms.call("exec", "one", "--", "sh", "-c", "exit 8").returncode == 8
    assert state(vms, "one") == "running"


def test_stop_lets_processes_end_by_themselves_and_kill_does_not(vms: Capsem) -> None:
    vms.run("--name", "one", "true")
    session = subprocess.Popen(
        vms.command("exec", "one", "trap 'echo in order; exit' TERM; echo up; while :; do sleep 0.1; done"),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=vms.env(),
    )
    assert session.stdout is not None and session.stdout.readline() == b"up\n"
    begin = time.monotonic()
    output(vms, "stop", "--time", "20", "one")
    assert time.monotonic() - begin < 15
    assert session.wait(timeout=30) == 125
    session.communicate()
    output(vms, "start", "one")
    stubborn = "setsid bash -c 'trap \"\" TERM; while :; do sleep 0.1; done' >/dev/null 2>&1 & sleep 1"
    output(vms, "exec", "one", stubborn)
    begin = time.monotonic()
    output(vms, "stop", "--time", "3", "one")
    assert 3 <= time.monotonic() - begin < 13
    output(vms, "start", "one")
    output(vms, "exec", "one", stubborn)
    begin = time.monotonic()
    output(vms, "kill", "one")
    assert time.monotonic() - begin < 3


def test_it_is_stopped_started_renamed_and_removed(vms: Capsem) -> None:
    name = output(vms, "run", "--accel", "tcg", "--memory", "512", "--detach").strip()
    assert output(vms, "ps").split("\n")[1].split()[:2] == [name, "running"]
    output(vms, "exec", name, "touch /root/here")
    output(vms, "stop", name)
    assert output(vms, "ps").count("\n") == 1
    assert state(vms, name) == "stopped"
    assert "not running" in the_error(vms.call("exec", name, "true"))
    assert "not running" in the_error(vms.call("stop", name))
    output(vms, "start", name)
    # What is not on a disk is gone.
    assert vms.call("exec", name, "test -e /root/here").returncode == 1
    assert int(output(vms, "exec", name, "awk '/MemTotal/ {print $2}' /proc/meminfo")) < 512 << 10
    assert "it is running" in the_error(vms.call("rename", name, "another"))
    assert "it is running" in the_error(vms.call("rm", name))
    output(vms, "stop", name)
    output(vms, "rename", name, "another")
    assert "none of that name" in the_error(vms.call("exec", name, "true"))
    output(vms, "restart", "another")
    assert output(vms, "exec", "another", "hostname") == "another\n"
    output(vms, "kill", "another")
    output(vms, "rm", "another")
    assert listed(vms) == []
    left = [path for top in vms.environment.values() for path in Path(top).glob("capsem/vms/*") if path.is_dir()]
    assert left == []


def test_a_name_is_taken_once(vms: Capsem) -> None:
    assert vms.run("--name", "one", "true").returncode == 0
    result = vms.run("--name", "one", "true")
    assert result.returncode == 125
    assert "there is one of that name already" in the_error(result)
    assert state(vms, "one") == "running"


@pytest.mark.parametrize("name", ["../x", ".", "..", "", "-rf", "x" * 64, "x" * 300, "a/b", "a\nb", "é"])
def test_names_that_cannot_be_are_refused_by_name(vms: Capsem, name: str) -> None:
    one = (["start"], ["restart"], ["stop"], ["kill"], ["inspect"], ["logs"], ["log", "net"], ["rm"], ["attach"])
    one += (["rename", "--", "one"],)
    commands = [[*words, *([] if "--" in words else ["--"]), name] for words in one]
    commands += [["exec", "--", name, "true"], ["rename", "--", name, "one"], ["port", "--", name, "1:2"]]
    for words in [["run", "--name", name, "true"], *commands]:
        result = vms.call(*words)
        assert result.returncode in (2, 125), words
        assert "a name has 1 to 63" in the_error(result), words
    for words in (["cp", "--", f"{name}:f", "/nowhere"], ["cp", "--", "/etc/hostname", f"{name}:f"]):
        result = vms.call(*words)
        assert result.returncode == 2
        # With a '/' before its ':' it is a file of the host, as with nothing there.
        is_a_name = name != "" and "/" not in name
        assert ("a name has 1 to 63" if is_a_name else "neither end is in a VM") in the_error(result)
    assert listed(vms) == []


def test_a_killed_monitor_takes_qemu_along_and_is_cleaned_up_after(vms: Capsem) -> None:
    assert vms.run("--name", "one", "true").returncode == 0
    pid = monitor(vms)
    (qemu,) = named(pid, "qemu-system")
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: gone(qemu), 5)
    result = vms.call("ps", "--all", "--json")
    assert the_error(result).startswith("capsem: VM 'one' was not stopped in order: its monitor was killed")
    (vm,) = json.loads(result.stdout)
    assert (vm["state"], vm["reason"]) == ("stopped", "its monitor was killed")
    output(vms, "start", "one")
    assert output(vms, "exec", "one", "echo again") == "again\n"


def test_a_killed_qemu_is_one_line_for_each_client_and_a_reason(vms: Capsem) -> None:
    assert vms.run("--name", "one", "true").returncode == 0
    clients = [
        subprocess.Popen(
            vms.command("exec", "one", "echo ready; sleep 1000"),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=vms.env(),
        )
        for _ in range(3)
    ]
    for client in clients:
        assert client.stdout and client.stdout.readline() == b"ready\n"
    (qemu,) = named(monitor(vms), "qemu-system")
    os.kill(qemu, signal.SIGKILL)
    for client in clients:
        _, errors = client.communicate(timeout=60)
        assert client.returncode == 125
        assert errors.count(b"\n") == 1 and b"signal 9" in errors, errors
    (vm,) = listed(vms)
    assert vm["state"] == "failed" and "signal 9" in str(vm["reason"])
    output(vms, "start", "one")


def test_the_host_restarted_is_a_vm_that_is_stopped(vms: Capsem) -> None:
    assert vms.run("--name", "one", "true").returncode == 0
    output(vms, "kill", "one")
    record = Path(vms.environment["XDG_STATE_HOME"], "capsem/vms/one/vm.json")
    text = json.loads(record.read_text())
    record.write_text(json.dumps({**text, "state": "running", "boot_id": "another"}))
    (vm,) = listed(vms)
    assert (vm["state"], vm["reason"]) == ("stopped", "the host was started again")


def test_curl_does_what_the_commands_do(vms: Capsem) -> None:
    assert vms.run("--name", "one", "true").returncode == 0
    socket = Path(vms.environment["XDG_RUNTIME_DIR"], "capsem/vms/one/monitor.sock")
    assert (socket.stat().st_mode & 0o777, socket.parent.stat().st_mode & 0o777) == (0o600, 0o700)

    def curl(*words: str) -> dict[str, object]:
        return json.loads(
            subprocess.check_output(["curl", "-sS", "--unix-socket", str(socket), *words], timeout=60)
        )

    assert curl("http://capsem/v1/vm")["state"] == "running"
    assert curl("-X", "POST", "http://capsem/v1/stop")["state"] == "ended"
    wait_until(lambda: state(vms, "one") == "stopped", 10)


def test_another_user_cannot_use_it(vms: Capsem) -> None:
    if os.getuid() != 0:
        pytest.skip("needs root, to become another user")
    assert vms.run("--name", "one", "true").returncode == 0
    runtime = Path(vms.environment["XDG_RUNTIME_DIR"])
    # Even where the directories let him through.
    for directory in (runtime, *runtime.rglob("*"), *runtime.parents):
        if str(directory).startswith(str(runtime.parent)) or directory == runtime.parent:
            directory.chmod(0o777)
    subprocess.run(["chmod", "a+x", *map(str, runtime.parents)], check=True)
    socket = runtime / "capsem/vms/one/monitor.sock"
    result = subprocess.run(
        ["setpriv", "--reuid=65534", "--clear-groups", "curl", "-sS", "-m", "10", "--unix-socket", str(socket),
         "http://capsem/v1/vm"],
        capture_output=True, timeout=60,
    )
    assert result.returncode != 0 and result.stdout == b""
    assert output(vms, "exec", "one", "echo well") == "well\n"


def test_a_vm_that_does_not_boot_is_left_with_its_reason(vms: Capsem, tmp_path: Path) -> None:
    image = tmp_path / "image"
    init = tmp_path / "root/init"
    init.parent.mkdir()
    init.write_text("#!/no/such/shell\n")
    init.chmod(0o755)
    packed = vms.call("initrd", "pack", "--from-dir", str(init.parent), "--output", str(image))
    assert packed.returncode == 0
    result = vms.run("--name", "one", "--initrd", str(image), "true")
    assert result.returncode == 125


def test_the_log_has_console_and_events_with_times_until_the_end(vms: Capsem) -> None:
    assert vms.run("--name", "one", "true").returncode == 0
    following = subprocess.Popen(vms.command("logs", "--follow", "one"), stdout=subprocess.PIPE, env=vms.env())
    output(vms, "stop", "one")
    followed, _ = following.communicate(timeout=30)
    assert following.returncode == 0
    text = output(vms, "logs", "one")
    assert followed.decode() == text
    assert re.search(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} console  .*capsem-init", text, re.MULTILINE)
    assert text.splitlines()[-1].endswith(" state    ended")
    lines = [json.loads(line) for line in output(vms, "logs", "--json", "one").splitlines()]
    assert len(lines) == len(text.splitlines())
    assert abs(lines[-1]["at_ms"] / 1000 - time.time()) < 60


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_log_that_is_followed_says_that_the_monitor_was_killed(vms: Capsem, form: list[str]) -> None:
    assert vms.run("--name", "one", "true").returncode == 0
    following = subprocess.Popen(
        vms.command("logs", "--follow", *form, "one"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=vms.env()
    )
    assert following.stdout is not None and b"starting" in following.stdout.readline()
    os.kill(monitor(vms), signal.SIGKILL)
    _, errors = following.communicate(timeout=30)
    assert following.returncode == 2
    assert errors == b"capsem: cannot follow the log of VM 'one' to its end: its monitor was killed\n"


def test_a_process_that_does_not_go_on_stops_nobody_for_ever(vms: Capsem) -> None:
    assert listed(vms) == []
    lock = Path(vms.environment["XDG_STATE_HOME"], "capsem/vms/.lock")
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        begin = time.monotonic()
        result = vms.call("rm", "one")
        assert 4 < time.monotonic() - begin < 20
        assert result.returncode == 2
        assert f"process {os.getpid()} holds it" in the_error(result)
    assert "none of that name" in the_error(vms.call("rm", "one"))


def test_an_empty_name_and_a_detached_session_are_refused(vms: Capsem) -> None:
    for words in (["--name", "", "true"], ["--detach", "--user", "nobody"], ["--detach", "true"]):
        result = vms.run(*words)
        assert result.returncode == 125, words
        the_error(result)
    assert listed(vms) == []


def test_a_boot_that_takes_too_long_is_over_when_it_is_told(vms: Capsem) -> None:
    result = vms.run("--boot-limit", "1", "--cpus", "1", "--initrd", str(slow_image(vms)), "--name", "one", "--detach")
    assert result.returncode == 125
    assert "did not" in the_error(result) or "within" in the_error(result)
    assert state(vms, "one") == "failed"
    output(vms, "rm", "one")


def slow_image(vms: Capsem) -> Path:
    """One whose init does nothing."""
    root = Path(vms.environment["XDG_STATE_HOME"], "root")
    (root / "bin").mkdir(parents=True)
    busy = root / "init.c"
    busy.write_text("#include <unistd.h>\nint main(void) { for (;;) pause(); }\n")
    subprocess.run(["gcc", "-static", "-o", root / "init", busy], check=True)
    busy.unlink()
    image = root.parent / "image"
    assert vms.call("initrd", "pack", "--from-dir", str(root), "--output", str(image)).returncode == 0
    return image


def test_a_monitor_that_does_not_answer_can_be_killed(vms: Capsem) -> None:
    assert vms.run("--name", "one", "true").returncode == 0
    pid = monitor(vms)
    os.kill(pid, signal.SIGSTOP)
    assert "did not answer within 10 s" in the_error(vms.call("inspect", "one"))
    assert vms.call("kill", "one").returncode == 0
    assert gone(pid)
    assert state(vms, "one") == "stopped"


def test_sigterm_to_the_monitor_is_a_stop_in_order(vms: Capsem) -> None:
    assert vms.run("--name", "one", "true").returncode == 0
    pid = monitor(vms)
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: gone(pid), 30)
    (vm,) = listed(vms)
    assert (vm["state"], vm["reason"]) == ("stopped", "")


def test_pid_1_that_cannot_wait_serves_the_host_all_the_same(vms: Capsem) -> None:
    # More descriptors than its limit are what poll(2) refuses.
    command = "prlimit --pid 1 --nofile=1:1024 && kill $(pidof capsem-net-proxy)"
    vms.run("--name", "one", "--privileged", command)
    time.sleep(2)
    assert vms.call("stop", "one").returncode == 0
    console = output(vms, "logs", "one")
    # Once a second, where a loop that takes it for a signal's interruption would not rest.
    assert 1 <= console.count("cannot wait for signals and the host: Invalid argument") < 10
    assert "the machine ends; its processes are asked to" in console


@pytest.mark.parametrize("who", ["run", "exec"])
def test_a_reboot_by_a_command_boots_the_vm_again(vms: Capsem, who: str) -> None:
    reboot = "touch /root/before; shutdown -r now"
    if who == "run":
        result = vms.run("--name", "one", reboot)
    else:
        vms.run("--name", "one", "true")
        with subprocess.Popen(
            vms.command("exec", "one", "cat"), stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=vms.env()
        ) as other:
            result = vms.call("exec", "one", reboot)
            assert other.wait(timeout=60) == 125
            assert other.stderr is not None and b"the guest was rebooted" in other.stderr.read()
    assert result.returncode == 125
    assert the_error(result) == (
        "capsem: cannot go on with the session: the guest was rebooted; VM 'one' boots again"
    )
    assert state(vms, "one") == "running"
    assert output(vms, "exec", "one", "test -e /root/before || echo gone") == "gone\n"
