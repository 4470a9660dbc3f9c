"""The network: loopback works in every way, the host has connections and names, and there is nothing else."""

import contextlib
import errno
import http.server
import socket
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest

from support import LIMIT_S, Shell, wait_until

BODY = b"0123456789" * 1000


class Handler(http.server.BaseHTTPRequestHandler):
    """A little of what web servers do."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def reply(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        part = self.headers.get("Range", "")
        if self.path == "/moved":
            self.reply(302, b"", Location="/body")
        elif self.path == "/body" and part.startswith("bytes="):
            begin = int(part.removeprefix("bytes=").split("-")[0])
            self.reply(206, BODY[begin:], Content_Range=f"bytes {begin}-{len(BODY) - 1}/{len(BODY)}")
        elif self.path == "/body":
            self.reply(200, BODY)
        else:
            self.reply(404, b"nothing here")

    def do_POST(self) -> None:
        self.reply(200, self.rfile.read(int(self.headers["Content-Length"])).upper())


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing: a client that hangs up in the middle is part of a test."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a web server on loopback."""
    with Server(("127.0.0.1", 0), Handler) as served:
        threading.Thread(target=served.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()


def test_curl_fetches(shell: Shell, server: str) -> None:
    assert shell(f"curl -sS {server}/body") == BODY.decode()


def test_curl_sends(shell: Shell, server: str) -> None:
    assert shell(f"curl -sS -d question={'x' * 5000} {server}/") == "QUESTION=" + "X" * 5000


def test_curl_follows_and_continues(shell: Shell, server: str) -> None:
    (shell.directory / "file").write_bytes(BODY[:4000])
    shell(f"curl -sS -L -C - -o file {server}/moved")
    assert (shell.directory / "file").read_bytes() == BODY


def test_curl_tells_what_went_wrong(shell: Shell, server: str) -> None:
    assert shell(f"curl -s -o /dev/null -w '%{{http_code}}' {server}/nothing") == "404"
    shell(f"curl -sf {server}/nothing", status=22)


def test_a_closed_port_refuses_at_once(shell: Shell) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        shell(f"curl -sS http://127.0.0.1:{bound.getsockname()[1]}/", status=7)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_tcp_on_loopback(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as server:
        with socket.create_connection(server.getsockname()[:2], timeout=5) as client:
            accepted, _ = server.accept()
            with accepted:
                client.sendall(b"ping")
                assert accepted.recv(4) == b"ping"


def test_udp_on_loopback() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as server, socket.socket(type=socket.SOCK_DGRAM) as client:
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)
        client.sendto(b"ping", server.getsockname())
        assert server.recvfrom(10)[0] == b"ping"


def test_root_binds_a_low_port() -> None:
    with socket.create_server(("127.0.0.1", 81)):
        pass


def test_names_of_this_machine_are_known() -> None:
    assert socket.gethostbyname("localhost") == "127.0.0.1"
    assert socket.gethostbyname("capsem").startswith("127.")


def test_netcat_listens_and_ss_shows_it(shell: Shell) -> None:
    socket_path = shell.directory / "s"
    with subprocess.Popen(["nc", "-lU", socket_path], stdout=subprocess.PIPE) as server:
        wait_until(lambda: str(socket_path) in shell("ss -xlH"), "ss shows the socket")
        shell("nc -NU s", stdin="hello")
        assert server.communicate(timeout=LIMIT_S)[0] == b"hello"


def test_ping_answers_on_loopback(shell: Shell) -> None:
    assert "1 received" in shell("ping -n -c1 -W5 127.0.0.1")


def test_loopback_is_the_only_interface(shell: Shell) -> None:
    assert shell("ip -br link | cut -d' ' -f1") == "lo\n"


# Addresses that belong to nobody (RFC 5737, RFC 3849), so that no rule has reason to allow them.
@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_a_connection_to_the_world_is_ended_by_the_host(address: str) -> None:
    begin = time.monotonic()
    with socket.create_connection((address, 443), timeout=30) as connection:
        with contextlib.suppress(ConnectionResetError):
            connection.sendall(b"\n")
            assert connection.recv(1) == b""
    assert time.monotonic() - begin < 10


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
@pytest.mark.parametrize("port", [9, 123, 443])
def test_a_datagram_to_the_world_is_refused_at_once(address: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        with pytest.raises(OSError) as refused:
            sender.sendto(b"x", (address, port))
    assert refused.value.errno == errno.EHOSTUNREACH


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_ping_of_the_world_is_refused_at_once(shell: Shell, address: str) -> None:
    begin = time.monotonic()
    shell(f"ping -n -c1 -W30 {address}", status=2)
    assert time.monotonic() - begin < 10


def test_curl_is_told_that_it_may_not(shell: Shell) -> None:
    to_nobody = "--resolve capsem.invalid:443:192.0.2.1 --resolve capsem.invalid:80:192.0.2.1"
    assert "alert" in shell(f"curl -sS {to_nobody} https://capsem.invalid/ 2>&1; true")
    plain = shell(f"curl -sS -w '%{{http_code}}' {to_nobody} http://capsem.invalid/")
    assert "capsem.invalid" in plain and plain.strip().endswith("403")


def test_a_name_without_a_rule_is_unknown_at_once() -> None:
    begin = time.monotonic()
    with pytest.raises(socket.gaierror) as refused:
        socket.getaddrinfo("capsem doctor.invalid", 80)
    assert refused.value.errno == socket.EAI_NONAME
    assert time.monotonic() - begin < 10


def query(name: str) -> bytes:
    """A question for the address of `name`, as RFC 1035 has it."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return bytes.fromhex("1234 0100 0001 0000 0000 0000") + labels + bytes.fromhex("00 0001 0001")


@pytest.mark.parametrize("server", ["192.0.0.8", "192.0.2.53", "2001:db8::53"])
def test_a_query_to_any_server_is_answered(server: str) -> None:
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    question = query("capsem doctor.invalid")
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(LIMIT_S)
        client.connect((server, 53))
        client.send(question)
        over_udp = client.recv(512)
    with socket.create_connection((server, 53), timeout=LIMIT_S) as stream:
        stream.sendall(len(question).to_bytes(2) + question)
        over_tcp = stream.makefile("rb").read(2 + len(over_udp))[2:]
    for answer in (over_udp, over_tcp):
        assert answer[:2] == question[:2]
        assert answer[3] & 15 == 3  # NXDOMAIN


def test_a_resolver_of_ones_own_has_port_53_of_loopback() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as server, socket.socket(type=socket.SOCK_DGRAM) as client:
        server.bind(("127.0.0.1", 53))
        server.settimeout(LIMIT_S)
        client.connect(("127.0.0.1", 53))
        client.send(b"question")
        text, asker = server.recvfrom(512)
        server.sendto(b"answer", asker)
        client.settimeout(LIMIT_S)
        assert (text, client.recv(512)) == (b"question", b"answer")


@pytest.mark.parametrize(
    "change",
    [
        "ip route add 203.0.113.0/24 dev lo",
        "ip -6 route add 2001:db8::/32 dev lo",
        "ip route del unreachable default",
        "ip rule add priority 1 table main",
        "ip address add 203.0.113.1/32 dev lo",
        "ip link add d0 type dummy",
        "ip link set lo down",
    ],
)
def test_the_network_cannot_be_changed(shell: Shell, change: str) -> None:
    assert "Operation not permitted" in shell(f"{change} 2>&1", status=2)


def test_its_traffic_is_seen_by_who_may_listen() -> None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as listener:
        listener.settimeout(LIMIT_S)
        with socket.socket(type=socket.SOCK_DGRAM) as sender:
            sender.sendto(b"something to see", ("127.0.0.1", 9))
        while b"something to see" not in (frame := listener.recvfrom(2048))[0]:
            pass
        assert frame[1][0] == "lo"


def test_a_network_of_ones_own_leads_nowhere(shell: Shell) -> None:
    inside = "ip -br link | cut -d' ' -f1; ip link set lo up; curl -sS http://192.0.2.1/"
    interfaces, *_, refused = shell(f'unshare -Urn sh -c "{inside}" 2>&1', status=7).splitlines()
    assert interfaces == "lo"
    assert "connect to" in refused
