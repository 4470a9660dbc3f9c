"""Programs that fetch packages and sources, in a guest whose policy allows them; see test_network.py for the
Internet."""

import hashlib
import os
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Capsem
from network_scene import Inside, internet, said_by, script_of

RULES = """
sets = ["debian"]

[[rule]]
action = "allow"
host = ["pypi.org", "files.pythonhosted.org", "github.com"]
method = ["GET", "HEAD"]
"""

COMMANDS = {
    "apt": "echo 'deb [trusted=yes] http://deb.debian.org/debian ./' >/etc/apt/sources.list;"
           " rm -f /etc/apt/sources.list.d/*; apt-get -q update 2>&1; apt-get -q install -y hello-of-test 2>&1;"
           " hello-of-test",
    "pip": "python3 -m venv /tmp/v 2>&1; /tmp/v/bin/pip install --no-input demo-of-test 2>&1;"
           " /tmp/v/bin/python -c 'import demo_of_test; print(demo_of_test.SAYS)'",
    "git": "git clone -q https://github.com/of/test.git /tmp/test 2>&1; cat /tmp/test/file",
    "git push": "cd /tmp/test && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m x && git push 2>&1",
}  # fmt: skip


def make_debian(site: Path) -> None:
    package = site / "root"
    (package / "DEBIAN").mkdir(parents=True)
    control = "Package: hello-of-test\nVersion: 1.0\nArchitecture: all\nMaintainer: a test <test@example.org>\nDescription: says it\n"
    (package / "DEBIAN/control").write_text(control)
    (package / "usr/bin").mkdir(parents=True)
    (package / "usr/bin/hello-of-test").write_text("#!/bin/sh\necho hello of apt\n")
    (package / "usr/bin/hello-of-test").chmod(0o755)
    archive = site / "debian/hello-of-test.deb"
    archive.parent.mkdir()
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", package, archive], check=True, capture_output=True)
    data = archive.read_bytes()
    place = f"Filename: ./hello-of-test.deb\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n"
    (site / "debian/Packages").write_text(control + place)


def make_python(index: Path, files: Path) -> None:
    wheel = files / "demo_of_test-1.0-py3-none-any.whl"
    files.mkdir(parents=True)
    about = "demo_of_test-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("demo_of_test.py", "SAYS = 'hello of pip'\n")
        archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: demo-of-test\nVersion: 1.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    (index / "simple/demo-of-test").mkdir(parents=True)
    link = f"https://files.pythonhosted.org/{wheel.name}#sha256={hashlib.sha256(wheel.read_bytes()).hexdigest()}"
    (index / "simple/demo-of-test/index.html").write_text(f'<!DOCTYPE html><a href="{link}">{wheel.name}</a>')


def make_repository(site: Path) -> None:
    """As a plain web server has it."""
    who = {f"GIT_{role}_{what}": "test" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}

    def git(*words: str) -> None:
        subprocess.run(["git", *words], check=True, capture_output=True, env=os.environ | who)

    (site / "of").mkdir(parents=True)
    work = site / "work"
    git("init", "-q", str(work))
    (work / "file").write_text("hello of git\n")
    git("-C", str(work), "add", "file")
    git("-C", str(work), "commit", "-qm", "it")
    git("clone", "-q", "--bare", str(work), str(site / "of/test.git"))
    git("-C", str(site / "of/test.git"), "update-server-info")


@pytest.fixture(scope="module")
def inside(capsem: Capsem, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inside]:
    with internet(capsem, tmp_path_factory.mktemp("internet")) as scene:
        scene.environment["SSL_CERT_FILE"] = str(scene.top / "ca.pem")
        sites = scene.top / "www"
        make_debian(sites / "deb.debian.org")
        make_python(sites / "pypi.org", sites / "files.pythonhosted.org")
        make_repository(sites / "github.com")
        subprocess.run(["chmod", "-R", "a+rX", *(str(path) for path in [*scene.top.parents[:2], scene.top])], check=False)
        yield scene


@pytest.fixture(scope="module")
def said(inside: Inside) -> dict[str, str]:
    policy = inside.top / "rules.toml"
    policy.write_text(RULES)
    result = inside.run("--policy", str(policy), "--show-denied", "bash", "-c", script_of(COMMANDS))
    return said_by(result.stdout) | {"told": result.stderr.decode()}


@pytest.mark.parametrize("client", ["apt", "pip", "git"])
def test_a_program_gets_what_it_asks_for(said: dict[str, str], client: str) -> None:
    assert said[client].rstrip().endswith(f"hello of {client}"), said[client]


def test_what_only_writes_is_refused_to_the_program(said: dict[str, str]) -> None:
    # As a server that only has files, git pushes to it by WebDAV.
    assert "failed to push" in said["git push"], said["git push"]
    assert "refused PROPFIND github.com:443/of/test.git/" in said["told"], said["told"]
