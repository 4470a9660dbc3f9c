"""`capsem run --ask`, at a terminal of the test's own; see test_network.py for the Internet."""

import os
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from conftest import Capsem, registry_in, the_error
from named_vms import output
from network_scene import Inside, internet
from network_servers import ECHO

GET = "curl -sS -o /dev/null -w 'code %{http_code} ' http://good.example/"
# Sooner, a key is what was typed before the question was there.
NOTICED_S = 0.7


class Person:
    """Who sits at the terminal of one `capsem run`."""

    def __init__(self, command: list[str], env: dict[str, str]) -> None:
        self.terminal, slave = os.openpty()
        self.client = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=env)
        os.close(slave)
        self.seen = ""
        self.read_to = 0

    def read(self) -> None:
        if select.select([self.terminal], [], [], 0.2)[0]:
            with suppress(OSError):  # nobody has it open any more
                self.seen += os.read(self.terminal, 4096).decode()

    def wait_for(self, text: str, seconds: float = 60) -> None:
        """Behind what was waited for before."""
        end = time.monotonic() + seconds
        while (found := self.seen.find(text, self.read_to)) < 0:
            assert time.monotonic() < end, f"no {text!r} in:\n{self.seen}"
            self.read()
        self.read_to = found + len(text)

    def type(self, text: str) -> None:
        os.write(self.terminal, text.encode())

    def answer(self, key: str, after: float = NOTICED_S) -> None:
        time.sleep(after)
        self.type(key)

    def end(self) -> int:
        while self.client.poll() is None:
            self.read()
        return self.client.returncode

    @property
    def questions(self) -> int:
        return self.seen.count(" asks for ")


@pytest.fixture(scope="module")
def scene(capsem: Capsem, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inside]:
    with internet(capsem, tmp_path_factory.mktemp("internet")) as made:
        yield made


@pytest.fixture
def inside(scene: Inside, tmp_path: Path) -> Inside:
    environment = {**scene.environment, **registry_in(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    return Inside(scene.executable, environment, scene.servers, scene.top)


@contextmanager
def person(inside: Inside, *words: str) -> Iterator[Person]:
    made = Person(inside.command("run", "--accel", "tcg", "--ask", *words), inside.env())
    try:
        yield made
    finally:
        made.client.kill()
        made.client.wait()
        os.close(made.terminal)


def test_what_is_allowed_is_so_while_the_vm_runs(inside: Inside, tmp_path: Path) -> None:
    with person(inside, f"{GET}; {GET}; echo over") as who:
        who.wait_for("a program asks for the name good.example")
        # Longer than a resolver waits by default.
        who.answer("y", after=11)
        who.wait_for("y: allowed")
        who.wait_for("code 200 code 200 over")
        assert who.end() == 0
        assert who.questions == 1
    assert not (tmp_path / "config").exists()
    assert inside.run(GET).returncode == 6


def test_what_is_denied_is_not_asked_again(inside: Inside) -> None:
    with person(inside, f"{GET}; echo status $?; {GET}; echo status $?; curl -sS http://other.example/; echo status $?") as who:
        who.wait_for("the name good.example")
        who.answer("n")
        who.wait_for("n: denied")
        who.wait_for("status 6")
        who.wait_for("status 6")
        who.wait_for("the name other.example")
        who.answer("n")
        who.wait_for("status 6")
        who.end()
        assert who.questions == 2


def test_who_wants_to_be_asked_nothing_more_is_not(inside: Inside) -> None:
    names = ("good", "other", "alias", "wrong")
    with person(inside, "; ".join(f"curl -sS http://{name}.example/" for name in names) + "; echo over") as who:
        who.wait_for("the name good.example")
        who.answer("q")
        who.wait_for("q: denied, as is all that no rule decides")
        who.wait_for("over", 10)
        who.end()
        assert who.questions == 1


def test_a_rule_is_written_for_the_user_and_holds_for_the_next_vm(inside: Inside, tmp_path: Path) -> None:
    file = tmp_path / "config/capsem/policy.toml"
    file.parent.mkdir(parents=True)
    before = '# mine\n[[rule]]\naction = "deny"\nhost = "bad.example" # this one'
    file.write_text(before)
    with person(inside, f"curl -s http://bad.example/; {GET}; echo over") as who:
        who.wait_for("the name good.example")
        who.answer("a")
        who.wait_for(f"a: allowed; the rule is in {file}")
        who.wait_for("code 200 over")
        assert who.questions == 1
    assert file.read_text() == before + '\n\n[[rule]]\naction = "allow"\nhost = "good.example"\n'
    assert inside.run(GET).stdout == b"code 200 "


def test_a_rule_is_written_for_a_vm_with_a_name(inside: Inside, tmp_path: Path) -> None:
    try:
        with person(inside, "--name", "asks", "--deny", "bad.example", f"{GET}; echo over") as who:
            who.wait_for("the name good.example")
            who.answer("a")
            who.wait_for("the rule is in the policy of VM 'asks'")
            who.wait_for("code 200 over")
            assert who.end() == 0
        assert output(inside, "exec", "asks", GET) == "code 200 "
        # Nobody is there to ask any more.
        assert inside.call("exec", "asks", "curl -sS http://other.example/").returncode == 6
        policy = output(inside, "policy", "asks")
        assert policy.index('"bad.example"') < policy.index('"good.example"')
        assert not (tmp_path / "config").exists()
    finally:
        inside.call("rm", "--force", "asks")


def test_what_nobody_answers_is_denied_after_a_while(inside: Inside) -> None:
    with person(inside, f"{GET}; echo status $?") as who:
        who.wait_for("the name good.example")
        began = time.monotonic()
        who.type("x")  # no answer
        who.wait_for("it is not asked any more, and denied", 40)
        assert time.monotonic() - began > 25
        who.wait_for("status 6", 10)


def test_a_connection_is_asked_about_with_its_program_and_the_session_goes_on(inside: Inside) -> None:
    talk = f"exec 3<>/dev/tcp/good.example/{ECHO}; echo hello >&3; head -n1 <&3; read -r line; echo read $line"
    with person(inside, "--allow", "good.example", talk) as who:
        who.wait_for(f"bash asks for good.example:{ECHO}")
        who.type("y")  # too early to be an answer: the session's
        who.answer("y")
        who.wait_for("y: allowed")
        who.wait_for("hello")
        who.type("es\r")
        who.wait_for("read yes")
        assert who.end() == 0


def test_a_request_is_asked_about_with_its_method_and_path(inside: Inside) -> None:
    policy = inside.top / "get.toml"
    policy.write_text('[[rule]]\naction = "allow"\nhost = "good.example"\nmethod = "GET"\n')
    post = "curl -s -o /dev/null -w 'code %{http_code} ' -d x http://good.example/a/b"
    with person(inside, "--policy", str(policy), f"{GET}; {post}; {post}c") as who:
        who.wait_for("code 200")
        who.wait_for("/usr/bin/curl asks for POST good.example:80/a/b,")
        who.answer("n")
        who.wait_for("code 403 code 403")
        assert who.questions == 1


def test_without_a_terminal_there_is_nobody_to_ask(inside: Inside) -> None:
    result = inside.run("--ask", "true")
    assert result.returncode == 125
    assert "there is no terminal to ask on; run it on one" in the_error(result)
    assert "excludes" in the_error(inside.run("--ask", "--detach"))
