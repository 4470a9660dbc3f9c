"""Run within a network and mount namespace of its own, which is the host's: with its name server and services of
its own, and a link to another network namespace with the "Internet" that it makes: nginx and services that speak
first, echo or refuse. Says "ready", and ends when its standard input does.

Argument: a directory, which gets what the guest trusts (ca.pem), the names that were asked of the name
server (names.log) and the connections to the plain services (connections.log)."""

import ctypes
import ipaddress
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import http2_server

GOOD = "93.184.216.34"
GOOD_IPV6 = "2606:2800:220:1::34"
OTHER = "93.184.216.35"
ADDRESSES = [GOOD, OTHER, GOOD_IPV6]
# Public ones that the host itself has.
OWN, OWN_IPV6 = "93.184.216.40", "2606:2800:220:1::40"
OWN_ADDRESSES = [OWN, OWN_IPV6, "127.0.0.1"]

# Whose files are in a folder of that name in {top}/www.
SITES = ["deb.debian.org", "pypi.org", "files.pythonhosted.org", "github.com"]

# By name: its addresses, or the name that it is an alias of.
ZONE: dict[str, list[str] | str] = {
    "good.example": [GOOD, GOOD_IPV6],
    "other.example": [OTHER],
    "alias.example": "other.example",
    "wrong.example": [OTHER],  # has no certificate
    "api.openai.com": [OTHER],
    **{name: [GOOD] for name in SITES},
    "http2.example": [OTHER],
    "loopback.example": ["127.0.0.1", "::1"],
    "metadata.example": ["169.254.169.254"],
    "private.example": ["10.0.0.1"],
    "mapped.example": ["::ffff:10.0.0.1"],
    "nat64.example": ["64:ff9b::a00:1"],
    "sixtofour.example": ["2002:a00:1::1"],
    "both.example": ["127.0.0.1", GOOD],
    "own.example": [OWN, OWN_IPV6],
    **{f"n{i}.tunnel.example": [GOOD] for i in range(400)},
}

ECHO, GREETS, SINK = 2222, 2223, 2224
HTTP2 = 8443

NGINX = """
daemon off; user root; worker_processes 1; pid {top}/nginx.pid; error_log {top}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_body_temp_path {top}/body; proxy_temp_path {top}/proxy;
  fastcgi_temp_path {top}/fastcgi; uwsgi_temp_path {top}/uwsgi; scgi_temp_path {top}/scgi;
  client_max_body_size 0;
  server {{
    listen {good}:80; listen [{good6}]:80; listen {other}:80;
    listen {good}:443 ssl http2; listen [{good6}]:443 ssl http2; listen {other}:443 ssl;
    ssl_certificate {top}/cert.pem; ssl_certificate_key {top}/key.pem; ssl_protocols TLSv1.2 TLSv1.3;
    location /public/files/ {{ root {top}; dav_methods PUT; create_full_put_path on; }}
    location / {{ return 200 "$server_addr $server_protocol $ssl_protocol\\n"; }}
    location /echo {{
      add_header X-Echo $http_x_key;
      return 200 "key=$http_x_key authorization=$http_authorization args=$args\\n";
    }}
    location /v1/chat/completions {{
      default_type application/json;
      return 200 '{{"model": "gpt-5", "usage": {{"prompt_tokens": 12, "completion_tokens": 3}}}}';
    }}
  }}
  server {{
    listen {good}:80; listen {good}:443 ssl http2; server_name {sites}; root {top}/www/$host;
    ssl_certificate {top}/cert.pem; ssl_certificate_key {top}/key.pem;
    types {{ text/html html; }}
    index index.html;
  }}
}}
"""


def run(*words: object) -> None:
    subprocess.run([str(word) for word in words], check=True, capture_output=True)


