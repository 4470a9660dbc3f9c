"""Python: the interpreter, its library, threads and processes, and packages from a local wheel."""

import asyncio
import bz2
import ctypes
import decimal
import hashlib
import importlib.util
import json
import lzma
import multiprocessing
import os
import sqlite3
import ssl
import subprocess
import venv
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest

from support import LIMIT_S, Shell

PIP_INSTALL = ["--isolated", "--disable-pip-version-check", "--no-cache-dir", "install",
               "--no-index", "--no-compile", "--quiet"]

MODULE = """
import json, sys

ANSWER = 42

def main():
    print(json.dumps({
        "answer": ANSWER,
        "own": sys.prefix != sys.base_prefix,
        "file": __file__,
        "arguments": sys.argv[1:],
    }))
"""


def make_wheel(directory: Path) -> Path:
    """The smallest wheel with a command, as PEP 427 describes it."""
    wheel = directory / "capsem_sample-1.0-py3-none-any.whl"
    info = "capsem_sample-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("capsem_sample.py", MODULE)
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: capsem-sample\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/entry_points.txt", "[console_scripts]\ncapsem-sample = capsem_sample:main\n")
        archive.writestr(f"{info}/RECORD", "")
    return wheel


@pytest.fixture(scope="module")
def environment(scratch: Path) -> Path:
    """A virtual environment with the wheel in it."""
    directory = scratch / "wheel"
    directory.mkdir()
    # Without a pip of its own: unpacking one takes most of a minute where the processor is emulated.
    # For the same reason the environment's Python runs the system's pip itself: `pip --python` does
    # that too, but imports pip twice.
    venv.create(directory / "venv", symlinks=True)
    spec = importlib.util.find_spec("pip")
    assert spec is not None and spec.origin is not None, "pip is not installed"
    command = [directory / "venv/bin/python", Path(spec.origin).parent, *PIP_INSTALL, make_wheel(directory)]
    home = {**os.environ, "HOME": str(directory)}
    subprocess.run(command, check=True, env=home, timeout=LIMIT_S)
    return directory / "venv"


@pytest.fixture(scope="module")
def told(environment: Path) -> dict[str, object]:
    """What the wheel's command tells of itself."""
    command = [environment / "bin/capsem-sample", "a", "b c"]
    answer = subprocess.run(command, capture_output=True, check=True, timeout=LIMIT_S)
    return json.loads(answer.stdout)


def test_pip_installs_a_local_wheel_with_its_command(told: dict[str, object]) -> None:
    assert (told["answer"], told["arguments"]) == (42, ["a", "b c"])


def test_pip_records_what_it_installed(environment: Path) -> None:
    [information] = environment.glob("lib/*/site-packages/capsem_sample-1.0.dist-info")
    assert (information / "INSTALLER").read_text() == "pip\n"
    assert "capsem_sample.py," in (information / "RECORD").read_text()


def test_a_virtual_environment_is_used_by_its_commands(told: dict[str, object], environment: Path) -> None:
    assert told["own"] is True
    assert str(told["file"]).startswith(str(environment))


def test_a_virtual_environment_keeps_its_packages_to_itself(environment: Path) -> None:
    with pytest.raises(ModuleNotFoundError):
        __import__("capsem_sample")


def test_a_script_from_standard_input_and_its_status(shell: Shell) -> None:
    script = "import sys; print('größe', sys.getfilesystemencoding()); sys.exit(3)"
    assert shell("python3 -I -S -", status=3, stdin=script, PYTHONIOENCODING="") == "größe utf-8\n"


def test_an_uncaught_exception_is_a_traceback_and_status_1(shell: Shell) -> None:
    assert "ZeroDivisionError" in shell("python3 -I -S -c 1/0 2>&1", status=1)


def test_threads_share_the_work() -> None:
    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(abs, range(-50, 50))) == 2500


def test_processes_share_the_work() -> None:
    with multiprocessing.get_context("fork").Pool(2) as processes:
        assert sum(processes.map(abs, range(-50, 50), chunksize=25)) == 2500


def test_the_event_loop_talks_to_a_process() -> None:
    async def talk() -> bytes:
        process = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
        return (await asyncio.wait_for(process.communicate(b"through"), LIMIT_S))[0]

    assert asyncio.run(talk()) == b"through"


def test_sqlite_keeps_what_was_committed(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "db") as one, sqlite3.connect(tmp_path / "db") as other:
        assert one.execute("pragma journal_mode = wal").fetchone() == ("wal",)
        one.execute("create table t (x integer)")
        one.execute("insert into t values (42)")
        one.commit()
        assert other.execute("select x from t").fetchall() == [(42,)]
    one.close()
    other.close()


@pytest.mark.parametrize("module", [bz2, lzma, zlib], ids=lambda module: module.__name__)
def test_compression_modules(module: ModuleType) -> None:
    data = b"capsem" * 1000
    packed = module.compress(data)
    assert len(packed) < 200
    assert module.decompress(packed) == data


def test_authorities_for_tls_are_installed() -> None:
    authorities = Path(ssl.get_default_verify_paths().openssl_capath) / "ca-certificates.crt"
    assert authorities.read_text().count("BEGIN CERTIFICATE") > 50


def test_hashes_and_numbers() -> None:
    assert hashlib.sha256(b"abc").hexdigest().startswith("ba7816bf8f01cfea")
    assert decimal.Decimal("0.1") + decimal.Decimal("0.2") == decimal.Decimal("0.3")
    assert 2**200 % 1_000_003 == pow(2, 200, 1_000_003)


def test_libraries_in_c_are_called() -> None:
    libc = ctypes.CDLL("libc.so.6", use_errno=True)
    assert libc.strtol(b"42", None, 10) == 42
