"""Editors, on a terminal and in scripts."""

from pathlib import Path

import pytest

from support import Shell, Terminal

ESCAPE, ENTER = "\x1b", "\r"


def ctrl(letter: str) -> str:
    return chr(ord(letter) - ord("a") + 1)


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment in which editors keep what they remember in the test's directory."""
    (tmp_path / "home").mkdir()
    # As root nano looks for its home in /etc/passwd, and at this first.
    return {"HOME": str(tmp_path / "home"), "XDG_DATA_HOME": str(tmp_path / "home")}


def test_vim_writes_a_new_file(tmp_path: Path, home: dict[str, str]) -> None:
    with Terminal(["vim", "notes.txt"], tmp_path, home) as vim:
        vim.wait_for("[New]")
        vim.type(f"ifirst line\nzweite größe{ESCAPE}:wq{ENTER}")
        assert vim.end() == 0
    assert (tmp_path / "notes.txt").read_text() == "first line\nzweite größe\n"


def test_vim_searches_changes_and_undoes(tmp_path: Path, home: dict[str, str]) -> None:
    (tmp_path / "notes.txt").write_text("one\ntwo\nthree\n")
    with Terminal(["vim", "notes.txt"], tmp_path, home) as vim:
        vim.wait_for("three")
        vim.type(f"/two{ENTER}ciwTWO{ESCAPE}jddu:w{ENTER}dd:cq{ENTER}")
        assert vim.end() == 1  # left without saving the last change
    assert (tmp_path / "notes.txt").read_text() == "one\nTWO\nthree\n"


def test_vim_in_a_script(shell: Shell) -> None:
    shell("seq 3 > f; vim -es -u NONE -c '%s/2/two/' -c 'x' f")
    assert shell("cat f") == "1\ntwo\n3\n"


def test_nano_writes_a_file(tmp_path: Path, home: dict[str, str]) -> None:
    with Terminal(["nano", "notes.txt"], tmp_path, home) as nano:
        nano.wait_for("GNU nano")
        nano.type("typed in nano" + ctrl("o"))
        nano.wait_for("File Name to Write")
        nano.type(ENTER)
        nano.wait_for("Wrote 1 line")
        nano.type(ctrl("x"))
        assert nano.end() == 0
    assert (tmp_path / "notes.txt").read_text() == "typed in nano\n"


def test_the_editor_of_choice_writes_a_commit_message(tmp_path: Path, home: dict[str, str]) -> None:
    git = Shell(tmp_path, {**home, "GIT_AUTHOR_NAME": "n", "GIT_AUTHOR_EMAIL": "e",
                           "GIT_COMMITTER_NAME": "n", "GIT_COMMITTER_EMAIL": "e"})
    git("git init -q --template= .; printf '#!/bin/sh\\necho edited >$1\\n' >edit; chmod +x edit")
    assert git("git commit -q --allow-empty && git log --format=%s", EDITOR="./edit") == "edited\n"


def test_sed_edits_in_place(shell: Shell) -> None:
    assert shell("printf 'a=1\\nb=2\\n' >f; sed -i.old 's/^b=.*/b=3/' f; cat f f.old") == "a=1\nb=3\na=1\nb=2\n"


def test_a_patch_applies_and_reverts(shell: Shell) -> None:
    shell("seq 9 >old && sed s/5/five/ old >new && ! diff -u old new >change")
    shell("cp old file && patch -s file <change && cmp file new && patch -s -R file <change && cmp file old")
