"""What a session starts with: its variables, the machine's names, the clock and time zones."""

import datetime
import os
import time
import zoneinfo
from pathlib import Path

import pytest

from support import Shell

VARIABLES = {"HOME": "/root", "USER": "root", "LOGNAME": "root", "SHELL": "/bin/bash", "LANG": "C.UTF-8"}


@pytest.mark.parametrize("name", VARIABLES)
def test_the_environment_is_the_promised_one(name: str) -> None:
    assert os.environ[name] == VARIABLES[name]


def test_programs_of_the_system_and_of_capsem_are_found() -> None:
    directories = os.environ["PATH"].split(":")
    assert {"/usr/local/bin", "/usr/bin", "/usr/sbin", "/capsem/bin"} <= set(directories)
    assert all(Path(directory).is_dir() for directory in directories)


def test_a_login_shell_has_its_settings(shell: Shell) -> None:
    printed = shell("env -i HOME=/root TERM=dumb bash -lc 'echo $EDITOR $PAGER $LANG; echo $PATH'")
    assert printed.startswith("vim less C.UTF-8\n")
    assert "/capsem/bin" in printed


def test_an_interactive_shell_has_prompt_and_completion(shell: Shell) -> None:
    line = "bash -ic 'echo \"$PS1\"; alias ll; complete -p cd' 2>/dev/null"
    prompt, alias, completion = shell(line, HISTFILE="/dev/null").splitlines()
    assert "[capsem]" in prompt
    assert alias == "alias ll='ls -l'"
    assert completion.startswith("complete -o nospace -F _cd")


VALUES = {
    "unicode": "größe 🙂",
    "lines": "one\ntwo\n",
    "quotes": "'\"$HOME `id` \\",
    "empty": "",
    "large": "x" * 100_000,
}


@pytest.mark.parametrize("kind", VALUES)
def test_a_variable_reaches_a_program_as_it_is(shell: Shell, kind: str) -> None:
    line = "env | grep -c ^CAPSEM_DIAG=; bash -c 'printf %s \"$CAPSEM_DIAG\"'"
    assert shell(line, CAPSEM_DIAG=VALUES[kind]) == "1\n" + VALUES[kind]


def test_variables_are_set_for_one_command_and_taken_away(shell: Shell) -> None:
    assert shell("A=1 sh -c 'echo $A'; echo ${A-unset}; env -i B=2 /usr/bin/env; env -u HOME sh -c 'echo ${HOME-unset}'") == (
        "1\nunset\nB=2\nunset\n"
    )


def test_a_secret_of_one_process_is_not_in_anothers_environment(shell: Shell) -> None:
    assert shell("CAPSEM_DIAG=secret sleep 0; tr '\\0' '\\n' </proc/$$/environ | grep -c CAPSEM_DIAG", status=1) == "0\n"


ZONES = {
    "UTC": ("UTC", "00:00"),
    "Tokyo": ("Asia/Tokyo", "09:00"),
    "Berlin": ("Europe/Berlin", "01:00"),
    "Kolkata": ("Asia/Kolkata", "05:30"),
    "New York": ("America/New_York", "19:00"),
}


@pytest.mark.parametrize("city", ZONES)
def test_time_zones(shell: Shell, city: str) -> None:
    zone, clock = ZONES[city]
    assert shell("date -d @0 +%H:%M", TZ=zone) == clock + "\n"


def test_summer_time_begins_and_ends() -> None:
    berlin = zoneinfo.ZoneInfo("Europe/Berlin")
    hours = [datetime.datetime(2026, month, 1, tzinfo=berlin).utcoffset() for month in (1, 7)]
    assert hours == [datetime.timedelta(hours=1), datetime.timedelta(hours=2)]


def test_without_a_zone_it_is_utc(shell: Shell) -> None:
    assert shell("unset TZ; date -d @0 +%H:%M%z") == "00:00+0000\n"


def test_the_clock_is_right_and_moves() -> None:
    # No earlier than this file was written, so not a clock that nobody set.
    assert time.time() > datetime.datetime(2025, 1, 1).timestamp()
    before, steady = time.time(), time.monotonic()
    time.sleep(0.02)
    passed = time.monotonic() - steady
    assert passed >= 0.02
    assert abs((time.time() - before) - passed) < 0.5


def test_the_system_is_debian_and_says_so(shell: Shell) -> None:
    assert shell(". /etc/os-release; echo $ID $VERSION_ID; uname -sm") == "debian 12\nLinux x86_64\n"


def test_the_locale_is_utf_8(shell: Shell) -> None:
    assert shell("locale charmap; printf 'é' | wc -m") == "UTF-8\n1\n"


def test_processors_and_memory_are_told(shell: Shell) -> None:
    assert int(shell("nproc")) >= 1
    assert int(shell("free -m | awk '/^Mem:/ {print $2}'")) > 200
