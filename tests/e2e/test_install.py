"""cmake --install: a capsem outside the checkout, for a user with no group of note."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import BUILD, Capsem, the_error


@pytest.fixture(scope="module")
def prefix() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="capsem-install-"))
    path.chmod(0o755)
    subprocess.run(["cmake", "--install", BUILD, "--prefix", path], check=True, capture_output=True)
    yield path
    shutil.rmtree(path)


def as_ordinary_user(prefix: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    with tempfile.TemporaryDirectory() as home:
        command = [str(prefix / "bin/capsem"), *words]
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(home, nobody.pw_uid, nobody.pw_gid)
            command = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", *command]
        environment = {"HOME": home, "PATH": os.environ["PATH"]}
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, env=environment, cwd="/", timeout=120
        )


def test_an_ordinary_user_runs_an_installed_capsem(prefix: Path) -> None:
    result = as_ordinary_user(prefix, "run", "--accel", "tcg", "capsem-doctor --only binaries && id -u")
    assert result.returncode == 0, result.stderr.decode() + result.stdout.decode()
    assert result.stdout.endswith(b"\n0\n")


def test_the_accelerator_is_found_without_root(prefix: Path) -> None:
    result = as_ordinary_user(prefix, "run", "echo up")
    assert result.stdout == b"up\n", result.stderr


def test_it_needs_nothing_of_the_checkout(prefix: Path) -> None:
    for path in (prefix / "lib/capsem").rglob("*"):
        assert not path.is_symlink()
    traced = Capsem(prefix / "bin/capsem")
    with tempfile.TemporaryDirectory() as home:
        log = Path(home) / "trace"
        result = subprocess.run(
            ["strace", "-f", "-o", log, "-e", "trace=open,openat,execve", *traced.command("initrd", "verify")],
            env={"HOME": home, "PATH": os.environ["PATH"]}, cwd="/", capture_output=True,
        )
        assert str(BUILD) not in log.read_text(), result.stderr


def test_build_assets_is_served_by_its_helper(prefix: Path) -> None:
    result = as_ordinary_user(prefix, "build-assets", "--help")
    assert result.returncode == 0, result.stderr
    assert b"Usage: capsem build-assets " in result.stdout
    assert b"--refresh" in result.stdout
    # Past the command line it reads the installation's list, before it fails at the folder.
    result = as_ordinary_user(prefix, "build-assets", "-o", "/proc/none")
    assert result.returncode == 2
    assert "/proc/none" in the_error(result)


def test_a_missing_helper_is_one_line(prefix: Path, tmp_path: Path) -> None:
    executable = tmp_path / "bin/capsem"
    executable.parent.mkdir()
    shutil.copy(prefix / "bin/capsem", executable)
    result = Capsem(executable).call("build-assets")
    assert result.returncode == 2
    assert "capsem-build-assets" in the_error(result)


def test_capsem_starts_without_the_libraries_of_its_helper(prefix: Path) -> None:
    """Their relocations alone would take longer than a repack that changes nothing."""
    dynamic = subprocess.run(["readelf", "-d", prefix / "bin/capsem"], capture_output=True, check=True)
    needed = {line.split("[")[1].split(".so")[0] for line in dynamic.stdout.decode().splitlines() if "(NEEDED)" in line}
    assert needed <= {"libc", "libm", "ld-linux-x86-64", "libisal"}


def test_it_names_the_commands_that_an_installation_has(prefix: Path) -> None:
    table = as_ordinary_user(prefix, "loop").stdout.decode()
    assert "`capsem build-assets`" in table and "./dev build-assets" not in table


def test_the_manual_page_has_every_command(prefix: Path) -> None:
    page = (prefix / "share/man/man1/capsem.1").read_text()
    for line in Capsem(prefix / "bin/capsem").call("--help").stdout.decode().split("Subcommands:")[1].splitlines():
        if line.startswith("  ") and line[2:3].strip():
            assert f".SS capsem {line.split()[0]}" in page, line


def completed(prefix: Path, *words: str) -> set[str]:
    script = prefix / "share/bash-completion/completions/capsem"
    lines = f'source {script}; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _capsem; printf "%s\\n" "${{COMPREPLY[@]}}"'
    with tempfile.TemporaryDirectory() as state:
        for name in ("one", "two"):
            record = Path(state, "capsem/vms", name, "vm.json")
            record.parent.mkdir(parents=True)
            record.touch()
        environment = {"PATH": os.environ["PATH"], "XDG_STATE_HOME": state}
        command = ["bash", "-c", lines, "bash", "capsem", *words]
        return set(subprocess.check_output(command, env=environment, text=True).split())


def test_bash_completes_commands_options_and_names_of_vms(prefix: Path) -> None:
    assert completed(prefix, "st") == {"start", "stop"}
    assert "--memory" in completed(prefix, "run", "--")
    assert completed(prefix, "initrd", "ver") == {"verify"}
    assert completed(prefix, "initrd", "pack", "--from-d") == {"--from-dir"}
    for command in ("exec", "stop", "logs"):
        assert completed(prefix, command, "") == {"one", "two"}, command
