"""A terminal in the VM, driven as a person would: through tmux."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Capsem, registry_in
from processes import children, gone, name, wait_until


class Screen:
    """A shell in a tmux session of its own server, 100 columns by 30 rows."""

    def __init__(self, socket: str) -> None:
        self.socket = socket
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "30", "env PS1='host> ' bash --norc")

    def tmux(self, *words: str) -> str:
        result = subprocess.run(["tmux", "-L", self.socket, *words], capture_output=True, check=True)
        return result.stdout.decode()

    def type(self, *keys: str) -> None:
        self.tmux("send-keys", *keys)

    def shown(self, format: str) -> str:
        return self.tmux("display-message", "-p", format).strip()

    def text(self) -> str:
        return self.tmux("capture-pane", "-p")

    def kill(self, number: signal.Signals) -> None:
        """Ends the capsem that the shell runs; returns when what guards its terminal has ended too."""
        shell = int(self.tmux("list-panes", "-F", "#{pane_pid}"))
        (client,) = (pid for pid in children(shell) if name(pid) == "capsem")
        pids = {client} | {pid for pid in children(client) if name(pid) == "capsem-terminal"}
        assert len(pids) == 2
        os.kill(client, number)
        wait_until(lambda: all(gone(pid) for pid in pids))

    def wait_for(self, text: str, seconds: float = 60) -> str:
        end = time.monotonic() + seconds
        while text not in (screen := self.text()):
            assert time.monotonic() < end, f"no {text!r} in:\n{screen}"
            time.sleep(0.05)
        return screen


@pytest.fixture
def screen(request: pytest.FixtureRequest) -> Iterator[Screen]:
    shown = Screen(f"capsem-{request.node.name}")
    shown.wait_for("host>")
    yield shown
    subprocess.run(["tmux", "-L", shown.socket, "kill-server"], check=False)


@pytest.fixture
def inside(screen: Screen, capsem: Capsem) -> Screen:
    screen.type(f"{capsem.executable} run --accel tcg; status=$?; echo ended $status", "Enter")
    screen.wait_for("[capsem]")
    return screen


def modes(screen: Screen) -> None:
    screen.type("clear; stty -a | grep -o -E -e '-?(icanon|echo) ' | xargs echo modes:", "Enter")
    screen.wait_for("modes: icanon echo")


def test_a_shell_with_the_windows_size_and_its_changes(inside: Screen) -> None:
    inside.type("stty size; tty", "Enter")
    inside.wait_for("30 100")
    inside.wait_for("/dev/pts/")
    inside.tmux("resize-window", "-x", "80", "-y", "20")
    inside.type("clear; stty size", "Enter")
    inside.wait_for("20 80")


def test_the_shells_exit_status_and_a_restored_terminal(inside: Screen) -> None:
    inside.type("exit 3", "Enter")
    inside.wait_for("ended 3")
    modes(inside)


def test_a_shell_is_switched_off_with_its_vm(inside: Screen) -> None:
    inside.type("poweroff", "Enter")
    inside.wait_for("ended 0")
    modes(inside)


def test_a_reboot_gives_another_shell(inside: Screen) -> None:
    inside.type("touch /root/before; reboot", "Enter")
    inside.wait_for("capsem: the guest was rebooted")
    inside.wait_for("~# ")
    inside.type("clear; ls /root/before; exit 5", "Enter")
    inside.wait_for("No such file")
    inside.wait_for("ended 5")
    modes(inside)


def test_a_reboot_of_a_vm_with_a_name_keeps_the_name(screen: Screen, capsem: Capsem, tmp_path: Path) -> None:
    assignments = " ".join(f"{variable}={value}" for variable, value in registry_in(tmp_path).items())
    screen.type(f"export {assignments}", "Enter")
    screen.type(f"clear; {capsem.executable} run --accel tcg --name one; echo ended $?", "Enter")
    screen.wait_for("[capsem]")
    screen.type("reboot", "Enter")
    screen.wait_for("capsem: the guest was rebooted")
    screen.wait_for("~# ")
    screen.type("exit 6", "Enter")
    screen.wait_for("ended 6")
    screen.type(f"clear; {capsem.executable} ps; {capsem.executable} rm -f one; echo removed $?", "Enter")
    assert "one" in screen.wait_for("removed 0")


def test_job_control(inside: Screen) -> None:
    # Said by the command itself, which has the terminal then, and not as it was typed.
    inside.type("sh -c 'echo sleep\"\"ing; exec sleep 100'", "Enter")
    inside.wait_for("sleeping")
    inside.type("C-c")
    inside.type("echo status $?", "Enter")
    inside.wait_for("status 130")
    inside.type("sh -c 'echo read\"\"ing; exec cat'", "Enter")
    inside.wait_for("reading")
    inside.type("C-z")
    inside.wait_for("Stopped")
    inside.type("fg", "Enter")
    inside.type("C-d")
    inside.type("echo over", "Enter")
    inside.wait_for("over")


def test_vim_writes_a_file(inside: Screen) -> None:
    inside.type("vim /tmp/note", "Enter")
    inside.wait_for("[New]")
    inside.type("i", "written in vim", "Escape")
    inside.type(":wq", "Enter")
    inside.wait_for("[capsem]")
    inside.type("clear; tr a-z A-Z < /tmp/note", "Enter")
    inside.wait_for("WRITTEN IN VIM")


def test_less_pages_and_top_refreshes(inside: Screen) -> None:
    inside.type("seq 1 1000 | less", "Enter")
    inside.wait_for("28")
    inside.type("G")
    inside.wait_for("1000")
    inside.type("q")
    inside.type("top", "Enter")
    inside.wait_for("load average")
    inside.type("q")
    inside.wait_for("~#")  # top throws away what is typed while it ends
    inside.type("clear; echo back", "Enter")
    inside.wait_for("back")


def test_tmux_runs_inside(inside: Screen) -> None:
    inside.type("tmux new 'echo inner; exec cat'", "Enter")
    inside.wait_for("inner")
    inside.type("C-b", "d")
    inside.wait_for("detached")


def test_the_terminal_is_restored_after_kill_9(inside: Screen) -> None:
    inside.kill(signal.SIGKILL)
    inside.type("clear; echo it was $status", "Enter")
    inside.wait_for("it was 137")
    modes(inside)


def test_a_command_gets_the_terminal_too(screen: Screen, capsem: Capsem) -> None:
    screen.type(f"{capsem.executable} run --accel tcg 'tty; exit 4'; echo ended $?", "Enter")
    screen.wait_for("ended 4")
    screen.wait_for("/dev/pts/")


@pytest.mark.parametrize("kind", [[], ["--privileged"]])
def test_a_terminal_that_the_guest_does_not_know_works_as_the_common_one(
    screen: Screen, capsem: Capsem, kind: list[str]
) -> None:
    words = " ".join(["run --accel tcg -t", *kind])
    screen.type(
        f"TERM=xterm-kitty COLORTERM=truecolor {capsem.executable} {words} "
        "'echo is $TERM with $COLORTERM and $(tput colors); echo | less -X'; echo ended $?",
        "Enter",
    )
    screen.wait_for("is xterm-256color with truecolor and 256")
    screen.wait_for("(END)")
    assert "not fully functional" not in screen.text()
    screen.type("q")
    screen.wait_for("ended 0")


# What the program below turns on, as tmux knows it.
FLAGS = "#{alternate_on} #{mouse_any_flag} #{cursor_flag} #{keypad_flag}"
FULL_SCREEN = "\"printf '\\\\033[?1049h\\\\033[?1003h\\\\033[?25l\\\\033=full%s' screen; sleep 1000\""


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM]
)
def test_what_a_program_turned_on_is_off_after_an_abnormal_end(
    screen: Screen, capsem: Capsem, number: signal.Signals
) -> None:
    screen.type(f"{capsem.executable} run --accel tcg {FULL_SCREEN}; status=$?", "Enter")
    screen.wait_for("fullscreen")
    assert screen.shown(FLAGS) == "1 1 0 1"
    screen.kill(number)
    wait_until(lambda: screen.shown(FLAGS) == "0 0 1 0")
    # Only now: what the shell says before on the alternate screen goes with it.
    screen.type("clear; echo ended $status", "Enter")
    screen.wait_for(f"ended {128 + number}")
    modes(screen)


def test_a_command_in_the_background_is_not_stopped(screen: Screen, capsem: Capsem) -> None:
    screen.type(f"{capsem.executable} run --accel tcg 'tty; echo in the back''ground' & wait; echo ended $?", "Enter")
    text = screen.wait_for("ended 0")
    assert "not a tty" in text and "in the background" in text and "Stopped" not in text


def test_a_terminal_session_in_the_background_waits_for_the_foreground(screen: Screen, capsem: Capsem) -> None:
    screen.type(f"{capsem.executable} run --accel tcg -t 'tty; echo in fr''ont' &", "Enter")
    screen.type("until [ -n \"$(jobs -s)\" ]; do sleep 0.1; done; fg; echo ended $?", "Enter")
    text = screen.wait_for("ended 0")
    assert "/dev/pts/" in text and "in front" in text
