"""A host for a test, in a network and mount namespace of its own, with an Internet in another one, and what a guest
finds of it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import Capsem

HERE = Path(__file__).parent
UNSHARE = ["unshare", "--net", "--mount", "--propagation", "private"]


@dataclass
class Outcome:
    """What a try in the guest came to: its result in words, and after how long."""

    result: str
    ms: float

    def refused_at_once(self, *reasons: str) -> bool:
        return self.result in reasons and self.ms < 1000


@dataclass
class Inside(Capsem):
    """capsem in the host's namespaces."""

    servers: int = 0  # a process there
    top: Path = Path()

    def command(self, *words: str) -> list[str]:
        enter = ["nsenter", f"--net=/proc/{self.servers}/ns/net", f"--mount=/proc/{self.servers}/ns/mnt"]
        return [*enter, *super().command(*words)]

    @property
    def authority(self) -> str:
        return (self.top / "ca.pem").read_text()

    def names_asked(self) -> list[str]:
        return (self.top / "names.log").read_text().split()

    def connections(self) -> list[str]:
        return (self.top / "connections.log").read_text().splitlines()


def probe_words(tries: list[list[object]], authority: str = "") -> list[str]:
    """The command for the guest that makes the tries, each a function of network_probe.py and its arguments."""
    text = (HERE / "network_probe.py").read_text()
    return ["python3", "-c", text, json.dumps(tries), authority]


def outcomes(text: bytes) -> list[Outcome]:
    return [Outcome(**json.loads(line)) for line in text.splitlines()]


def script_of(commands: dict[str, str]) -> str:
    """That runs each, with its name in the line before what it says, which becomes one line."""
    return "\n".join(f"echo {name!r}; {{ {command}; }} | tr '\\r\\n' '  '; echo" for name, command in commands.items())


def said_by(script: bytes) -> dict[str, str]:
    lines = script.decode().splitlines()
    return dict(zip(lines[::2], lines[1::2], strict=True))


def why_not() -> str:
    if os.geteuid() != 0:
        return "namespaces with addresses of their own need root"
    tried = subprocess.run([*UNSHARE, "true"], capture_output=True, text=True)
    return f"no namespaces here: {tried.stderr.strip()}" if tried.returncode != 0 else ""


@contextmanager
def internet(capsem: Capsem, top: Path) -> Iterator[Inside]:
    if reason := why_not():
        pytest.skip(reason)
    with subprocess.Popen(
        [*UNSHARE, sys.executable, str(HERE / "network_servers.py"), str(top)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as servers:  # fmt: skip
        assert servers.stdin and servers.stdout
        try:
            assert servers.stdout.readline() == b"ready\n"
            yield Inside(capsem.executable, dict(capsem.environment), servers.pid, top)
        finally:
            servers.stdin.close()
            servers.wait(10)
