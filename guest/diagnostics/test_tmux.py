"""tmux: sessions that go on without anyone looking, and panes one can type into and read."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support import LIMIT_S, Shell, Terminal, wait_until

PANE = "bash --noprofile --norc"


@pytest.fixture(scope="module")
def tmux(scratch: Path) -> Iterator[Shell]:
    """A shell in which `tmux` talks to a server of this module's own, with one session."""
    directory = scratch / "tmux"
    directory.mkdir()
    run = Shell(directory, {"TMUX_TMPDIR": str(directory), "HISTFILE": "/dev/null", "PS1": "$ ", "TMUX": ""})
    run(f"tmux new-session -d -s work -x 80 -y 24 '{PANE}'")
    try:
        yield run
    finally:
        run("tmux kill-server")


@pytest.fixture
def pane(tmux: Shell) -> str:
    """A pane with a shell, in a window of its own."""
    return tmux(f"tmux new-window -d -t work -P -F '#{{pane_id}}' '{PANE}'").strip()


def shows(tmux: Shell, pane: str, text: str) -> None:
    wait_until(lambda: text in tmux(f"tmux capture-pane -p -t {pane}"), f"the pane shows '{text}'")


def wait_for_command(tmux: Shell, pane: str, name: str) -> None:
    show = f"tmux display -p -t {pane} '#{{pane_current_command}}'"
    wait_until(lambda: tmux(show) == name + "\n", f"{name} is in the foreground")


def test_what_is_typed_into_a_detached_session_runs(tmux: Shell, pane: str) -> None:
    tmux(f"tmux send-keys -t {pane} 'echo $((6 * 7)) >typed; tmux wait-for -S typed' Enter; timeout {LIMIT_S} tmux wait-for typed")
    assert (tmux.directory / "typed").read_text() == "42\n"


def test_what_a_pane_shows_is_captured(tmux: Shell, pane: str) -> None:
    tmux(f"tmux send-keys -t {pane} \"printf 'gr%s\\n' 'üße 🙂'\" Enter")
    shows(tmux, pane, "\ngrüße 🙂")


def test_keys_reach_a_program(tmux: Shell, pane: str) -> None:
    tmux(f"tmux send-keys -t {pane} 'sed -u s/^/got:/' Enter")
    wait_for_command(tmux, pane, "sed")
    tmux(f"tmux send-keys -t {pane} one Enter")
    shows(tmux, pane, "got:one")
    tmux(f"tmux send-keys -t {pane} C-c")
    wait_for_command(tmux, pane, "bash")
    tmux(f"tmux send-keys -t {pane} 'echo status=$?' Enter")
    shows(tmux, pane, "status=130")


def test_a_window_is_split(tmux: Shell, pane: str) -> None:
    tmux(f"tmux split-window -d -h -t {pane} '{PANE}'")
    assert tmux(f"tmux list-panes -t {pane} -F '#{{pane_width}}'") == "40\n39\n"


def test_what_scrolled_away_is_kept(tmux: Shell, pane: str) -> None:
    tmux(f"tmux send-keys -t {pane} 'seq 1000 1100; echo d''one' Enter")
    shows(tmux, pane, "done")
    assert "\n1000\n" not in tmux(f"tmux capture-pane -p -t {pane}")
    assert "\n1000\n" in tmux(f"tmux capture-pane -p -S - -t {pane}")


def test_a_client_attaches_and_leaves_it_running(tmux: Shell) -> None:
    tmux(f"tmux new-session -d -s seen -x 80 -y 24 '{PANE}'")
    # Keys that come within a millisecond are otherwise taken for pasted text.
    tmux("tmux set-option -g assume-paste-time 0")
    environment = {"TMUX_TMPDIR": str(tmux.directory), "TMUX": ""}
    with Terminal(["tmux", "attach", "-t", "seen"], tmux.directory, environment) as client:
        client.wait_for("[seen]")
        client.type("echo $((40 + 2))\n")
        client.wait_for("42")
        client.type("\x02d")
        assert "detached (from session seen)" in client.wait_for("seen)")
        assert client.end() == 0
    assert "seen" in tmux("tmux list-sessions -F '#S'")


def test_a_session_ends_with_its_last_program(tmux: Shell) -> None:
    tmux("tmux new-session -d -s brief 'exit 0'")
    wait_until(lambda: "brief" not in tmux("tmux list-sessions -F '#S'"), "the session ends")
