"""A session that takes all there is: it ends with a status of its own, the user is told why, and the
services go on."""

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
        "exec sh -c 'cat /proc/1/oom_score_adj /proc/self/oom_score_adj'",
    )
    first, of_init, own = result.stdout.decode().splitlines()
    before, after = first.split(" is ")
    assert len(before.split()) >= 2
    assert before == after
    assert (of_init, own) == ("-1000", "0")


def test_a_fork_bomb_ends_with_the_command(capsem: Capsem) -> None:
    bomb = 'python3 -c "import os\nwhile 1:\n  try: os.fork()\n  except OSError: open(\'/tmp/full\', \'w\')" &'
    # The wait forks nothing, as that would fail too: `read` waits at a pipe that nobody writes to.
    wait = "until [ -e /tmp/full ]; do read -t 0.1 -u 9; done"
    result = capsem.run(f"exec 9<> <(:); {bomb} {wait}; echo command ends; exit 3")
    assert (result.stdout, result.returncode) == (b"command ends\n", 3)


def test_files_without_content_are_counted_on_every_file_system(capsem: Capsem) -> None:
    result = capsem.run(
        "--memory", "256",
        "python3 -c \"\nimport os\nfor d in ('/run', '/tmp', '/dev/shm', '/dev', '/root'):\n"
        "  n = 0\n"
        "  try:\n"
        "    while n < 100_000: os.close(os.open(f'{d}/{n}', os.O_CREAT | os.O_WRONLY)); n += 1\n"
        "  except OSError as e: print(d, e.strerror)\n"
        "print('end')\"",
    )
    assert result.returncode == 0, result.stderr
    full = "No space left on device"
    assert result.stdout.decode().splitlines() == [
        f"/run {full}", f"/tmp {full}", f"/dev/shm {full}", f"/dev {full}", f"/root {full}", "end"
    ]


def test_system_v_segments_are_bounded(capsem: Capsem) -> None:
    result = capsem.run("for i in 1 2 3 4 5 6 7 8; do ipcmk -M 10M >/dev/null || echo refused; done")
    assert 0 < result.stdout.count(b"refused") < 8
