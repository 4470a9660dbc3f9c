"""A session that takes all there is: it ends with a status of its own, the user is told why, and the
services go on."""

import subprocess
import time
from pathlib import Path

from conftest import Capsem, error_lines

SERVICES = "pgrep -x 'capsem-(pty-agen|net-prox)' | tr '\\\\n' ' '"


def out_of_memory(lines: list[str]) -> list[str]:
    return [line for line in lines if "the guest ran out of memory" in line]


def test_a_command_that_takes_all_memory_is_killed_and_the_user_is_told(capsem: Capsem) -> None:
    result = capsem.run("--memory", "256", "tail", "/dev/zero")
    assert result.returncode == 137
    assert out_of_memory(error_lines(result)) == [
        "capsem: warning: the guest ran out of memory, and its kernel ended 1 process of the session; "
        "give it more than 256 MiB with --memory"
    ]


def test_a_command_that_outlives_the_shortage_has_its_own_status(capsem: Capsem) -> None:
    result = capsem.run("--memory", "256", "tail /dev/zero; echo rc=$?; exit 3")
    assert (result.stdout, result.returncode) == (b"rc=137\n", 3)
    assert out_of_memory(error_lines(result))
    assert not out_of_memory(error_lines(capsem.run("kill -9 $$")))


def test_services_go_on_when_memory_runs_out(capsem: Capsem) -> None:
    result = capsem.run(
        "--privileged", "--memory", "256",
        f"before=$({SERVICES}); tail /dev/zero; after=$({SERVICES}); echo $before is $after; "
        "sed -n 's/^oom //p' /sys/fs/cgroup/sessions/memory.events; "
        "exec sh -c 'cat /proc/1/oom_score_adj /proc/self/oom_score_adj'",
    )
    first, times_at_limit, of_init, own = result.stdout.decode().splitlines()
    before, after = first.split(" is ")
    assert len(before.split()) >= 2
    assert before == after
    # It was the memory of all sessions that ran out, not the machine's.
    assert int(times_at_limit) >= 1
    assert (of_init, own) == ("-1000", "0")


# Fills the buffers of sockets, which are no process's memory: by what it counts, the kernel takes the
# services for the largest. Ends when the first of its processes has been killed.
HOLD_IN_SOCKETS = """
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
static char block[65536];
int main(void) {
  for (int i = 0; i < 16; ++i)
    if (fork() == 0)
      for (int pair[2];;) {
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) pause();
        fcntl(pair[0], F_SETFL, O_NONBLOCK);
        while (write(pair[0], block, sizeof block) > 0) {}
      }
  wait(0);
  return 7;
}
"""


def test_memory_that_belongs_to_no_process_costs_no_service(capsem: Capsem, tmp_path: Path) -> None:
    program = tmp_path / "hold"
    subprocess.run(["gcc", "-static", "-O1", "-x", "c", "-o", program, "-"], input=HOLD_IN_SOCKETS.encode(), check=True)
    result = capsem.run("--memory", "256", "cat >/tmp/p; chmod +x /tmp/p; exec /tmp/p", stdin=program.read_bytes())
    assert result.returncode in (7, 137)
    assert out_of_memory(error_lines(result))
    assert not [line for line in error_lines(result) if "starting it again" in line]


# Seconds from a command's end to the run's, of a run that thousands of processes hold; many times
# what it takes on a quiet machine.
END_LIMIT_S = 20


def run_to_the_end(capsem: Capsem, command: str) -> tuple[int, float]:
    """The status of a command whose last line is "command ends", and how long the run went on then."""
    process = capsem.popen(command)
    assert process.stdout is not None
    assert b"command ends\n" in process.stdout
    begin = time.monotonic()
    process.communicate(timeout=120)
    return process.returncode, time.monotonic() - begin


def test_thousands_of_sleepers_do_not_hold_the_run(capsem: Capsem) -> None:
    status, seconds = run_to_the_end(
        capsem,
        "python3 -c \"\nimport os, signal\ntry:\n"
        "  for i in range(4000):\n    if os.fork() == 0:\n      while True: signal.pause()\n"
        "except OSError as e: print(e.strerror)\n"
        "print('command ends', flush=True)\nos._exit(0)\"",
    )
    assert (status, seconds < END_LIMIT_S) == (0, True), seconds


def test_a_fork_bomb_ends_with_the_command(capsem: Capsem) -> None:
    bomb = 'python3 -c "import os\nwhile 1:\n  try: os.fork()\n  except OSError: open(\'/tmp/full\', \'w\')" &'
    # The wait forks nothing, as that would fail too: `read` waits at a pipe that nobody writes to.
    wait = "until [ -e /tmp/full ]; do read -t 0.1 -u 9; done"
    result = capsem.run(f"exec 9<> <(:); {bomb} {wait}; echo command ends; exit 3")
    assert (result.stdout, result.returncode) == (b"command ends\n", 3)


def test_files_without_content_are_counted_on_every_file_system(capsem: Capsem) -> None:
    result = capsem.run(
        "--memory", "256",
        "python3 -c \"\nimport os\nprint(open('/proc/meminfo').readline().split()[1])\n"
        "for d in ('/run', '/tmp', '/dev/shm', '/dev', '/root'):\n"
        "  n = 0\n"
        "  try:\n"
        "    while n < 50_000: os.close(os.open(f'{d}/{n}', os.O_CREAT | os.O_WRONLY)); n += 1\n"
        "  except OSError as e: print(d, n, e.strerror)\"",
    )
    assert result.returncode == 0, result.stderr
    memory_kib, *lines = result.stdout.decode().splitlines()
    full = dict(line.split(" ", 1) for line in lines)
    counts = {name: int(said.split(" ", 1)[0]) for name, said in full.items()}
    assert all(said.endswith(" No space left on device") for said in full.values()), full
    # A file without content takes about 1 KiB. Without a limit of ours, Linux has one of an eighth of
    # the memory for each file system.
    assert set(counts) == {"/run", "/tmp", "/dev/shm", "/dev", "/root"}
    assert sum(counts.values()) < int(memory_kib) / 8, counts


def test_the_kernel_has_the_limits_of_sessions(capsem: Capsem) -> None:
    # Half of what a service has, which is in no group with a weight of its own: 100 (cgroup-v2.rst).
    group = "/sys/fs/cgroup/sessions"
    result = capsem.run(
        "--privileged", "--memory", "512",
        f"cat {group}/cpu.weight {group}/memory.max {group}/pids.max; "
        "sed -n 's/^MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo; cat /proc/sys/kernel/threads-max",
    )
    weight, memory, processes, total_kib, threads = (int(word) for word in result.stdout.split())
    assert weight == 50
    assert total_kib * 1024 / 2 < memory < total_kib * 1024 * 15 / 16
    assert processes == threads * 3 // 10


def test_system_v_segments_are_bounded(capsem: Capsem) -> None:
    result = capsem.run("for i in 1 2 3 4 5 6 7 8; do ipcmk -M 10M >/dev/null || echo refused; done")
    assert 0 < result.stdout.count(b"refused") < 8
