"""./dev and the justfile: thin ways to the same commands."""

import os
import subprocess
from pathlib import Path

import pytest

from conftest import SOURCE, Capsem

JUST = SOURCE / "tests/node_modules/.bin/just"


def call(*words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(words, cwd=SOURCE, stdin=subprocess.DEVNULL, capture_output=True, timeout=300)


def test_dev_run_keeps_stdout_for_the_command() -> None:
    result = call("./dev", "run", "--accel", "tcg", "echo only this; exit 9")
    assert (result.returncode, result.stdout) == (9, b"only this\n"), result.stderr


def test_dev_passes_any_subcommand_on() -> None:
    assert call("./dev", "capsem", "--version").stdout.startswith(b"capsem ")
    assert call("./dev", "nonsense").returncode == 2


def test_a_second_dev_run_asks_no_package_manager_and_configures_nothing(tmp_path: Path) -> None:
    assert call("./dev", "run", "--accel", "tcg", "true").returncode == 0
    for program in ["apt-get", "dpkg-query", "sudo", "cmake", "mmdebstrap"]:
        trap = tmp_path / program
        trap.write_text(f"#!/bin/sh\necho {program} was called >&2\nexit 1\n")
        trap.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    result = subprocess.run(
        ["./dev", "run", "--accel", "tcg", "echo up"],
        cwd=SOURCE, stdin=subprocess.DEVNULL, capture_output=True, env=environment, timeout=120,
    )
    assert result.stdout == b"up\n", result.stderr
    assert b"was called" not in result.stderr


@pytest.mark.skipif(not JUST.exists(), reason="tests/package.json is not installed")
def test_just_run_takes_a_command_of_several_words() -> None:
    result = call(str(JUST), "run", "--accel", "tcg", "echo 'a  b'; exit 6")
    assert (result.returncode, result.stdout) == (6, b"a  b\n"), result.stderr


@pytest.mark.skipif(not JUST.exists(), reason="tests/package.json is not installed")
def test_just_offers_the_four_commands() -> None:
    listed = call(str(JUST), "--summary").stdout.decode().split()
    assert {"run", "build-assets", "test"} <= set(listed)
    for name in ["run", "build-assets", "test"]:
        shown = call(str(JUST), "--dry-run", name)
        assert f"./dev {name}" in (shown.stdout + shown.stderr).decode()


def test_the_page_of_commands_is_what_the_tool_says(capsem: Capsem) -> None:
    said = capsem.call("reference", "markdown").stdout.decode()
    assert (SOURCE / "docs/cli.md").read_text() == said, "run ./dev docs"
