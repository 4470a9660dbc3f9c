"""Secrets of the host that the policy puts into requests; see test_network.py for the Internet."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Capsem, registry_in
from named_vms import output
from network_scene import Inside, internet, said_by, script_of
from processes import wait_until

VALUE, OF_FILE, OF_COMMAND = "the-secret-of-the-environment", "the-secret-of-the-file", "the-secret-of-the-command"

RULES = """
[[rule]]
name = "keyed"
action = "allow"
host = "good.example"
[[rule.secret]]
name = "GOOD_KEY"
header = "X-Key"
env = "KEY_ON_THE_HOST"
[[rule.secret]]
name = "GIT_TOKEN"
header = "Authorization"
user = "git"
file = "{top}/token"
[[rule.secret]]
name = "QUERY_KEY"
query = "key"
command = ["{top}/command"]

[[rule]]
action = "allow"
host = ["alias.example", "api.openai.com"]
tls = "inspect"

[[rule]]
action = "allow"
host = "other.example"
secret = {{ name = "NOT_THERE", header = "X-Key", env = "NOT_THERE_ON_THE_HOST" }}
"""

CURL = "curl -sS -w '%{http_code}'"
COMMANDS = {
    "environment": "env | grep -c capsem-secret; env",
    "echo": f"{CURL} -i -H \"X-Key: $GOOD_KEY\" 'https://good.example/echo?a=b'",
    "another header": f"{CURL} -H \"X-Other: $GOOD_KEY\" https://good.example/echo",
    "another host": f"{CURL} -H \"X-Key: $GOOD_KEY\" https://alias.example/echo",
    "base64": f"{CURL} -u \"user:$GOOD_KEY\" https://alias.example/echo",
    "body": f"{CURL} -d \"$GOOD_KEY\" https://alias.example/echo",
    "body of its host": f"{CURL} -d \"$GOOD_KEY\" https://good.example/echo",
    "without TLS": f"{CURL} -H \"X-Key: $GOOD_KEY\" http://good.example/echo",
    "not there": f"{CURL} https://other.example/echo",
    "of the user": "echo $GOOD_KEY",
    "model": f"{CURL} -d x https://api.openai.com/v1/chat/completions",
}


@pytest.fixture(scope="module")
def inside(capsem: Capsem, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inside]:
    top = tmp_path_factory.mktemp("internet")
    with internet(capsem, top) as scene:
        scene.environment |= {"SSL_CERT_FILE": str(top / "ca.pem"), "KEY_ON_THE_HOST": VALUE, **registry_in(top)}
        (top / "token").write_text(OF_FILE + "\n")
        (top / "command").write_text(f"#!/bin/sh\necho x >> {top}/ran\necho {OF_COMMAND}\n")
        (top / "command").chmod(0o755)
        (top / "rules.toml").write_text(RULES.format(top=top))
        yield scene


@pytest.fixture(scope="module")
def vm(inside: Inside) -> Iterator[Inside]:
    output(inside, "run", "--name", "keys", "--detach", "--policy", str(inside.top / "rules.toml"))
    yield inside
    inside.call("rm", "--force", "keys")


@pytest.fixture(scope="module")
def said(vm: Inside) -> dict[str, str]:
    return said_by(output(vm, "exec", "keys", "bash", "-c", script_of(COMMANDS)).encode())


def test_sessions_have_placeholders_alone(said: dict[str, str], vm: Inside) -> None:
    assert said["environment"].startswith("4 ")
    assert "GOOD_KEY=capsem-secret-GOOD_KEY" in said["environment"]
    assert said["of the user"].strip() == "capsem-secret-GOOD_KEY"
    assert output(vm, "exec", "--env", "GOOD_KEY=mine", "keys", "echo $GOOD_KEY").strip() == "mine"


def test_the_server_gets_the_secrets_and_the_guest_sees_none(said: dict[str, str]) -> None:
    # The server says back what it was sent, in a header and in its text.
    assert said["echo"].rstrip().endswith("200")
    assert "x-echo: capsem-secret-GOOD_KEY*******" in said["echo"].lower().replace("good_key", "GOOD_KEY")
    assert "key=capsem-secret-GOOD_KEY******* " in said["echo"]
    assert "authorization=Basic capsem-secret-GIT_TOKEN" in said["echo"]
    assert "args=a=b&key=capsem-secret-QUERY_KEY" in said["echo"]
    for text in said.values():
        assert "the-secret-of" not in text


@pytest.mark.parametrize("request_", ["another header", "another host", "base64", "body"])
def test_a_placeholder_that_goes_elsewhere_is_refused(said: dict[str, str], request_: str) -> None:
    assert said[request_].rstrip().endswith("403")
    assert "the placeholder of the secret 'GOOD_KEY' is in" in said[request_]


def test_a_placeholder_may_be_in_a_body_for_its_own_host(said: dict[str, str]) -> None:
    assert said["body of its host"].rstrip().endswith("200")


def test_a_rule_with_a_secret_is_for_tls(said: dict[str, str]) -> None:
    assert said["without TLS"].rstrip().endswith("403") and "port 80" in said["without TLS"], said["without TLS"]


def test_why_there_is_no_secret_is_said_on_the_host(said: dict[str, str], vm: Inside) -> None:
    assert said["not there"].rstrip().endswith("502") and "'NOT_THERE'" in said["not there"]
    assert "NOT_THERE_ON_THE_HOST" not in said["not there"]
    assert "NOT_THERE_ON_THE_HOST" in output(vm, "policy", "explain", "keys")


def test_a_command_runs_once_in_its_time(said: dict[str, str], vm: Inside) -> None:
    assert said["echo"] and (vm.top / "ran").read_text() == "x\n"


def test_secrets_are_nowhere_on_disk_but_at_their_source(said: dict[str, str], vm: Inside) -> None:
    assert said
    for path in Path(vm.environment["XDG_STATE_HOME"]).rglob("*"):
        if path.is_file():
            assert b"the-secret-of" not in path.read_bytes(), path


def test_what_a_model_costs_is_written_down(said: dict[str, str], vm: Inside) -> None:
    assert said["model"].rstrip().endswith("200")
    wait_until(lambda: "gpt-5" in output(vm, "log", "net", "keys", "--usage"))  # it is written in batches
    logged = [json.loads(line) for line in output(vm, "log", "net", "keys", "--json").splitlines()]
    (usage,) = [entry["usage"] for entry in logged if entry.get("usage")]
    assert usage["model"] == "gpt-5" and usage["input_tokens"] == 12
