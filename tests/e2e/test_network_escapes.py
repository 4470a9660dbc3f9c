"""Ways out that a session might try past its network's policy: a row each, all in one VM, and none leads out."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from conftest import Capsem
from network_scene import Inside, Outcome, internet, outcomes, probe_words
from network_servers import ECHO, GOOD, GOOD_IPV6, OTHER, OWN, OWN_IPV6

ALERT = "alert TLSV1_ALERT_ACCESS_DENIED"
RESET = ("ECONNRESET", "end")
UNREACHABLE = ("EHOSTUNREACH", "ENETUNREACH")
FORBIDDEN = ("EPERM", "EACCES")
NOT_REACHED = (*UNREACHABLE, *FORBIDDEN)


@dataclass
class Row:
    what: str
    tried: list[object]  # network_probe.py
    results: tuple[str, ...]  # any of these


def command(text: str) -> list[object]:
    """That must fail; its output is not looked at."""
    return ["shell", f"({text}) >/dev/null 2>&1 || echo no way"]


NO_WAY = ("exit 0 no way",)

# 93.184.216.35, which no rule allows; and what only looks like it could be an inner address of the host.
SPELLINGS = [
    "1572395043", "0x5db8d823", "0135.0270.0330.043", "0x5d.0xb8.0xd8.0x23", "93.184.55331", "93.12113955",
    "::ffff:93.184.216.35", "::ffff:5db8:d823",
]  # fmt: skip
IPV6_SPELLINGS = ["64:ff9b::5db8:d823", "2002:5db8:d823::1", "::5db8:d823", "2606:2800:0220:0001:0:0:0:35"]
OWN_LOOPBACK = ["127.1", "0x7f.1", "2130706433", "017700000001", "0", "::ffff:127.0.0.1", "localhost"]
NO_NAMES = ["0x7f.1", "127.1", "2130706433", "0177.0.0.1", "127.0.0.1", "fe80::1%eth0", "127.0.0.1.example"]


def open_message(token: bytes, port: int) -> str:
    """What the guest's proxy begins a connection with, but for the token: capsem.proto, GuestNet."""
    address = bytes(int(part) for part in GOOD.split("."))
    body = b"\x0a" + bytes([len(token)]) + token + b"\x12\x04" + address + b"\x18" + bytes([port & 127 | 128, port >> 7])
    envelope = b"\x0a" + bytes([len(body)]) + body
    return (len(envelope).to_bytes(4, "little") + envelope + b"hello").hex()


def dns_message(token: bytes) -> str:
    body = b"\x0a" + bytes([len(token)]) + token
    envelope = b"\x0a" + bytes([len(body)]) + body
    return (len(envelope).to_bytes(4, "little") + envelope).hex()


# ip(7), RFC 791, section 3.1: loose and strict source routes over 127.0.0.1, record route.
LOOSE, STRICT, RECORD = "8307047f00000100", "8907047f00000100", "0707040000000000"
# RFC 8200, section 4: the first byte says that UDP follows.
HOP_BY_HOP, DESTINATION, FRAGMENT = "1100010400000000", "1100010400000000", "1100000100000007"
ROUTING = "1102000100000000" + "0" * 31 + "1"

