"""What the end-to-end tests share: the built capsem, and checkouts of their own to change."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

BUILD = Path(os.environ["CAPSEM_BUILD"])
SOURCE = Path(__file__).resolve().parents[2]
ASSETS = SOURCE / "assets/x86_64"
# Far above what a boot takes on a busy machine; a test that reaches it hangs.
LIMIT_S = 120


@dataclass
class Capsem:
    """A capsem executable with the environment it runs in."""

    executable: Path
    environment: dict[str, str] = field(default_factory=dict)

    def command(self, *words: str) -> list[str]:
        return [str(self.executable), *words]

    def env(self) -> dict[str, str]:
        return {**os.environ, **self.environment}

    def call(
        self, *words: str, stdin: bytes | None = b"", timeout: float = LIMIT_S
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            self.command(*words), input=stdin, capture_output=True, env=self.env(), timeout=timeout
        )

    def run(
        self, *words: str, stdin: bytes | None = b"", timeout: float = LIMIT_S
    ) -> subprocess.CompletedProcess[bytes]:
        """`capsem run` under TCG."""
        return self.call("run", "--accel", "tcg", *words, stdin=stdin, timeout=timeout)

    def popen(self, *words: str, **options: object) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            self.command("run", "--accel", "tcg", *words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.env(),
            **options,  # type: ignore[call-overload]
        )


@dataclass
class Checkout(Capsem):
    """A copy of what capsem reads of a checkout, free to be changed or broken."""

    source: Path = Path()
    build: Path = Path()

    @property
    def assets(self) -> Path:
        return self.source / "assets/x86_64"

    def edit(self, name: str, change: Callable[[str], str]) -> None:
        path = self.source / name
        path.write_text(change(path.read_text()))

    def own(self, path: Path) -> Path:
        """Turns a hard link of the real checkout into a copy."""
        copy = path.with_suffix(".copy")
        shutil.copy(path, copy)
        copy.replace(path)
        return path


def error_lines(result: subprocess.CompletedProcess[bytes]) -> list[str]:
    return result.stderr.decode().splitlines()


def the_error(result: subprocess.CompletedProcess[bytes]) -> str:
    """The one line that a failure consists of."""
    lines = error_lines(result)
    assert len(lines) == 1, lines
    assert lines[0].startswith("capsem: "), lines
    return lines[0]


def link_tree(source: Path, target: Path, names: Sequence[str]) -> None:
    target.mkdir(parents=True)
    for name in names:
        os.link(source / name, target / name)


@pytest.fixture(scope="session")
def capsem() -> Capsem:
    return Capsem(BUILD / "bin/capsem")


def registry_in(top: Path) -> dict[str, str]:
    """The environment of a new registry of VMs with a name, below `top`."""
    for name in ("state", "runtime"):
        (top / name).mkdir(mode=0o700)
    return {"XDG_STATE_HOME": str(top / "state"), "XDG_RUNTIME_DIR": str(top / "runtime")}


@pytest.fixture
def vms(capsem: Capsem, tmp_path: Path) -> Iterator[Capsem]:
    """capsem with a registry of its own, whose VMs are ended when the test is over."""
    mine = Capsem(capsem.executable, registry_in(tmp_path))
    yield mine
    names = [vm["name"] for vm in json.loads(mine.call("ps", "--all", "--json").stdout)]
    mine.call("rm", "--force", *names, "none")


@pytest.fixture
def checkout() -> "Checkout":
    # Beside the build, since hard links do not cross file systems.
    root = BUILD / "e2e" / str(os.getpid())
    shutil.rmtree(root, ignore_errors=True)
    source, build = root / "source", root / "build"
    source.mkdir(parents=True)
    shutil.copy(SOURCE / "guest.toml", source)
    shutil.copytree(SOURCE / "guest", source / "guest")
    index = json.loads((ASSETS / "assets.json").read_text())
    link_tree(ASSETS, source / "assets/x86_64", ["assets.json"] + [f["name"] for f in index["files"]])
    link_tree(BUILD / "bin", build / "bin", ["capsem", "capsem-build-assets"])
    (build / "bin/checkout.json").write_text(json.dumps({"source": str(source), "build": str(build)}))
    # The guest programs are built already; there is nothing left to do for this one target.
    (build / "build.ninja").write_text("build guest: phony\n")
    # A further link would change these files for whoever packs them meanwhile.
    subprocess.run(["cp", "-a", BUILD / "guest", build / "guest"], check=True)
    yield Checkout(
        build / "bin/capsem", {"XDG_CACHE_HOME": str(root / "cache")}, source=source, build=build
    )
    shutil.rmtree(root)