def make_certificates(top: Path) -> None:
    names = ",".join(f"DNS:{name}" for name in ("good.example", "other.example", "alias.example", "api.openai.com", "http2.example", *SITES))
    (top / "extensions").write_text(f"subjectAltName={names}\n")
    elliptic = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    run("openssl", "req", "-x509", *elliptic, "-subj", "/CN=test authority", "-days", 2,
        "-keyout", top / "ca.key", "-out", top / "ca.pem")  # fmt: skip
    run("openssl", "req", *elliptic, "-subj", "/CN=server", "-keyout", top / "key.pem", "-out", top / "request")
    run("openssl", "x509", "-req", "-in", top / "request", "-CA", top / "ca.pem", "-CAkey", top / "ca.key",
        "-set_serial", 1, "-days", 2, "-extfile", top / "extensions", "-out", top / "cert.pem")  # fmt: skip


# ---- names


def question(query: bytes) -> tuple[str, int, int]:
    """The name in lower case, the type, and where the question ends."""
    at, labels = 12, []
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode())
        at += 1 + query[at]
    return ".".join(labels).lower(), int.from_bytes(query[at + 1 : at + 3], "big"), at + 5


def record(owner: bytes, kind: int, data: bytes) -> bytes:
    return owner + kind.to_bytes(2, "big") + b"\0\1\0\0\0\x3c" + len(data).to_bytes(2, "big") + data


def encoded(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def answer(query: bytes, log: Callable[[str], None]) -> bytes:
    name, kind, end = question(query)
    log(name)
    found = ZONE.get(name)
    records, owner = [], b"\xc0\x0c"
    if isinstance(found, str):
        records.append(record(owner, 5, encoded(found)))
        owner, found = encoded(found), ZONE[found]
    for each in map(ipaddress.ip_address, found or []):
        if kind == {4: 1, 6: 28}[each.version]:
            records.append(record(owner, kind, each.packed))
    code = 0 if found else 3
    head = query[:2] + bytes([0x81, 0x80 | code]) + b"\0\1" + len(records).to_bytes(2, "big") + bytes(4)
    return head + query[12:end] + b"".join(records)


def serve_names(log: Callable[[str], None]) -> None:
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("127.0.0.1", 53))

    def serve_datagrams() -> None:
        while True:
            query, asker = datagrams.recvfrom(4096)
            datagrams.sendto(answer(query, log), asker)

    def serve_stream(connection: socket.socket) -> None:
        size = int.from_bytes(connection.recv(2, socket.MSG_WAITALL), "big")
        reply = answer(connection.recv(size, socket.MSG_WAITALL), log)
        connection.sendall(len(reply).to_bytes(2, "big") + reply)

    listen("127.0.0.1", 53, serve_stream)
    threading.Thread(target=serve_datagrams, daemon=True).start()


# ---- plain services


def listen(address: str, port: int, serve: Callable[[socket.socket], None]) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.create_server((address, port), family=family, backlog=1024)

    def serve_one(connection: socket.socket) -> None:
        with connection:
            try:
                serve(connection)
            except OSError:
                pass  # a client that is gone

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve_one, args=[connection], daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def listen_to_datagrams(address: str, port: int, log: Callable[[str], None]) -> None:
    datagrams = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind((address, port))

    def receive() -> None:
        while True:
            datagrams.recvfrom(4096)
            log(f"{address} {port} udp")

    threading.Thread(target=receive, daemon=True).start()


def echo(connection: socket.socket) -> None:
    """Until the client has ended, and then says so itself."""
    while data := connection.recv(1 << 16):
        connection.sendall(data)
    connection.sendall(b"that was all")


def greet(connection: socket.socket) -> None:
    connection.sendall(b"220 ready\n")
    connection.recv(100)


def sink(connection: socket.socket) -> None:
    """Reads all, and only then answers how much it was."""
    size = 0
    while data := connection.recv(1 << 16):
        size += len(data)
    connection.sendall(str(size).encode())


# ---- the two networks


