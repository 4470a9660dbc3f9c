"""What a guest reaches under a policy, in an Internet that the test makes; in few VMs, each with many tries."""

import os
import subprocess
from collections.abc import Iterator

import pytest

from conftest import Capsem, registry_in
from named_vms import monitor, output
from network_scene import Inside, Outcome, internet, outcomes, probe_words
from network_servers import ECHO, GOOD, GOOD_IPV6, GREETS, OTHER, OWN, SINK
from processes import wait_until

# Refused by the policy after it was accepted in the guest.
RESET = ("ECONNRESET", "end")
NO_CONNECTION = "alert TLSV1_ALERT_ACCESS_DENIED"
LARGE = 10 << 20

INNER = ["loopback", "metadata", "private", "mapped", "nat64", "sixtofour"]


@pytest.fixture(scope="module")
def inside(capsem: Capsem, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inside]:
    with internet(capsem, tmp_path_factory.mktemp("internet")) as scene:
        yield scene


# ---- names and TLS, in one VM

# Each with a name for the tests below.
TRIES: dict[str, list[object]] = {
    "by name": ["tls", "good.example", "good.example"],
    "over IPv4": ["tls", GOOD, "good.example"],
    "TLS 1.2": ["tls", GOOD, "good.example", "TLSv1_2"],
    "TLS 1.3": ["tls", GOOD, "good.example", "TLSv1_3"],
    "HTTP/2": ["tls", GOOD, "good.example", "", "h2"],
    "case": ["tls", "GOOD.Example", "GooD.eXample"],
    "trailing dot": ["tls", "good.example.", "good.example"],
    "curl": ["shell", "curl -sS --cacert /tmp/ca.pem https://good.example/"],
    "alias": ["tls", "alias.example", "alias.example"],
    "addresses": ["resolve", "good.example"],
    "addresses over TCP": ["dns", "192.0.2.1", "good.example", 1, "tcp"],
    "addresses over TCP to a client that has ended": ["dns", "192.0.2.1", "alias.example", 1, "tcp, ended"],
    "addresses from any server": ["dns", "2001:db8::53", "good.example", 28],
    "no name": ["resolve", "other.example"],
    "no name that exists": ["resolve", "missing.example"],
    "an alias's target": ["resolve", "other.example"],
    "HTTPS record": ["dns", "192.0.2.1", "good.example", 65],
    "another's name": ["tls", GOOD, "other.example"],
    "a name at another's address": ["tls", OTHER, "good.example"],
    "no server name": ["tls", GOOD, ""],
    "an address": ["tls", OTHER, ""],
    "another port": ["tcp", GOOD, ECHO, "hello"],
    "no TLS": ["tcp", GOOD, 443, "\u0001hello"],
    "public of both": ["resolve", "both.example"],
    **{name: ["resolve", f"{name}.example", "AF_UNSPEC"] for name in INNER},
    "hosts denied": ["write_hosts", f"{GOOD} other.example"],
    "a denied name in /etc/hosts": ["tls", "other.example", "other.example"],
    "hosts moved": ["write_hosts", f"{OTHER} good.example"],
    "a name moved by /etc/hosts": ["tls", OTHER, "good.example"],
    "UDP": ["udp", "192.0.2.1", 443],
    "UDP over IPv6": ["udp", "2001:db8::1", 443],
    "ping": ["ping", "192.0.2.1"],
    "ping over IPv6": ["ping", "2001:db8::1"],
    "own TCP": ["loopback", "127.0.0.1", "SOCK_STREAM"],
    "own TCP over IPv6": ["loopback", "::1", "SOCK_STREAM"],
    "own UDP": ["loopback", "127.0.0.1", "SOCK_DGRAM"],
    "own UDP over IPv6": ["loopback", "::1", "SOCK_DGRAM"],
    "nobody there": ["tcp", "127.0.0.1", 1],
    "a false argv[0]": ["shell", f"bash -c 'exec -a /usr/bin/innocent curl -sk https://{OTHER}/'"],
    "too late": ["shell", f"cd /tmp && cp /usr/bin/curl evil && ./evil -sk https://{OTHER}:8443/; rm -f evil"],
}


