"""Python: the interpreter, threads, processes, packages from a local wheel."""

import subprocess
import sys
import zipfile
from pathlib import Path


def make_wheel(directory: Path) -> Path:
    """The smallest wheel there is, as PEP 427 describes it."""
    wheel = directory / "sample-1.0-py3-none-any.whl"
    info = "sample-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("sample.py", "ANSWER = 42\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: sample\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return wheel


def test_a_virtual_environment_takes_a_local_wheel(tmp_path: Path) -> None:
    # Without a pip of its own: unpacking one takes most of a minute where the processor is emulated.
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    pip = [sys.executable, "-m", "pip", "--python", tmp_path / "venv/bin/python"]
    subprocess.run([*pip, "install", "--no-index", "--quiet", make_wheel(tmp_path)], check=True)
    answer = subprocess.run(
        [tmp_path / "venv/bin/python", "-c", "import sample; print(sample.ANSWER)"],
        capture_output=True, check=True,
    )
    assert answer.stdout == b"42\n"


def test_threads_and_processes() -> None:
    from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(abs, range(-50, 50))) == 2500
    with ProcessPoolExecutor(2) as processes:
        assert sum(processes.map(abs, range(-50, 50))) == 2500


def test_sqlite_and_compression() -> None:
    import lzma
    import sqlite3
    import zlib

    with sqlite3.connect(":memory:") as database:
        assert database.execute("select 6 * 7").fetchone() == (42,)
    data = bytes(100000)
    assert lzma.decompress(lzma.compress(data)) == zlib.decompress(zlib.compress(data)) == data


def test_text_is_utf_8_without_being_asked(tmp_path: Path) -> None:
    assert sys.getfilesystemencoding() == "utf-8"
    code = "print('grüße')"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert printed.stdout.decode() == "grüße\n"
