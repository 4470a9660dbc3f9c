"""Connections that the policy looks into, and what is written down of them; see test_network.py."""

import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h2
import hpack
import hyperframe
import pytest

from conftest import Capsem, registry_in
from named_vms import output
from network_scene import HERE, Inside, internet, said_by, script_of
from processes import wait_until

RULES = """
[[rule]]
name = "web"
action = "allow"
host = "good.example"
path = ["/", "/public/*"]
method = ["GET", "HEAD"]

[[rule]]
name = "files"
action = "allow"
host = "good.example"
path = "/public/files/*"

[[rule]]
name = "looked into"
action = "allow"
host = ["alias.example", "wrong.example"]
tls = "inspect"

[[rule]]
name = "http2"
action = "allow"
host = "http2.example"
port = 8443
path = "/public/*"
"""

# 100 MB; the sum of what went out, and of what came back.
LARGE = "https://good.example/public/files/large"
UPLOAD = f"yes some text that takes its time | head -c 100000000 | tee >(md5sum >&2) | curl -sS -T - {LARGE}"

COMMANDS = {
    "curl": "curl -sS https://good.example/",
    "HTTP/1.1 by choice": "curl -sS --http1.1 https://good.example/",
    "large": f"{{ {UPLOAD}; }} 2>&1; curl -sS {LARGE} | md5sum; curl -sS --http1.1 {LARGE} | md5sum",
    "curl, HTTP": "curl -sS http://good.example/",
    "issuer": "curl -sSv https://good.example/ 2>&1 | grep issuer:",
    "python": "python3 -c 'import urllib.request as u; print(u.urlopen(\"https://good.example/\").read().decode())'",
    "openssl": "openssl s_client -connect good.example:443 -servername good.example -verify_return_error "
               "</dev/null 2>&1 | grep 'Verify return code'",
    "git": "git ls-remote https://good.example/public/x 2>&1",
    "POST": "curl -sS -w '%{http_code}' -d x https://good.example/",
    "path": "curl -sS -w '%{http_code}' https://good.example/private",
    "path, HTTP": "curl -sS -w '%{http_code}' http://good.example/private",
    "dots": "curl -sS -w '%{http_code}' --path-as-is https://good.example/public/../private",
    "two in a row": "curl -sS -w '%{http_code} %{num_connects} ' https://good.example/private https://good.example/",
    "another host": "curl -sS -w '%{http_code}' -H 'Host: alias.example' https://good.example/",
    "another host, HTTP": "curl -sS -w '%{http_code}' -H 'Host: other.example' http://good.example/",
    "two hosts": "printf 'GET / HTTP/1.1\\r\\nHost: good.example\\r\\nHost: other.example\\r\\n\\r\\n' | "
                 "openssl s_client -quiet -connect good.example:443 -servername good.example 2>/dev/null",
    "CONNECT": "curl -sS -w '%{http_code}' -p -x http://good.example:80 http://other.example/ 2>&1",
    "absolute": "printf 'GET http://other.example/ HTTP/1.1\\r\\nHost: good.example\\r\\n\\r\\n' | nc -w5 good.example 80",
    "lengths": "printf 'GET / HTTP/1.1\\r\\nHost: good.example\\r\\nContent-Length: 5\\r\\nTransfer-Encoding: chunked"
               "\\r\\n\\r\\n0\\r\\n\\r\\nGET /private HTTP/1.1\\r\\nHost: good.example\\r\\n\\r\\n' | nc -w5 good.example 80",
    "many of HTTP/2": "python3 -c 'import socket, ssl; c = ssl.create_default_context();"
                      " c.set_alpn_protocols([\"h2\", \"http/1.1\"]);"
                      " s = [c.wrap_socket(socket.create_connection((\"good.example\", 443)),"
                      " server_hostname=\"good.example\") for _ in range(66)];"
                      " print([x.selected_alpn_protocol() for x in s].count(\"h2\"))'",
    "certificate for another": "curl -sS -w '%{http_code}' https://wrong.example/",
    "alias": "curl -sS -w '%{http_code}' https://alias.example/",
}


@pytest.fixture(scope="module")
def inside(capsem: Capsem, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inside]:
    with internet(capsem, tmp_path_factory.mktemp("internet")) as scene:
        # Whom the host trusts, as openssl(1) has it.
        scene.environment["SSL_CERT_FILE"] = str(scene.top / "ca.pem")
        yield scene


@pytest.fixture(scope="module")
def said(inside: Inside) -> dict[str, str]:
    policy = inside.top / "rules.toml"
    policy.write_text(RULES)
    result = inside.run("--policy", str(policy), "bash", "-c", script_of(COMMANDS))
    return said_by(result.stdout)


@pytest.mark.parametrize("client", ["curl", "python", "curl, HTTP", "alias"])
def test_an_allowed_request_is_answered(said: dict[str, str], client: str) -> None:
    assert "93.184.216.3" in said[client] or "2606:2800" in said[client]


def test_the_authority_is_trusted_by_what_is_installed(said: dict[str, str]) -> None:
    assert "capsem" in said["issuer"]
    assert "Verify return code: 0 (ok)" in said["openssl"]
    # Reached, though there is no repository.
    assert "certificate" not in said["git"] and "good.example/public/x" in said["git"]


@pytest.mark.parametrize("request_", ["POST", "path", "path, HTTP", "dots"])
def test_a_request_that_no_rule_allows_is_refused_with_the_reason(said: dict[str, str], request_: str) -> None:
    assert said[request_].endswith(("403", "400")), said[request_]
    if request_ != "dots":
        assert "to allow it: --allow good.example" in said[request_]