@pytest.fixture(scope="module")
def run(inside: Inside) -> subprocess.CompletedProcess[bytes]:
    allowed = ["good", "alias", "both", *INNER]
    options = [word for name in allowed for word in ("--allow", f"{name}.example")]
    tries = [["shell", f"cat > /tmp/ca.pem <<'end'\n{inside.authority}end\n"], *TRIES.values()]
    result = inside.run(*options, "--show-denied", *probe_words(tries, inside.authority))
    assert result.returncode == 0, result.stderr
    return result


@pytest.fixture(scope="module")
def found(run: subprocess.CompletedProcess[bytes]) -> dict[str, Outcome]:
    return dict(zip(TRIES, outcomes(run.stdout)[1:], strict=True))


@pytest.mark.parametrize("name, answer", [
    ("by name", f"ok {GOOD_IPV6} HTTP/1.1 TLSv1.3"),
    ("over IPv4", f"ok {GOOD} HTTP/1.1 TLSv1.3"),
    ("TLS 1.2", f"ok {GOOD} HTTP/1.1 TLSv1.2"),
    ("TLS 1.3", f"ok {GOOD} HTTP/1.1 TLSv1.3"),
    ("HTTP/2", "ok h2 TLSv1.3"),
    ("case", f"ok {GOOD_IPV6} HTTP/1.1 TLSv1.3"),
    ("trailing dot", f"ok {GOOD_IPV6} HTTP/1.1 TLSv1.3"),
    ("curl", f"exit 0 {GOOD_IPV6} HTTP/2.0 TLSv1.3"),
    ("alias", f"ok {OTHER} HTTP/1.1 TLSv1.3"),
])  # fmt: skip
def test_tls_to_an_allowed_name_is_passed_on(found: dict[str, Outcome], name: str, answer: str) -> None:
    # The authority is the server's, so that nothing has been in between.
    assert found[name].result == answer


def test_an_allowed_name_is_answered_whatever_the_way_and_the_server(found: dict[str, Outcome]) -> None:
    assert found["addresses"].result == f"ok {GOOD}"
    assert found["addresses over TCP"].result == "code 0 with 1"
    assert found["addresses over TCP to a client that has ended"].result == "code 0 with 2"
    assert found["addresses from any server"].result == "code 0 with 1"


def test_another_name_is_none_at_once_and_never_leaves(found: dict[str, Outcome], inside: Inside) -> None:
    for name in ("no name", "no name that exists", "an alias's target"):
        assert found[name].refused_at_once("no name"), found[name]
    assert not {"other.example", "missing.example"} & set(inside.names_asked())
    assert "alias.example" in inside.names_asked()


def test_an_https_record_is_never_given(found: dict[str, Outcome]) -> None:
    assert found["HTTPS record"].result == "code 0 with 0"


@pytest.mark.parametrize("name", [
    "another's name", "a name at another's address", "no server name", "an address",
    "a denied name in /etc/hosts", "a name moved by /etc/hosts",
])  # fmt: skip
def test_tls_to_anything_else_is_ended_by_an_alert(found: dict[str, Outcome], name: str) -> None:
    assert found[name].refused_at_once(NO_CONNECTION), found[name]


@pytest.mark.parametrize("name", ["another port", "no TLS"])
def test_what_is_neither_is_reset(found: dict[str, Outcome], name: str) -> None:
    assert found[name].refused_at_once(*RESET), found[name]


@pytest.mark.parametrize("name", INNER)
def test_a_name_that_leads_to_an_inner_address_has_none(found: dict[str, Outcome], name: str, inside: Inside) -> None:
    assert found[name].refused_at_once("no address"), found[name]
    assert f"{name}.example" in inside.names_asked()


def test_of_inner_and_public_addresses_the_public_ones_are_given(found: dict[str, Outcome]) -> None:
    assert found["public of both"].result == f"ok {GOOD}"


