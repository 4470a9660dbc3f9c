"""The shell: pipes, statuses, job control, signals."""

import pytest


@pytest.mark.parametrize("status", [0, 1, 42, 255])
def test_exit_status(shell, status: int) -> None:
    assert shell(f"exit {status}").returncode == status


def test_pipe_passes_everything_on(shell) -> None:
    assert shell("seq 1 100000 | wc -l").stdout.strip() == "100000"


def test_pipefail_reports_the_failing_part(shell) -> None:
    assert shell("set -o pipefail; false | true").returncode == 1


def test_a_writer_without_reader_gets_sigpipe(shell) -> None:
    assert shell("yes | head -1; echo ${PIPESTATUS[0]}").stdout.split() == ["y", "141"]


def test_a_killed_job_reports_its_signal(shell) -> None:
    assert shell("sleep 100 & kill -TERM $!; wait $!").returncode == 143


def test_traps_run(shell) -> None:
    assert shell("trap 'echo trapped' EXIT; true").stdout == "trapped\n"


def test_redirection_keeps_the_streams_apart(shell) -> None:
    assert shell("(echo out; echo err >&2) 2>err >out; cat err out").stdout == "err\nout\n"


def test_process_substitution(shell) -> None:
    assert shell("diff <(seq 3) <(seq 3)").returncode == 0


def test_a_command_that_is_not_there(shell) -> None:
    assert shell("no-such-command").returncode == 127


def test_a_file_that_is_not_executable(shell) -> None:
    assert shell("touch f; ./f").returncode == 126
