"""Terminals in a VM with a name: left, lost and closed ones go on, and are shown again."""

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator

import pytest

from conftest import Capsem, the_error
from processes import wait_until
from test_terminal import Screen

VM = "one"


@pytest.fixture(scope="module")
def vm(capsem: Capsem, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Capsem]:
    """capsem with a registry of its own, in which one VM runs."""
    environment = {}
    for name in ("state", "runtime"):
        path = tmp_path_factory.mktemp(name)
        path.chmod(0o700)
        environment[f"XDG_{name.upper()}_{'HOME' if name == 'state' else 'DIR'}"] = str(path)
    mine = Capsem(capsem.executable, environment)
    assert mine.run("--name", VM, "true").returncode == 0
    yield mine
    mine.call("rm", "--force", VM)


class Terminals:
    """Terminals on the host, each with a shell that has capsem in its path."""

    def __init__(self, vm: Capsem, prefix: str) -> None:
        self.vm = vm
        self.prefix = prefix
        self.screens: list[Screen] = []

    def open(self) -> Screen:
        screen = Screen(f"{self.prefix}-{len(self.screens)}")
        self.screens.append(screen)
        screen.wait_for("host>")
        settings = " ".join(f"{name}={value}" for name, value in self.vm.environment.items())
        screen.type(f"export {settings} PATH={self.vm.executable.parent}:$PATH; clear", "Enter")
        return screen

    def exec(self, command: str, *options: str) -> Screen:
        screen = self.open()
        screen.type(f"clear; capsem exec {' '.join(options)} {VM} {shlex.quote(command)}; echo ended $?", "Enter")
        return screen

    def attach(self, *words: str) -> Screen:
        screen = self.open()
        screen.type(f"clear; capsem attach {VM} {' '.join(words)}; echo ended $?", "Enter")
        return screen


@pytest.fixture
def terminals(vm: Capsem, request: pytest.FixtureRequest) -> Iterator[Terminals]:
    all = Terminals(vm, f"capsem-{request.node.name}")
    yield all
    for screen in all.screens:
        subprocess.run(["tmux", "-L", screen.socket, "kill-server"], check=False, stderr=subprocess.DEVNULL)
    # What a test left in the guest is not for the next one.
    vm.call("exec", VM, "kill -KILL $(ps -e -o pid=,tty= | awk '$2 ~ /pts/ { print $1 }')")
    wait_until(lambda: not sessions(vm))


def sessions(vm: Capsem) -> dict[str, str]:
    """The state of each, by its id."""
    result = vm.call("attach", "--list", VM)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.decode().splitlines()
    assert lines[0].split() == ["SESSION", "PID", "SINCE", "STATE", "COMMAND"]
    rows = [re.split(r"  +", line) for line in lines[1:]]
    return {row[0]: row[3] for row in rows}


# Counts into a file and on the terminal until it is told to end.
COUNT = "i=0; until [ -e /tmp/end ]; do echo line $((i += 1)); echo $i > /tmp/i; sleep 0.1; done; rm /tmp/end; exit 7"


def counted(vm: Capsem) -> int:
    return int(vm.call("exec", VM, "cat /tmp/i").stdout or b"0")


def test_a_session_that_was_left_goes_on_and_is_shown_again(vm: Capsem, terminals: Terminals) -> None:
    first = terminals.exec(COUNT)
    first.wait_for("line 3")
    first.type("C-p", "C-q")
    text = first.wait_for("ended 0")
    (session,) = sessions(vm)
    assert f"capsem: the session goes on; 'capsem attach {VM} {session}' comes back to it" in text
    assert sessions(vm) == {session: "detached"}
    left_at = counted(vm)
    wait_until(lambda: counted(vm) > left_at + 10)
    second = terminals.attach()
    second.wait_for(f"line {counted(vm) + 5}\n")
    assert sessions(vm) == {session: "attached"}
    vm.call("exec", VM, "touch /tmp/end")
    text = second.wait_for("ended 7")
    numbers = [int(line.split()[1]) for line in text.splitlines() if re.fullmatch(r"line \d+", line)]
    assert numbers == list(range(numbers[0], numbers[-1] + 1)) and len(numbers) > 12
    assert sessions(vm) == {}


def test_input_reaches_a_session_that_is_shown_again(vm: Capsem, terminals: Terminals) -> None:
    first = terminals.exec("bash --norc")
    first.type("word=kept; echo $word", "Enter")
    first.wait_for("\nkept")
    first.type("C-p", "C-q")
    first.wait_for("ended 0")
    first.type("stty -a | grep -o -E -e '-?(icanon|echo) ' | xargs echo modes:", "Enter")
    first.wait_for("modes: icanon echo")
    second = terminals.attach()
    second.wait_for("\nkept")
    second.type("clear; echo again $word; stty size", "Enter")
    second.wait_for("again kept\n30 100")
    second.type("exit 4", "Enter")
    second.wait_for("ended 4")