ROWS = [
    *(Row(f"address as {text}", ["tls", text, ""], (ALERT,)) for text in SPELLINGS + IPV6_SPELLINGS),
    *(Row(f"allowed name at {text}", ["tls", text, "good.example"], (ALERT,)) for text in SPELLINGS + IPV6_SPELLINGS),
    *(Row(f"own loopback as {text}", ["tls", text, ""], ("ECONNREFUSED",)) for text in OWN_LOOPBACK),
    *(Row(f"name {text}", ["dns", "192.0.2.1", text], ("code 3 with 0",)) for text in NO_NAMES),
    Row("link-local with a zone", ["tls", "fe80::1%lo", ""], (ALERT, "EINVAL", *UNREACHABLE)),
    Row("metadata by address", ["tcp", "169.254.169.254", 80, "hello"], RESET),
    Row("QEMU's usual address of the host", ["tls", "10.0.2.2", ""], (ALERT,)),
    # Of which a name that is allowed may resolve to all, and a rule for a network has all.
    *(Row(f"the host's own {address}", ["tls", address, name], (ALERT,))
      for address in (OWN, OWN_IPV6, "own.example") for name in ("own.example", "good.example", "")),
    Row("the host's own address, HTTP", ["shell", f"curl -s -o /dev/null -w '%{{http_code}}' http://own.example/"], ("exit 0 403",)),
    *(Row(f"the host's own {address} on port {ECHO}", ["tcp", address, ECHO, "hello"], RESET) for address in (OWN, OWN_IPV6)),

    Row("QUIC", ["udp", GOOD, 443], UNREACHABLE),
    Row("QUIC over IPv6", ["udp", GOOD_IPV6, 443], UNREACHABLE),
    Row("multicast names", ["udp", "224.0.0.251", 5353], UNREACHABLE),
    Row("a broadcast", ["udp", "255.255.255.255", 9], NOT_REACHED),

    Row("packets on the link", ["packet", OTHER, ECHO], ("sent", *FORBIDDEN)),
    Row("a packet by hand", ["raw_ipv4", GOOD], NOT_REACHED),
    Row("a first fragment", ["raw_ipv4", GOOD, "", 0x2000], NOT_REACHED),
    Row("a last fragment", ["raw_ipv4", GOOD, "", 0x0001], NOT_REACHED),
    Row("a loose source route", ["raw_ipv4", GOOD, LOOSE], NOT_REACHED),
    Row("a strict source route", ["raw_ipv4", GOOD, STRICT], NOT_REACHED),
    Row("record route", ["raw_ipv4", GOOD, RECORD], NOT_REACHED),
    Row("a connection with a source route", ["tcp_with_options", OTHER, ECHO, LOOSE], ("nothing came", *NOT_REACHED)),
    Row("a connection with record route", ["tcp_with_options", OTHER, ECHO, RECORD], RESET),
    Row("hop-by-hop options", ["raw_ipv6", GOOD_IPV6, 0, HOP_BY_HOP], NOT_REACHED),
    Row("destination options", ["raw_ipv6", GOOD_IPV6, 60, DESTINATION], NOT_REACHED),
    Row("a routing header", ["raw_ipv6", GOOD_IPV6, 43, ROUTING], NOT_REACHED),
    Row("a fragment header", ["raw_ipv6", GOOD_IPV6, 44, FRAGMENT], NOT_REACHED),
    Row("ICMP", ["ping", GOOD], NOT_REACHED),
    Row("ICMPv6", ["ping", GOOD_IPV6], NOT_REACHED),

    *(Row(f"netlink: {kind}", ["netlink", kind], FORBIDDEN) for kind in ("route", "rule", "link", "new link")),
    Row("ip address", command(f"ip address add {OTHER} dev lo"), NO_WAY),
    Row("ip route", command("ip route flush table main"), NO_WAY),
    Row("ip rule", command("ip rule del priority 100"), NO_WAY),
    Row("an address that is not its own", ["transparent", GOOD, OTHER, ECHO], (*RESET, *FORBIDDEN)),
    Row("the machine's network", ["join_network", "/proc/1/ns/net"], (*FORBIDDEN, "ENOENT")),
    Row("a network of its own", command(f"unshare -Urn curl -sk -m 5 https://{GOOD}/"), NO_WAY),
    Row("a cable to a network of its own", command("unshare -Ur ip link add v0 type veth peer name v1"), NO_WAY),
    Row("capabilities of a namespace of its own", command("unshare -Ur ip route del default"), NO_WAY),
    Row("links", ["links"], ("ok lo",)),

    Row("a second resolver", ["dns", "8.8.8.8", "other.example"], ("code 3 with 0",)),
    Row("a second resolver over IPv6", ["dns", "2001:4860:4860::8888", "other.example"], ("code 3 with 0",)),
    Row("a second resolver over TCP", ["dns", "8.8.8.8", "other.example", 1, "tcp"], ("code 3 with 0",)),
    Row("DNS over TLS", ["tcp", "1.1.1.1", 853, "hello"], RESET),
    Row("DNS over HTTPS", ["tls", "1.1.1.1", "cloudflare-dns.com"], (ALERT,)),
    Row("no DNS on its port", ["not_dns", GOOD, "carry this out"], ("nothing came", "code 4 with 0")),
    Row("a record of text", ["dns", "192.0.2.1", "n1.tunnel.example", 16], ("code 0 with 0",)),
    Row("a long name", ["dns", "192.0.2.1", ".".join(["x" * 63] * 4) + ".tunnel.example"], ("nothing came", "code 1 with 0", "code 3 with 0")),
    Row("many names of one domain", ["tunnel", 400], ("ok 256",)),

    *(Row(f"the host's port {port} without the token", ["pretend", port, message], ("end", *RESET, *FORBIDDEN, "ENODEV"))
      for port, message in [(5002, open_message(b"", ECHO)), (5002, open_message(bytes(32), ECHO)),
                            (5007, dns_message(bytes(32))), (5002, "ffffffff"), (5007, "ffffffff")]),
]  # fmt: skip


@pytest.fixture(scope="module")
def scene(capsem: Capsem, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inside]:
    with internet(capsem, tmp_path_factory.mktemp("internet")) as made:
        yield made


@pytest.fixture(scope="module")
def run(scene: Inside) -> subprocess.CompletedProcess[bytes]:
    # The name is asked for, so that its address is one that the guest may know.
    tries: list[list[object]] = [["resolve", "good.example"], ["resolve", "own.example"], *(row.tried for row in ROWS), ["tls", GOOD, "good.example"]]
    options = ["--allow", "good.example", "--allow", "*.tunnel.example"]
    options += ["--allow", "own.example", "--allow", f"own.example:{ECHO}", "--allow", f"93.184.216.40/29:{ECHO}"]
    result = scene.run(*options, *probe_words(tries, scene.authority))
    assert result.returncode == 0, result.stderr
    return result


@pytest.fixture(scope="module")
def found(run: subprocess.CompletedProcess[bytes]) -> list[Outcome]:
    first, _, *tried, last = outcomes(run.stdout)
    # What is allowed works before and after.
    assert first.result.startswith("ok ") and last.result.startswith("ok "), (first, last)
    return tried


@pytest.mark.parametrize("number", range(len(ROWS)), ids=[row.what for row in ROWS])
def test_there_is_no_way_out(found: list[Outcome], number: int) -> None:
    assert found[number].result in ROWS[number].results, found[number]


def test_nothing_has_come_out(found: list[Outcome], scene: Inside) -> None:
    assert scene.connections() == []
    names = set(scene.names_asked())
    assert len([name for name in names if name.endswith(".tunnel.example")]) <= 256
    assert {name for name in names if not name.endswith(".tunnel.example")} == {"good.example", "own.example"}


def test_no_try_kept_the_guest_waiting(found: list[Outcome]) -> None:
    slow = {row.what: each.ms for row, each in zip(ROWS, found) if each.ms > 2000 and row.tried[0] != "tunnel"}
    # Which its own kernel drops.
    assert set(slow) <= {"a connection with a source route"}
