"""What there is to ask of the VMs with a name in a test's own registry."""

import json
import os
from pathlib import Path

from conftest import Capsem


def listed(vms: Capsem) -> list[dict[str, object]]:
    return json.loads(vms.call("ps", "--all", "--json").stdout)


def state(vms: Capsem, name: str) -> object:
    return {vm["name"]: vm for vm in listed(vms)}[name]["state"]


def output(vms: Capsem, *words: str, stdin: bytes = b"") -> str:
    result = vms.call(*words, stdin=stdin)
    assert result.returncode == 0, result.stderr
    assert result.stderr == b""
    return result.stdout.decode()


def monitor(vms: Capsem) -> int:
    """The process that has a VM's socket; there is one VM."""
    (link,) = [
        path
        for path in Path("/proc").glob("[0-9]*/fd/*")
        if link_of(path).startswith(vms.environment["XDG_STATE_HOME"]) and link_of(path).endswith("/lock")
    ]
    return int(link.parts[2])


def link_of(path: Path) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""