@pytest.mark.parametrize("name", ["UDP", "UDP over IPv6", "ping", "ping over IPv6"])
def test_what_is_not_carried_is_refused_at_once(found: dict[str, Outcome], name: str) -> None:
    assert found[name].result in ("EHOSTUNREACH", "ENETUNREACH", "ECONNREFUSED"), found[name]
    assert found[name].ms < 100


@pytest.mark.parametrize("name", ["own TCP", "own TCP over IPv6", "own UDP", "own UDP over IPv6"])
def test_services_of_a_session_on_loopback_work(found: dict[str, Outcome], name: str) -> None:
    assert found[name].result == "ok hello"


def test_loopback_without_a_service_refuses(found: dict[str, Outcome]) -> None:
    assert found["nobody there"].refused_at_once("ECONNREFUSED")


def test_denials_are_told_as_they_happen(run: subprocess.CompletedProcess[bytes], inside: Inside) -> None:
    lines = run.stderr.decode().splitlines()
    assert all(line.startswith("capsem: warning: the network refused ") for line in lines), lines
    for start, end in [
        ("the name other.example: ", "--allow other.example"),
        ("other.example:443 (/usr/bin/python3.11): no rule is for other.example; ", "--allow other.example"),
        (f"good.example:443 (/usr/bin/python3.11): the address {OTHER} was not given ", ""),
        (f"{GOOD}:443 (/usr/bin/python3.11): its TLS hello names no server", f"--allow {GOOD}"),
        (f"{GOOD}:{ECHO} (/usr/bin/python3.11): ", f"--allow {GOOD}:{ECHO}"),
    ]:
        matching = [line for line in lines if line.startswith(f"capsem: warning: the network refused {start}")]
        assert len(matching) == 1 and matching[0].endswith(end), (start, lines)


def test_a_denial_names_the_executable_and_not_what_it_calls_itself(run: subprocess.CompletedProcess[bytes]) -> None:
    text = run.stderr.decode()
    assert "innocent" not in text
    assert f"refused {OTHER}:8443 (/tmp/evil): " in text


def test_no_refused_connection_has_left(run: subprocess.CompletedProcess[bytes], inside: Inside) -> None:
    assert not [line for line in inside.connections() if line.endswith(f" {ECHO}")]


# ---- other ports, in one VM

PORTS = f"""
[[rule]]
action = "allow"
host = "good.example"
port = [{ECHO}, {GREETS}, {SINK}]
[[rule]]
action = "allow"
host = "{OWN}"
port = {ECHO}
"""


@pytest.fixture(scope="module")
def ports(inside: Inside) -> dict[str, Outcome]:
    tries: dict[str, list[object]] = {
        "before its name": ["tcp", GOOD, ECHO, "hello"],
        "name": ["resolve", "good.example"],
        "name over IPv6": ["resolve", "good.example", "AF_INET6"],
        "echo": ["tcp", GOOD, ECHO, "hello"],
        "echo over IPv6": ["tcp", GOOD_IPV6, ECHO, "hello"],
        "server first": ["tcp", GOOD, GREETS],
        "server alone": ["listen_only", GOOD, GREETS],
        "both ways": ["both_ways", GOOD, ECHO, LARGE],
        "upload": ["upload", GOOD, SINK, LARGE],
        "nobody there": ["tcp", GOOD, 2225, "hello"],
        "another address": ["tcp", OTHER, ECHO, "hello"],
        "the host's own": ["tcp", OWN, ECHO, "hello"],
        "at once": ["at_once", GOOD, ECHO, 200],
    }
    policy = inside.top / "ports.toml"
    policy.write_text(PORTS)
    result = inside.run("--policy", str(policy), *probe_words(list(tries.values())))
    assert (result.returncode, result.stderr) == (0, b"")
    return dict(zip(tries, outcomes(result.stdout), strict=True))


