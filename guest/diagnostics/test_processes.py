"""Processes: reaping, signals, limits, looking at them, and debugging one's own."""

import os
import resource
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import LIMIT_S, Shell, needs, wait_until


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    """A process to look at, named sleep."""
    with subprocess.Popen(["sleep", "1000"]) as process:
        yield process
        process.kill()


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_orphans_are_reaped(shell: Shell) -> None:
    orphan = int(shell("sh -c 'sleep 0.05 >/dev/null & echo $!'"))
    wait_until(lambda: not Path(f"/proc/{orphan}").exists(), "PID 1 reaps an orphan")


def test_a_daemon_outlives_who_started_it(shell: Shell) -> None:
    daemon = int(shell("setsid sh -c 'exec sleep 1000' >/dev/null 2>&1 & echo $!"))
    try:
        wait_until(lambda: state_of(daemon) in "SR", "it runs or sleeps")
    finally:
        os.kill(daemon, signal.SIGKILL)


def test_stop_and_continue(sleeper: "subprocess.Popen[bytes]") -> None:
    sleeper.send_signal(signal.SIGSTOP)
    wait_until(lambda: state_of(sleeper.pid) == "T", "it is stopped")
    sleeper.send_signal(signal.SIGCONT)
    wait_until(lambda: state_of(sleeper.pid) == "S", "it goes on")


def test_a_signal_to_a_group_reaches_all_of_it() -> None:
    command = ["sh", "-c", "sleep 1000 & echo $!; wait"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as leader:
        assert leader.stdout is not None
        member = int(leader.stdout.readline())
        os.killpg(leader.pid, signal.SIGTERM)
        assert leader.wait(LIMIT_S) == -signal.SIGTERM
    wait_until(lambda: not Path(f"/proc/{member}").exists(), "the group's other member ends")


LOOKING = {
    "ps": "ps -o comm= -p {pid}",
    "pgrep": "ps -o comm= -p $(pgrep -P {parent} -x sleep)",
    "pstree": "pstree {parent} | grep -o sleep | head -1",
    "top": "top -bn1 -p {pid} | awk '$1 == {pid} {{print $NF}}'",
    "lsof": "lsof -a -p {pid} -d txt -Fc | sed -n s/^c//p",
    "fuser": "ps -o comm= -p $(fuser /proc/{pid}/exe 2>/dev/null | tr ' ' '\\n' | grep -x {pid})",
    "/proc": "cat /proc/{pid}/comm",
}


@pytest.mark.parametrize("tool", LOOKING)
def test_a_process_is_seen(shell: Shell, sleeper: "subprocess.Popen[bytes]", tool: str) -> None:
    assert shell(LOOKING[tool].format(pid=sleeper.pid, parent=os.getpid())) == "sleep\n"


def test_priority_is_lowered(shell: Shell) -> None:
    assert shell("nice -n 7 nice") == "7\n"


def test_limits_hold(shell: Shell) -> None:
    assert shell("ulimit -n 32; exec 40</dev/null", status=1) == ""
    assert shell("ulimit -f 1; head -c 100000 /dev/zero >f", status=153) == ""


def test_a_limit_of_memory_holds(shell: Shell) -> None:
    assert "Out of memory" in shell("ulimit -v 100000; perl -e 'my $n = 200_000_000; my $x = \"x\" x $n' 2>&1", status=1)


def test_many_files_can_be_open() -> None:
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= 1024
    files = [open("/dev/null") for _ in range(900)]
    for file in files:
        file.close()


def test_many_threads_run_at_once() -> None:
    barrier = threading.Barrier(65)
    threads = [threading.Thread(target=barrier.wait) for _ in range(64)]
    for thread in threads:
        thread.start()
    barrier.wait(LIMIT_S)
    for thread in threads:
        thread.join()


def test_memory_can_be_used() -> None:
    assert bytearray(b"x" * (64 << 20))[-1] == ord("x")


def test_memory_is_shared_between_processes(shell: Shell) -> None:
    assert shell("id=$(ipcmk -M 4096 | awk '{print $NF}'); ipcs -m -i $id | grep -o bytes=4096; ipcrm -m $id") == "bytes=4096\n"


def test_strace_sees_the_calls_of_a_program_it_starts(shell: Shell) -> None:
    shell("strace -f -e trace=execve,exit_group -o calls sh -c 'true; exit 3'", status=3)
    assert shell("grep -c -e 'execve(.*/sh' -e 'exit_group(3)' calls") == "2\n"


def test_strace_attaches_to_a_process_of_ones_own(sleeper: "subprocess.Popen[bytes]") -> None:
    command = ["strace", "-p", str(sleeper.pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
        assert strace.stderr is not None
        assert "attached" in strace.stderr.readline()
        sleeper.terminate()
        assert "SIGTERM" in strace.stderr.read()
        strace.wait(LIMIT_S)


def test_gdb_stops_a_program_of_ones_own(shell: Shell) -> None:
    needs("gdb")
    said = shell("gdb -nx -batch -ex 'catch syscall exit_group' -ex run -ex 'info proc' -ex kill /bin/true")
    assert "exe = '/usr/bin/true'" in said


def test_a_crash_leaves_its_signal(shell: Shell) -> None:
    shell("ulimit -c 0; bash -c 'kill -ABRT $$'; exit $?", status=134)


def test_an_own_user_namespace_mounts_what_only_it_sees(shell: Shell) -> None:
    if Path("/proc/sys/user/max_user_namespaces").read_text().strip() == "0":
        pytest.skip("the kernel permits no user namespaces here")
    inside = "mount -t tmpfs own m && echo hidden >m/f && cat m/f && id -u"
    shell("mkdir m")
    assert shell(f"unshare -rm sh -c '{inside}'; ls m") == "hidden\n0\n"


def test_a_pid_namespace_of_ones_own_counts_from_one(shell: Shell) -> None:
    if Path("/proc/sys/user/max_user_namespaces").read_text().strip() == "0":
        pytest.skip("the kernel permits no user namespaces here")
    assert shell("unshare -rpf sh -c 'echo $$'") == "1\n"