def test_the_client_speaks_what_the_server_speaks(said: dict[str, str]) -> None:
    assert "HTTP/2.0" in said["curl"]
    assert "HTTP/1.1" in said["HTTP/1.1 by choice"]
    assert "HTTP/1.1" in said["alias"]  # its server has nothing else


def test_a_hundred_megabytes_go_both_ways(said: dict[str, str]) -> None:
    sums = [word for word in said["large"].split() if len(word) == 32]
    assert len(sums) == 3 and len(set(sums)) == 1, said["large"]


@pytest.fixture(scope="module")
def http2(inside: Inside) -> dict[str, Any]:
    """What http2_client.py finds, with python3-h2 of the host in the guest."""
    policy = inside.top / "rules.toml"
    policy.write_text(RULES)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for package in (h2, hpack, hyperframe):
            tar.add(Path(package.__file__).parent, arcname=package.__name__)
        tar.add(HERE / "http2_client.py", arcname="http2_client.py")
    script = "cd /tmp && tar x && python3 http2_client.py http2.example 8443"
    result = inside.run("--policy", str(policy), "bash", "-c", script, stdin=archive.getvalue())
    assert result.returncode == 0, result.stderr.decode()
    return json.loads(result.stdout)


def test_each_request_of_a_connection_of_http2_is_judged(http2: dict[str, Any]) -> None:
    assert http2["get"]["body"] == "http2.example:8443 /public/x\n"
    assert http2["denied"]["head"][":status"] == "403"
    assert "to allow it: --allow http2.example" in http2["denied"]["body"]
    assert http2["another host"]["head"][":status"] == "421"
    assert http2["many"] == 60


def test_grpc_has_its_trailers_and_goes_both_ways_at_once(http2: dict[str, Any]) -> None:
    assert http2["grpc"]["head"] == {":status": "200"}  # no Alt-Svc
    assert http2["grpc"]["trailers"] == {"grpc-status": "0", "grpc-message": "done"}


def test_a_websocket_goes_over_http2(http2: dict[str, Any]) -> None:
    assert http2["websockets"] == 1
    assert http2["websocket"]["head"][":status"] == "200"
    assert http2["websocket"]["body"] == "\x01\x02hi\x01\x03you"


def test_a_refusal_leaves_the_connection_to_the_next_request(said: dict[str, str]) -> None:
    assert "403 1 " in said["two in a row"] and said["two in a row"].rstrip().endswith("200 0")


@pytest.mark.parametrize("request_", ["another host", "another host, HTTP", "two hosts", "CONNECT", "absolute"])
def test_a_request_for_another_host_than_its_connection_is_refused(said: dict[str, str], request_: str) -> None:
    assert any(status in said[request_] for status in ("400", "403", "405", "421")), said[request_]
    assert "HTTP/1.1 200" not in said[request_]


def test_only_some_connections_are_of_http2(said: dict[str, str]) -> None:
    assert said["many of HTTP/2"].strip() == "64"


def test_two_lengths_of_one_body_are_refused(said: dict[str, str]) -> None:
    assert "400" in said["lengths"] and said["lengths"].count("HTTP/1.1") == 1


def test_a_certificate_for_another_name_is_told_to_the_client(said: dict[str, str]) -> None:
    assert said["certificate for another"].endswith("502") and "wrong.example" in said["certificate for another"]


def test_the_policy_of_a_running_vm_is_changed_and_all_is_written_down(inside: Inside, tmp_path: Path) -> None:
    vms = Inside(inside.executable, {**inside.environment, **registry_in(tmp_path)}, inside.servers, inside.top)
    try:
        get = ["exec", "one", "curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "http://good.example/"]
        output(vms, "run", "--name", "one", "--detach", "--allow", "other.example")
        assert vms.call(*get).returncode == 6  # the name cannot be resolved
        explained = output(vms, "policy", "explain", "one")
        assert "the name good.example" in explained and "--allow good.example" in explained
        output(vms, "policy", "one", "--allow", "good.example")
        assert output(vms, *get) == "200"
        output(vms, "policy", "one", "--deny", "good.example")
        assert vms.call(*get).returncode != 0
        shown = output(vms, "policy", "one")
        assert shown.index('"deny"') < shown.index('"allow"')
        # One that goes on until the VM ends.
        waiting = "exec 3<>/dev/tcp/good.example/80; printf 'GET / HTTP/1.1\\r\\n' >&3; sleep 100"
        output(vms, "policy", "one", "--allow", "good.example", "--allow", "good.example:any")
        with subprocess.Popen([*vms.command("exec", "one", waiting)], env=vms.environment | os.environ) as session:
            wait_until(lambda: '"open"' in output(vms, "log", "net", "one", "--json"))
            output(vms, "kill", "one")
            session.wait()
        logged = [json.loads(line) for line in output(vms, "log", "net", "one", "--json").splitlines()]
        requests = [entry for entry in logged if entry.get("method") == "GET" and "status" in entry]
        assert [(one["host"], one["path"], one["status"]) for one in requests] == [("good.example", "/", 200)]
        assert "/usr/bin/curl" in json.dumps(requests[0])
        assert [entry["ending"] for entry in logged if entry.get("kind") == "connection"][-1] == "stopped"
    finally:
        vms.call("rm", "--force", "one")