# Of the link between them: the host's end, and the other. No address of the Internet's.
LINK = [("198.18.0.1", "198.18.0.2", 30), ("fd12:3456::1", "fd12:3456::2", 64)]
NETWORKS = ["93.184.216.0/24", "2606:2800:220:1::/64"]


def add_address(address: str, device: str, bits: int = 0) -> None:
    is_ipv6 = ":" in address
    run("ip", "address", "add", f"{address}/{bits or (128 if is_ipv6 else 32)}", "dev", device, *(["nodad"] if is_ipv6 else []))


def make_internet() -> None:
    """Moves this thread into a namespace of its own, which the host's has a link to."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.unshare(0x40000000) != 0:  # CLONE_NEWNET
        raise OSError(ctypes.get_errno(), "unshare")
    run("ip", "link", "add", "internet", "type", "veth", "peer", "name", "uplink", "netns", os.getpid())
    for device in ("lo", "internet"):
        run("ip", "link", "set", device, "up")
    for _, theirs, bits in LINK:
        add_address(theirs, "internet", bits)
    for address in ADDRESSES:
        add_address(address, "lo")


def make_host() -> None:
    for device in ("lo", "uplink"):
        run("ip", "link", "set", device, "up")
    for (ours, theirs, bits), network in zip(LINK, NETWORKS, strict=True):
        add_address(ours, "uplink", bits)
        run("ip", "route", "add", network, "via", theirs)
    for address in (OWN, OWN_IPV6):
        add_address(address, "lo")


def within_internet(serve: Callable[[], None]) -> None:
    """Calls it in another thread, which makes the namespace before; what that opens stays there."""
    failed: list[BaseException] = []

    def enter() -> None:
        try:
            make_internet()
            serve()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


def main() -> None:
    top = Path(sys.argv[1])
    (top / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    run("mount", "--bind", top / "resolv.conf", "/etc/resolv.conf")
    make_certificates(top)

    lock = threading.Lock()

    def logger(file: str) -> Callable[[str], None]:
        log = open(top / file, "w", buffering=1)

        def write(line: str) -> None:
            with lock:
                log.write(line + "\n")

        return write

    connected = logger("connections.log")

    def logged(serve: Callable[[socket.socket], None]) -> Callable[[socket.socket], None]:
        def serve_and_log(connection: socket.socket) -> None:
            address, port = connection.getsockname()[:2]
            connected(f"{address} {port}")
            serve(connection)

        return serve_and_log

    def serve_on(addresses: list[str]) -> None:
        for address in addresses:
            for port, serve in [(ECHO, echo), (GREETS, greet), (SINK, sink)]:
                listen(address, port, logged(serve))

    (top / "nginx.conf").write_text(NGINX.format(top=top, sites=" ".join(SITES), good=GOOD, good6=GOOD_IPV6, other=OTHER))
    started: list[subprocess.Popen[bytes]] = []

    def serve_internet() -> None:
        for address in ADDRESSES:
            for port in (9, 443, 5353):
                listen_to_datagrams(address, port, connected)
        serve_on(ADDRESSES)
        listen(OTHER, HTTP2, lambda connection: http2_server.serve(top, connection))
        started.append(subprocess.Popen(
            ["nginx", "-c", top / "nginx.conf"], stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
        ))  # fmt: skip

    within_internet(serve_internet)
    (nginx,) = started
    try:
        make_host()
        serve_names(logger("names.log"))
        serve_on(OWN_ADDRESSES)
        for address in OWN_ADDRESSES:
            for port in (80, 443):
                listen(address, port, logged(echo))
        while not (top / "nginx.pid").exists() or not (top / "nginx.pid").read_text():
            if nginx.poll() is not None:
                sys.exit("nginx has ended")
        print("ready", flush=True)
        sys.stdin.read()
    finally:
        nginx.terminate()
        nginx.wait()


if __name__ == "__main__":
    main()