def test_a_killed_client_leaves_its_session(vm: Capsem, terminals: Terminals) -> None:
    first = terminals.exec("echo re''ady; read line; echo got $line; exit 5")
    first.wait_for("ready")
    first.kill(signal.SIGKILL)
    wait_until(lambda: set(sessions(vm).values()) == {"detached"})
    second = terminals.attach()
    second.wait_for("ready")
    second.type("word", "Enter")
    second.wait_for("got word")
    second.wait_for("ended 5")


def test_a_closed_terminal_leaves_its_session(vm: Capsem, terminals: Terminals) -> None:
    first = terminals.exec("bash --norc")
    first.type("echo fi''rst", "Enter")
    first.wait_for("first")
    first.tmux("kill-server")
    wait_until(lambda: set(sessions(vm).values()) == {"detached"})
    second = terminals.attach()
    second.wait_for("first")
    second.type("exit 6", "Enter")
    second.wait_for("ended 6")


def test_a_terminal_that_is_gone_without_a_signal_leaves_its_session(vm: Capsem, terminals: Terminals) -> None:
    master, slave = os.openpty()
    # Not the client's controlling terminal, so that nothing but the end of its input tells it.
    client = subprocess.Popen(
        vm.command("exec", "-t", VM, "bash --norc"), stdin=slave, stdout=slave, stderr=subprocess.DEVNULL, env=vm.env()
    )
    os.close(slave)
    shown = b""
    while b"bash-5" not in shown:
        shown += os.read(master, 1024)
    os.close(master)
    assert client.wait(60) == 128 + signal.SIGHUP
    wait_until(lambda: set(sessions(vm).values()) == {"detached"})
    terminals.attach().wait_for("bash-5")


def test_a_session_moves_to_the_terminal_that_names_it(vm: Capsem, terminals: Terminals) -> None:
    first = terminals.exec("echo re''ady; read line; exit 8")
    first.wait_for("ready")
    (session,) = sessions(vm)
    other = terminals.attach()
    other.wait_for("each is attached to a terminal")
    other.wait_for("ended 125")
    other.type(f"clear; capsem attach {VM} {session}; echo ended $?", "Enter")
    first.wait_for("ended 125")
    assert "capsem: cannot go on with the session: it was attached to elsewhere" in first.text()
    other.wait_for("ready")
    other.type("Enter")
    other.wait_for("ended 8")


def test_a_full_screen_program_draws_itself_anew(vm: Capsem, terminals: Terminals) -> None:
    first = terminals.exec("vim -c 'set nomodeline' /root/note")
    first.wait_for("[New]")
    first.type("i", "some words", "Escape")
    first.wait_for("some words")
    first.type("C-p", "C-q")
    first.wait_for("ended 0")
    second = terminals.open()
    second.tmux("resize-window", "-x", "70", "-y", "15")
    second.type(f"clear; capsem attach {VM}; echo ended $?", "Enter")
    second.wait_for("some words")
    second.type(":wq", "Enter")
    second.wait_for("ended 0")
    assert vm.call("exec", VM, "cat /root/note").stdout == b"some words\n"


def test_the_first_of_the_keys_alone_is_the_commands(vm: Capsem, terminals: Terminals) -> None:
    screen = terminals.exec("stty raw -echo; echo re''ady; exec cat -v")
    screen.wait_for("ready")
    screen.type("C-p", "a")
    screen.wait_for("^Pa")
    screen.type("C-p", "C-q")
    screen.wait_for("ended 0")


def test_other_keys_or_none(vm: Capsem, terminals: Terminals) -> None:
    screen = terminals.exec("stty raw -echo; echo re''ady; exec cat -v", "--detach-keys=ctrl-],q")
    screen.wait_for("ready")
    screen.type("C-p", "C-q")
    screen.wait_for("^P^Q")
    screen.type("C-]", "q")
    screen.wait_for("ended 0")
    other = terminals.attach("--detach-keys ''")
    other.wait_for("^P^Q")
    other.type("C-p", "C-q", "x")
    other.wait_for("^P^Q^P^Qx")
    result = vm.call("exec", "--detach-keys", "ctrl", VM, "true")
    assert "is neither a character nor ctrl-" in the_error(result)


def test_a_session_that_runs_out_of_time_does_not_go_on(vm: Capsem, terminals: Terminals) -> None:
    screen = terminals.exec("trap '' TERM; while :; do sleep 1; done", "--time-limit 1 --grace 0.2")
    screen.wait_for("ended 124")
    wait_until(lambda: sessions(vm) == {})


def test_without_one_or_with_several_it_says_so(vm: Capsem, terminals: Terminals) -> None:
    assert "there is none" in the_error(vm.call("attach", VM))
    for _ in range(2):
        screen = terminals.exec("echo re''ady; exec sleep 1000")
        screen.wait_for("ready")
        screen.type("C-p", "C-q")
        screen.wait_for("ended 0")
    error = the_error(vm.call("attach", VM))
    for session in sessions(vm):
        assert session in error
    assert "none of that name" in the_error(vm.call("attach", "none"))
    assert "run it from a terminal" in the_error(vm.call("attach", VM, next(iter(sessions(vm)))))
