"""The guest from the inside: what its programs answer."""

import json

from conftest import Capsem


def test_root_cannot_write_a_guest_binary(capsem: Capsem) -> None:
    result = capsem.run(
        "for p in /capsem/bin/*; do echo x > $p && echo wrote $p; rm -f $p && echo removed $p; done; "
        "touch /capsem/new && echo made; true"
    )
    assert result.stdout == b""


def test_there_is_no_network_and_it_says_so_at_once(capsem: Capsem) -> None:
    result = capsem.run(
        "ls /sys/class/net; s=$(date +%s%N); curl -sS http://192.0.2.1/; curl -sS http://example.com/; "
        "echo $(( ($(date +%s%N) - s) / 1000000 ))"
    )
    lines = result.stdout.decode().split()
    assert lines[0] == "lo"
    assert int(lines[-1]) < 5000
    assert b"Could not resolve host: example.com" in result.stderr


def test_the_mcp_server_answers_a_client(capsem: Capsem) -> None:
    requests = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize",
         "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/list"},
    ]
    text = "".join(json.dumps(r) + "\n" for r in requests)
    result = capsem.run("capsem-mcp-server", stdin=text.encode())
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert [a["id"] for a in answers] == [1, 2]
    assert answers[1]["result"]["tools"] == []


def test_what_does_not_exist_yet_says_so(capsem: Capsem) -> None:
    result = capsem.run("snapshots list; echo $?; capsem-sysutil suspend; echo $?")
    assert b"snapshot" in result.stderr and b"suspend" in result.stderr
    assert result.stdout.split()[-1] != b"0"


def test_programs_of_the_guest_work(capsem: Capsem) -> None:
    result = capsem.run(
        "set -e; python3 -c 'print(6*7)'; git --version; curl --version | head -1; "
        "ip -br link"
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(b"42\n")


def test_an_argument_of_the_greatest_length_arrives(capsem: Capsem) -> None:
    # execve(2): 128 KiB with the NUL, on the host as in the guest.
    line = "printf %s " + "x" * (128 * 1024 - 1 - len("printf %s "))
    result = capsem.run(line)
    assert (len(result.stdout), result.returncode) == (len(line) - len("printf %s "), 0), result.stderr
