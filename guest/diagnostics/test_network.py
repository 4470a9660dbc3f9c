"""The network: loopback works in every way, and there is nothing else."""

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


def test_the_world_is_unreachable_at_once() -> None:
    begin = time.monotonic()
    with pytest.raises(OSError, match="unreachable"):
        socket.create_connection(("192.0.2.1", 80), timeout=30)
    assert time.monotonic() - begin < 10


def test_names_of_the_world_are_refused_at_once() -> None:
    begin = time.monotonic()
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("example.com", 80)
    assert time.monotonic() - begin < 10
