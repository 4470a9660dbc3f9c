"""A terminal: its size, line editing, and job control as a person meets it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support import Terminal

PROMPT = "ready> "
CTRL_C, CTRL_D, CTRL_Z = "\x03", "\x04", "\x1a"
UP, TAB = "\x1b[A", "\t"
# Answers every line it reads, so that one sees who is in the foreground.
ANSWER = "sed -u s/^/got:/"


@pytest.fixture
def bash(tmp_path: Path) -> Iterator[Terminal]:
    """An interactive bash at its prompt."""
    environment = {"PS1": PROMPT, "HISTFILE": "/dev/null", "INPUTRC": "/dev/null"}
    with Terminal(["bash", "--noprofile", "--norc", "-i"], tmp_path, environment) as terminal:
        terminal.wait_for(PROMPT)
        yield terminal


def test_it_is_a_terminal_of_the_size_it_was_given(bash: Terminal) -> None:
    bash.type("test -t 0 -a -t 1 && tty && stty size\n")
    assert "/dev/pts/" in bash.wait_for("24 80")


def test_a_new_size_is_told(bash: Terminal) -> None:
    bash.type("trap 'stty size' WINCH; echo s''et\n")
    bash.wait_for("set")
    bash.resize(50, 132)
    bash.type("\n")
    bash.wait_for("50 132")


def test_ctrl_c_interrupts_the_foreground_and_the_shell_goes_on(bash: Terminal) -> None:
    bash.type(f"{ANSWER}\none\n")
    bash.wait_for("got:one")
    bash.type(CTRL_C)
    bash.wait_for(PROMPT)
    bash.type("echo status=$?\n")
    bash.wait_for("status=130")


def test_ctrl_z_stops_a_job_and_fg_goes_on_with_it(bash: Terminal) -> None:
    bash.type(f"{ANSWER}\none\n")
    bash.wait_for("got:one")
    bash.type(CTRL_Z)
    bash.wait_for("Stopped")
    bash.type("fg\n")
    bash.wait_for("got:/")
    bash.type("two\n")
    bash.wait_for("got:two")


def test_bg_goes_on_with_a_stopped_job_behind_the_prompt(bash: Terminal) -> None:
    bash.type("sh -c 'kill -STOP $$; echo went''-on; exit 7'\n")
    bash.wait_for("Stopped")
    bash.type("bg; wait %1; echo status=$?\n")
    assert "went-on" in bash.wait_for("status=7")


def test_a_background_job_is_listed_and_killed(bash: Terminal) -> None:
    bash.type("sleep 1000 &\n")
    bash.wait_for("[1]")
    bash.type("jobs\n")
    bash.wait_for("Running")
    bash.type("kill %1; wait %1\n")
    bash.wait_for("Terminated")


def test_a_background_job_that_reads_the_terminal_stops(bash: Terminal) -> None:
    bash.type("cat &\n")
    bash.wait_for("[1]")
    bash.type("wait; jobs -l\n")
    bash.wait_for("(tty input)")


def test_ctrl_d_ends_the_shell_with_its_last_status(bash: Terminal) -> None:
    bash.type("(exit 5)\n")
    bash.wait_for(PROMPT)
    bash.type(CTRL_D)
    assert bash.end() == 5


def test_up_brings_the_last_command_back(bash: Terminal) -> None:
    bash.type("n=$((n + 21)); echo =$n\n")
    bash.wait_for("=21")
    bash.wait_for(PROMPT)
    bash.type(UP + "\n")
    bash.wait_for("=42")


def test_tab_completes_a_name(bash: Terminal, tmp_path: Path) -> None:
    (tmp_path / "a-long-file-name").write_text("completed\n")
    bash.type("cat a-lo" + TAB + "\n")
    bash.wait_for("completed")


def test_a_password_is_not_shown(bash: Terminal) -> None:
    bash.type("read -rsp 'Pass''word: ' p; echo; echo length=${#p}\n")
    bash.wait_for("Password: ")
    bash.type("secret\n")
    assert "secret" not in bash.wait_for("length=6")


def test_raw_mode_passes_keys_on_without_enter(bash: Terminal) -> None:
    bash.type("read -rsn1 -p 'K''ey? ' k; printf 'key=%q\\n' \"$k\"\n")
    bash.wait_for("Key? ")
    bash.type("\x01")
    bash.wait_for("key=$'\\001'")


def test_typed_utf_8_is_edited_by_character(bash: Terminal) -> None:
    bash.type("x=grüßé\x7fe; echo ${#x}:$x:\n")
    bash.wait_for("5:grüße:")


def test_colours_are_known_of_the_terminal(bash: Terminal) -> None:
    bash.type("echo colours=$(tput colors)\n")
    bash.wait_for("colours=256")


def test_the_pager_shows_one_page_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "long").write_text("".join(f"line {n}.\n" for n in range(1, 1000)))
    with Terminal(["less", "long"], tmp_path, {"LESSHISTFILE": "-"}) as pager:
        assert "line 24." not in pager.wait_for("line 23.")
        pager.type("G")
        pager.wait_for("line 999.")
        pager.type("q")
        assert pager.end() == 0
