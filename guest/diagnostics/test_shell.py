"""The shell: statuses, pipes, expansion, jobs, and the tools that stand in every script."""

import pytest

from support import Shell


@pytest.mark.parametrize("status", [0, 1, 42, 255])
def test_exit_status(shell: Shell, status: int) -> None:
    shell(f"exit {status}", status=status)


@pytest.mark.parametrize(("signal", "status"), [("HUP", 129), ("KILL", 137), ("SEGV", 139), ("TERM", 143)])
def test_a_killed_job_reports_its_signal(shell: Shell, signal: str, status: int) -> None:
    shell(f"sleep 100 & kill -{signal} $!; wait $!", status=status)


def test_pipe_passes_everything_on(shell: Shell) -> None:
    assert shell("seq 1 100000 | wc -l") == "100000\n"


def test_pipefail_reports_the_failing_part(shell: Shell) -> None:
    shell("set -o pipefail; false | true", status=1)


def test_a_writer_without_reader_gets_sigpipe(shell: Shell) -> None:
    assert shell("yes | head -1; echo ${PIPESTATUS[0]}").split() == ["y", "141"]


def test_traps_run(shell: Shell) -> None:
    assert shell("trap 'echo left' EXIT; trap 'echo heard' USR1; kill -USR1 $$") == "heard\nleft\n"


def test_redirection_keeps_the_streams_apart(shell: Shell) -> None:
    assert shell("(echo out; echo err >&2) 2>err >out; cat err out") == "err\nout\n"


def test_process_substitution(shell: Shell) -> None:
    assert shell("paste <(seq 2) <(seq 3 4)") == "1\t3\n2\t4\n"


def test_here_documents_expand_unless_quoted(shell: Shell) -> None:
    assert shell("x=1\ncat <<A <<'B' /dev/fd/3 3<<A\n$x\nA\n$x\nB\n$x\nA\n") == "1\n"
    assert shell("x=1; cat <<'B'\n$x\nB\n") == "$x\n"


def test_standard_input_reaches_the_command(shell: Shell) -> None:
    assert shell("read first; cat", stdin="one\ntwo\nthree") == "two\nthree"


def test_globs_and_braces(shell: Shell) -> None:
    shell("mkdir -p d/e; touch {a,b}{1,2}.txt d/e/c.txt .hidden")
    assert shell("echo *.txt; shopt -s globstar; echo **/c.*; echo [!a]*.txt") == (
        "a1.txt a2.txt b1.txt b2.txt\nd/e/c.txt\nb1.txt b2.txt\n"
    )


def test_arithmetic_has_64_bits(shell: Shell) -> None:
    assert shell("echo $((2**62)) $((0x10)) $((-7 % 3))") == "4611686018427387904 16 -1\n"


def test_arrays_and_string_operations(shell: Shell) -> None:
    line = 'declare -A a=([k]=v); l=(1 2 3); f=dir/x.tar.gz; echo ${a[k]} ${#l[@]} ${f##*/} ${f%%.*} ${f^^}'
    assert shell(line) == "v 3 x.tar.gz dir/x DIR/X.TAR.GZ\n"


def test_background_jobs_are_collected(shell: Shell) -> None:
    assert shell("(exit 3) & a=$!; (exit 4) & b=$!; wait $a; echo $?; wait $b; echo $?") == "3\n4\n"


def test_errexit_ends_a_script(shell: Shell) -> None:
    assert shell("set -euo pipefail; echo before; false; echo after", status=1) == "before\n"


def test_a_command_that_is_not_there(shell: Shell) -> None:
    shell("no-such-command", status=127)


def test_a_file_that_is_not_executable(shell: Shell) -> None:
    shell("touch f; ./f", status=126)


def test_a_script_is_run_by_the_interpreter_it_names(shell: Shell) -> None:
    assert shell("printf '#!/bin/sed -f\\ns/a/b/\\n' >s; chmod +x s; echo a | ./s") == "b\n"


def test_sh_runs_posix_scripts(shell: Shell) -> None:
    assert shell("sh -c 'set -eu; f() { local x=$1; echo \"${x%c}\"; }; f abc'") == "ab\n"


def test_timeout_ends_what_takes_too_long(shell: Shell) -> None:
    shell("timeout 0.01 sleep 100", status=124)


TOOLS = {
    "sort": ("printf '10\\n9\\n9\\n' | sort -nu", "9\n10\n"),
    "sed": ("echo 2026-11-24 | sed -E 's/(.*)-(.*)-(.*)/\\3.\\2.\\1/'", "24.11.2026\n"),
    "awk": ("seq 10 | awk '{s += $1} END {print s}'", "55\n"),
    "grep": ("printf 'one\\ntwo\\n' | grep -on 'w.'", "2:wo\n"),
    "cut": ("echo a:b:c | cut -d: -f2-", "b:c\n"),
    "tr": ("echo hello | tr a-y b-z", "ifmmp\n"),
    "uniq": ("printf 'a\\na\\nb\\n' | uniq -c | tr -s ' '", " 2 a\n 1 b\n"),
    "xargs": ("seq 6 | xargs -n2 -P2 sh -c 'echo $(($1 * $2))' - | sort -n", "2\n12\n30\n"),
    "find": ("mkdir -p a/b; touch a/b/f; find a -type f -exec basename {} +", "f\n"),
    "tee": ("echo x | tee copy; cat copy", "x\nx\n"),
    "comm": ("comm -12 <(seq 3) <(seq 2 4)", "2\n3\n"),
    "join": ("join <(echo 1 a) <(echo 1 b)", "1 a b\n"),
    "head and tail": ("seq 100 | head -50 | tail -1", "50\n"),
    "split": ("seq 5 | split -l 2; wc -l < xac", "1\n"),
    "base64": ("echo -n capsem | base64 | tee /dev/stderr | base64 -d", "capsem"),
    "sha256sum": (
        "echo -n abc | sha256sum",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  -\n",
    ),
    "perl": ("perl -e 'print join \",\", map { $_ ** 2 } 1..3'", "1,4,9"),
}


@pytest.mark.parametrize("tool", TOOLS)
def test_tools_of_every_script(shell: Shell, tool: str) -> None:
    line, printed = TOOLS[tool]
    assert shell(line) == printed
