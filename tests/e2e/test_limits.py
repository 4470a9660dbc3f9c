"""Limits that the shell has set, or Linux has: one line that names them, and no VM half started."""

import os
import pwd
import resource
import subprocess

import pytest

from conftest import Capsem, Checkout, error_lines, the_error

MOST_BYTES = 1 << 20
WORD = "x" * 100_000  # execve(2) takes no word over 128 KiB


def with_arguments(capsem: Capsem, words: list[str], **environment: str) -> subprocess.CompletedProcess[bytes]:
    def raise_limit() -> None:  # execve(2) takes a quarter of the stack, and 6 MiB at most
        resource.setrlimit(resource.RLIMIT_STACK, (64 << 20, resource.RLIM_INFINITY))

    return subprocess.run(
        capsem.command("run", "--accel", "tcg", *words),
        stdin=subprocess.DEVNULL, capture_output=True, preexec_fn=raise_limit, timeout=120,
        env={**capsem.env(), **environment},
    )


def test_arguments_that_no_message_holds_are_refused_before_anything_is_done(checkout: Checkout) -> None:
    (checkout.build / "build.ninja").write_text("a build that must not run")
    result = with_arguments(checkout, ["printf", "%s", *[WORD] * 50])
    assert (result.returncode, result.stdout) == (126, b"")
    line = the_error(result)
    assert line.startswith("capsem: cannot pass the command and its environment on to the guest: 50")
    assert f"more than the limit of {MOST_BYTES}" in line
    assert not (checkout.assets / "initrd.img").exists()


def test_arguments_just_below_the_limit_arrive(capsem: Capsem) -> None:
    result = with_arguments(capsem, ["printf", "%s", *[WORD] * 10])
    assert (result.returncode, len(result.stdout), result.stderr) == (0, 1_000_000, b"")


def test_what_describes_the_terminal_counts_with_a_terminal_only(capsem: Capsem) -> None:
    words = ["true", *[WORD] * 10]
    result = with_arguments(capsem, ["-t", *words], TERM=WORD)
    assert result.returncode == 126
    assert "more than the limit" in the_error(result)
    assert with_arguments(capsem, words, TERM=WORD).returncode == 0


def limited(checkout: Checkout, limit: str, *before: str) -> str:
    """The one line of a run under `ulimit LIMIT`, which is too low for it; empty when it is not."""
    result = subprocess.run(
        [*before, "bash", "-c", f'ulimit {limit}; exec "$@"', "bash", *checkout.command("run", "--accel", "tcg", "true")],
        stdin=subprocess.DEVNULL, capture_output=True, timeout=120, env=checkout.env(),
    )
    if result.returncode == 0:
        return ""
    assert result.returncode == 125
    line = error_lines(result)[-1]
    assert line.startswith("capsem: cannot ") and "install" not in line
    return line


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("blocks", [0, 1, 100, 10_000])  # of 1 KiB; the guest's memory is a file of 1 GiB to Linux
def test_a_limit_on_the_size_of_files_is_named(checkout: Checkout, blocks: int, packed: bool) -> None:
    if packed:
        assert checkout.run("true").returncode == 0
    assert "ulimit -f" in limited(checkout, f"-f {blocks}")


def give(checkout: Checkout, user: pwd.struct_passwd) -> None:
    """Makes the checkout the user's, but for what are links to the real one's files."""
    root = checkout.source.parent
    for path in [root, *root.rglob("*")]:
        if path.is_dir() or path.stat().st_nlink == 1:
            os.chown(path, user.pw_uid, user.pw_gid)


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming a user without other processes needs root")
@pytest.mark.parametrize("processes", range(1, 13))
def test_a_limit_on_processes_is_named_wherever_it_strikes(checkout: Checkout, processes: int) -> None:
    user = pwd.getpwnam("games")  # whom nothing else here runs as
    give(checkout, user)
    ids = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    line = limited(checkout, f"-u {processes}", "setpriv", *ids, "env", f"HOME={checkout.source.parent}")
    assert "ulimit -u" in line or (line == "" and processes > 4)
