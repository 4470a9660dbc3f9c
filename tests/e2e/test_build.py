"""The build as guest.toml and src/guest steer it. Since nothing else is really built, this is the
checkout itself: what a test changes in it, it puts back."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import BUILD, SOURCE, Checkout, error_lines, the_error

HELLO = """
[[entry]]
name = "hello"
build = "hello"
path = "/capsem/bin/greet"
mode = "0555"
into = ["initrd"]
"""
HELLO_SOURCE = """#include <cstdio>

namespace capsem::guest::hello {

int run(int, char**) {
  std::puts("hello from inside");
  return 0;
}

}  // namespace capsem::guest::hello
"""


@pytest.fixture
def built() -> Checkout:
    return Checkout(BUILD / "bin/capsem", source=SOURCE, build=BUILD)


@pytest.fixture
def guest_toml(built: Checkout) -> Iterator[str]:
    """The list's text, which is put back."""
    path = built.source / "guest.toml"
    text = path.read_text()
    yield text
    path.write_text(text)
    assert built.call("initrd", "pack").returncode == 0


def pack_quietly(built: Checkout) -> None:
    """A pack that says no more than what it always does."""
    result = built.call("initrd", "pack")
    assert result.returncode == 0, result.stderr.decode()
    assert "initrd.img: " in the_error(result)


def install(built: Checkout, prefix: Path) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(["cmake", "--install", built.build, "--prefix", prefix], capture_output=True)


def test_an_edit_of_guest_toml_is_built_without_a_word(built: Checkout, guest_toml: str) -> None:
    built.edit("guest.toml", lambda text: text + "# a comment\n")
    pack_quietly(built)
    built.edit("guest.toml", lambda text: text.replace("/bin/snapshots", "/bin/other"))
    result = built.run("other --help | head -1")
    assert result.stdout.startswith(b"usage: snapshots"), result
    lines = error_lines(result)
    assert len(lines) == 1 and "the rootfs is older" in lines[0], lines


def test_a_new_program_needs_an_entry_and_a_folder(built: Checkout, guest_toml: str) -> None:
    folder = built.source / "src/guest/hello"
    built.edit("guest.toml", lambda text: text + HELLO)
    try:
        assert "src/guest/hello" in the_error(built.call("initrd", "pack"))
        folder.mkdir()
        assert "src/guest/hello" in the_error(built.call("initrd", "pack"))
        (folder / "hello.cc").write_text(HELLO_SOURCE)
        (folder / "CMakeLists.txt").write_text("")
        result = built.call("initrd", "pack")
        assert result.returncode == 2
        line = len(guest_toml.splitlines()) + 2
        assert any(f"guest.toml:{line}" in said and "capsem_guest_program(hello" in said for said in error_lines(result))
        (folder / "CMakeLists.txt").write_text("capsem_guest_program(hello SOURCES hello.cc)\n")
        result = built.run("greet")
        assert (result.stdout, result.stderr) == (b"hello from inside\n", b"")
    finally:
        shutil.rmtree(folder)


def test_a_removed_program_is_neither_kept_nor_installed(
    built: Checkout, guest_toml: str, tmp_path: Path
) -> None:
    assert install(built, tmp_path).returncode == 0
    programs = tmp_path / "lib/capsem/programs"
    assert (programs / "snapshots").exists()
    built.edit("guest.toml", lambda text: text.replace('name = "snapshots"', 'name = "renamed"'))
    refused = install(built, tmp_path)
    assert refused.returncode != 0 and b"guest.toml has changed" in refused.stderr
    pack_quietly(built)
    assert not (built.build / "guest/snapshots").exists()
    (built.build / "guest/left-over").write_text("")
    assert install(built, tmp_path).returncode == 0
    names = {line.split('"')[1] for line in guest_toml.splitlines() if line.startswith("name = ")}
    assert {p.name for p in programs.iterdir()} == names - {"snapshots", "diagnostics"} | {"renamed"}
    assert all(p.stat().st_mode & 0o777 == 0o755 for p in programs.iterdir())


def test_a_program_that_was_deleted_is_made_again(built: Checkout) -> None:
    (built.build / "guest/snapshots").unlink()
    pack_quietly(built)
    assert (built.build / "guest/snapshots").exists()


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("", ":1:", "'version' is missing"),
        ("version = 1\n", ":1:", "it has no entries"),
        ("version = 1\r[[entry]]\r", ":1:", "CR"),
        ('version = 1\n[[entry]]\nname = "x\n', ":3:", "not closed"),
    ],
)
def test_a_broken_guest_toml_is_one_line_of_every_command(
    built: Checkout, guest_toml: str, text: str, place: str, said: str
) -> None:
    (built.source / "guest.toml").write_text(text, newline="")
    for words, status in [(["run", "true"], 125), (["initrd", "pack"], 2), (["build-assets"], 2)]:
        result = built.call(*words)
        assert result.returncode == status, words
        line = the_error(result)
        assert "guest.toml" + place in line and said in line, words
    if BUILD != SOURCE / "build/dev":
        return
    # As in a fresh clone, where it is found before capsem itself is built.
    built.executable.rename(built.build / "bin/kept")
    try:
        for word, status in [("run", 125), ("build-assets", 2)]:
            result = subprocess.run(["./dev", word], cwd=built.source, capture_output=True, timeout=300)
            assert result.returncode == status, result
            line = the_error(result)
            assert "guest.toml" + place in line and said in line, word
    finally:
        (built.build / "bin/kept").rename(built.executable)