def test_a_rule_for_a_port_is_for_the_addresses_that_its_name_was_given(ports: dict[str, Outcome]) -> None:
    assert ports["before its name"].refused_at_once(*RESET)
    assert ports["echo"].result == ports["echo over IPv6"].result == "ok hellothat was all"
    assert ports["another address"].refused_at_once(*RESET)
    assert ports["nobody there"].refused_at_once(*RESET)


def test_a_rule_for_exactly_that_address_leads_to_the_host_itself(ports: dict[str, Outcome]) -> None:
    assert ports["the host's own"].result == "ok hellothat was all"


def test_a_server_may_speak_first(ports: dict[str, Outcome]) -> None:
    assert ports["server first"].result == "ok 220 ready\n"


def test_a_server_is_heard_by_a_client_that_has_ended_its_side(ports: dict[str, Outcome]) -> None:
    assert ports["server alone"].result == "ok 220 ready\n"


def test_ten_megabytes_go_both_ways_and_the_end_of_one_is_not_that_of_the_other(ports: dict[str, Outcome]) -> None:
    assert ports["both ways"].result == "ok that was all"
    assert ports["upload"].result == f"ok {LARGE}"


def test_two_hundred_connections_at_once(ports: dict[str, Outcome]) -> None:
    assert ports["at once"].result == "ok 200"


# ---- a VM that goes on


@pytest.fixture(scope="module")
def vm(inside: Inside, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inside]:
    environment = registry_in(tmp_path_factory.mktemp("registry"))
    mine = Inside(inside.executable, environment, inside.servers, inside.top)
    output(mine, "run", "--accel", "tcg", "--name", "net", "--detach", "--allow", f"{GOOD}:{ECHO}")
    yield mine
    mine.call("rm", "--force", "net")


def tried(vm: Inside, *tries: list[object]) -> list[Outcome]:
    # Thousands of connections take a while on a busy machine.
    result = vm.call("exec", "net", *probe_words(list(tries)), timeout=400)
    assert (result.returncode, result.stderr) == (0, b"")
    return outcomes(result.stdout)


def in_guest(vm: Inside, command: str) -> str:
    """By one who may look at the guest's services, and end them."""
    result = vm.call("exec", "--privileged", "net", command)
    assert result.returncode == 0, result.stderr
    return result.stdout.decode().strip()


def proxy(vm: Inside) -> str:
    return in_guest(vm, "pgrep -x capsem-net-prox || true")  # as much of a name as the kernel keeps


def descriptors(vm: Inside) -> tuple[int, int]:
    """Of the monitor, and of the proxy in the guest."""
    guest = in_guest(vm, f"ls /proc/{proxy(vm)}/fd | wc -l")
    return len(os.listdir(f"/proc/{monitor(vm)}/fd")), int(guest)


def test_two_thousand_connections_at_once(vm: Inside) -> None:
    # Of the 2,000 that a VM may have some that have just ended may still count.
    assert tried(vm, ["at_once", GOOD, ECHO, 1990])[0].result == "ok 1990"
    peak = in_guest(vm, f"awk '/VmHWM/ {{print $2}}' /proc/{proxy(vm)}/status")
    assert int(peak) < 16 << 10  # KiB


def test_two_thousand_connections_in_a_row_leave_none_behind(vm: Inside) -> None:
    assert tried(vm, ["in_a_row", GOOD, ECHO, 10])[0].result == "ok 10"
    before = descriptors(vm)
    assert tried(vm, ["in_a_row", GOOD, ECHO, 2000])[0].result == "ok 2000"
    wait_until(lambda: descriptors(vm) == before, 20)


def test_a_proxy_that_is_killed_is_started_again(vm: Inside) -> None:
    killed = proxy(vm)
    in_guest(vm, f"kill -KILL {killed}")

    def works() -> bool:
        return tried(vm, ["tcp", GOOD, ECHO, "hello"])[0].result == "ok hellothat was all"

    wait_until(works, 20)
    assert proxy(vm) not in ("", killed)
    assert tried(vm, ["dns", "192.0.2.1", "other.example"])[0].result == "code 3 with 0"
