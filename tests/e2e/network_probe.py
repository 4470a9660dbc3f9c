"""Run in the guest: tries to reach things, and prints a line of JSON for each try: its result in words ("ok ...",
the name of an errno, "alert ...", "end") and how many milliseconds it took.

Arguments: a JSON list of tries, each the name of a function below and its arguments; and what is to be trusted."""

import contextlib
import ctypes
import errno
import json
import os
import resource
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable

LIMIT_S = 8.0
AUTHORITY = sys.argv[2] if len(sys.argv) > 2 else ""


def family_of(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def connected(address: str, port: int) -> socket.socket:
    made = socket.socket(family_of(address), socket.SOCK_STREAM)
    made.settimeout(LIMIT_S)
    made.connect((address, port))
    return made


def looked_up(name: str) -> str:
    """As the C library does, for which an address has many spellings."""
    with contextlib.suppress(OSError):
        socket.inet_pton(family_of(name), name)
        return name
    return str(socket.getaddrinfo(name, 443, type=socket.SOCK_STREAM)[0][4][0])


def read_all(stream: socket.socket) -> bytes:
    text = b""
    while piece := stream.recv(1 << 16):
        text += piece
    return text


# ---- what is carried


def tls(address: str, name: str, version: str = "", protocol: str = "") -> str:
    """A request over TLS for `name` at `address`, which is looked up when it is a name."""
    context = ssl.create_default_context(cadata=AUTHORITY)
    context.check_hostname = name != ""
    if version:
        context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    if protocol:
        context.set_alpn_protocols([protocol])
    with context.wrap_socket(connected(looked_up(address), 443), server_hostname=name or None) as stream:
        if protocol == "h2":
            return f"ok {stream.selected_alpn_protocol()} {stream.version()}"
        stream.sendall(f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
        return "ok " + read_all(stream).decode().partition("\r\n\r\n")[2].strip()


def resolve(name: str, family: str = "AF_INET") -> str:
    return "ok " + " ".join(sorted({str(row[4][0]) for row in socket.getaddrinfo(name, 443, socket.AddressFamily[family])}))


def tcp(address: str, port: int, said: str = "") -> str:
    """All that comes, or the server's first words when the client has none."""
    with connected(address, port) as stream:
        if said:
            with contextlib.suppress(OSError):  # what is read tells of it
                stream.sendall(said.encode())
                stream.shutdown(socket.SHUT_WR)
        text = read_all(stream) if said else stream.recv(100)
        return "ok " + text.decode() if text else "end"


def listen_only(address: str, port: int) -> str:
    """What a server says to a client that has ended its side without a word."""
    with connected(address, port) as stream:
        stream.shutdown(socket.SHUT_WR)
        text = read_all(stream)
        return "ok " + text.decode() if text else "end"


def both_ways(address: str, port: int, size: int) -> str:
    """Sends and receives at the same time, ends its side, and hears the server's last words."""
    data = os.urandom(1 << 16) * (size >> 16)
    with connected(address, port) as stream:

        def send() -> None:
            with contextlib.suppress(OSError):  # what is read tells of it
                stream.sendall(data)
                stream.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        text = read_all(stream)
        sender.join()
    return "ok " + text[size:].decode() if text[:size] == data else "other bytes"


def upload(address: str, port: int, size: int) -> str:
    with connected(address, port) as stream:
        stream.sendall(bytes(size))
        stream.shutdown(socket.SHUT_WR)
        return "ok " + read_all(stream).decode()


def at_once(address: str, port: int, count: int) -> str:
    """So many connections that are all open, and then all used."""
    resource.setrlimit(resource.RLIMIT_NOFILE, [resource.getrlimit(resource.RLIMIT_NOFILE)[1]] * 2)
    with contextlib.ExitStack() as all_streams:
        streams = [all_streams.enter_context(connected(address, port)) for _ in range(count)]
        for number, stream in enumerate(streams):
            stream.sendall(f"number {number}".encode())
        right = 0
        for number, stream in enumerate(streams):
            stream.shutdown(socket.SHUT_WR)
            right += read_all(stream) == f"number {number}that was all".encode()
    return f"ok {right}"


def in_a_row(address: str, port: int, count: int) -> str:
    right = 0
    for _ in range(count):
        with connected(address, port) as stream:
            stream.sendall(b"hello")
            right += stream.recv(100) == b"hello"
    return f"ok {right}"


def loopback(address: str, kind: str) -> str:
    """A service of the session itself."""
    with socket.socket(family_of(address), socket.SocketKind[kind]) as server:
        server.bind((address, 0))
        server.settimeout(LIMIT_S)
        with socket.socket(family_of(address), socket.SocketKind[kind]) as client:
            if kind == "SOCK_STREAM":
                server.listen()
                client.connect(server.getsockname())
                taken, _ = server.accept()
                client.sendall(b"hello")
                with taken:
                    return "ok " + taken.recv(100).decode()
            client.sendto(b"hello", server.getsockname())
            return "ok " + server.recv(100).decode()


def write_hosts(line: str) -> str:
    with open("/etc/hosts", "a") as hosts:
        hosts.write(line + "\n")
    return "ok"


def shell(command: str) -> str:
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=30)
    return f"exit {done.returncode} {done.stdout}{done.stderr}".strip()


# ---- what is not


def udp(address: str, port: int, said: str = "hello") -> str:
    with socket.socket(family_of(address), socket.SOCK_DGRAM) as datagrams:
        datagrams.settimeout(1)
        datagrams.connect((address, port))
        datagrams.send(said.encode())
        return "ok " + datagrams.recv(4096).decode("latin-1")


def ping(address: str) -> str:
    """An echo request by a raw socket."""
    is_ipv4 = family_of(address) == socket.AF_INET
    protocol = socket.IPPROTO_ICMP if is_ipv4 else socket.IPPROTO_ICMPV6
    with socket.socket(family_of(address), socket.SOCK_RAW, protocol) as raw:
        raw.settimeout(1)
        raw.sendto(struct.pack(">BBHHH", 8 if is_ipv4 else 128, 0, 0xF7FD, 1, 1), (address, 0))
        return f"ok {len(raw.recv(100))}"


def dns_query(name: str, kind: int = 1) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"
    return b"\x12\x34\x01\0\0\x01" + bytes(6) + labels + struct.pack(">HH", kind, 1)


def dns_result(reply: bytes) -> str:
    return f"code {reply[3] & 15} with {struct.unpack('>H', reply[6:8])[0]}"


def dns(server: str, name: str, kind: int = 1, transport: str = "udp") -> str:
    """Asks this server by hand."""
    query = dns_query(name, kind)
    if transport == "udp":
        with socket.socket(family_of(server), socket.SOCK_DGRAM) as datagrams:
            datagrams.settimeout(LIMIT_S)
            datagrams.sendto(query, (server, 53))
            reply, answerer = datagrams.recvfrom(4096)
            assert answerer[0] == server
            return dns_result(reply)
    with connected(server, 53) as stream:
        stream.sendall(struct.pack(">H", len(query)) + query)
        if transport == "tcp, ended":
            stream.shutdown(socket.SHUT_WR)
        stream.recv(2, socket.MSG_WAITALL)
        return dns_result(stream.recv(4096))


def not_dns(server: str, said: str) -> str:
    """Something else on the port of DNS."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.settimeout(1)
        datagrams.sendto(said.encode(), (server, 53))
        return dns_result(datagrams.recv(4096))


def tunnel(count: int) -> str:
    """Asks for so many names of one domain at once: how many of them were answered with an address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.settimeout(LIMIT_S)
        given = 0
        for number in range(count):
            datagrams.sendto(dns_query(f"n{number}.tunnel.example"), ("192.0.2.53", 53))
            given += dns_result(datagrams.recv(4096)) == "code 0 with 1"
    return f"ok {given}"


def pretend(port: int, message: str) -> str:
    """To the host past the proxy, with a message in hexadecimal digits."""
    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as stream:
        stream.settimeout(LIMIT_S)
        stream.connect((socket.VMADDR_CID_HOST, port))
        stream.sendall(bytes.fromhex(message))
        text = stream.recv(100)
        return "ok " + text.hex() if text else "end"


def checksum(data: bytes) -> int:
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def ipv4(to: str, protocol: int, payload: bytes, options: bytes = b"", fragment: int = 0) -> bytes:
    words = 5 + len(options) // 4
    head = struct.pack(
        ">BBHHHBBH4s4s", 0x40 | words, 0, 4 * words + len(payload), 7, fragment, 64, protocol, 0,
        socket.inet_aton("127.0.0.1"), socket.inet_aton(to),
    )  # fmt: skip
    head += options
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def datagram(port: int) -> bytes:
    return struct.pack(">HHHH", 40000, port, 12, 0) + b"evil"


def raw_ipv4(to: str, options: str = "", fragment: int = 0) -> str:
    """A UDP datagram put together by hand."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        raw.sendto(ipv4(to, socket.IPPROTO_UDP, datagram(9), bytes.fromhex(options), fragment), (to, 0))
    return "sent"


def raw_ipv6(to: str, next_header: int, extension: str) -> str:
    """With an extension header before the datagram."""
    payload = bytes.fromhex(extension) + datagram(9)
    head = struct.pack(">IHBB", 6 << 28, len(payload), next_header, 64)
    head += socket.inet_pton(socket.AF_INET6, "::1") + socket.inet_pton(socket.AF_INET6, to)
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        raw.sendto(head + payload, (to, 0))
    return "sent"


def tcp_with_options(to: str, port: int, options: str) -> str:
    """IP options, of which the route that a packet is to take may be one."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as stream:
        stream.settimeout(2)
        stream.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, bytes.fromhex(options))
        stream.connect((to, port))
        with contextlib.suppress(OSError):  # what is read tells of it
            stream.sendall(b"evil")
            stream.shutdown(socket.SHUT_WR)
        text = read_all(stream)
        return "ok " + text.decode() if text else "end"


def packet(to: str, port: int) -> str:
    """Put on the link by hand: a datagram, and what says that a connection is wanted."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800)) as link:
        link.bind(("lo", 0x0800))
        wanted = struct.pack(">HHIIBBHHH", 40000, port, 1, 0, 0x50, 2, 1024, 0, 0)
        for payload, protocol in [(datagram(port), socket.IPPROTO_UDP), (wanted, socket.IPPROTO_TCP)]:
            link.send(bytes(12) + b"\x08\x00" + ipv4(to, protocol, payload))
    return "sent"


def links() -> str:
    return "ok " + " ".join(name for _, name in socket.if_nameindex())


def netlink(kind: str) -> str:
    """Asks the kernel to change a route, a rule or a link by a message of its own."""
    # rtnetlink(7): the message's type and its fixed part.
    messages = {
        "route": (24, struct.pack("BBBBBBBBI", 2, 0, 0, 0, 254, 4, 0, 1, 0) + struct.pack("HHI", 8, 4, 1)),
        "rule": (32, struct.pack("BBBBBBBBI", 2, 0, 0, 0, 254, 0, 0, 1, 0)),
        "link": (16, struct.pack("BxHiII", 0, 0, 1, 0, 1)),
        "new link": (16, struct.pack("BxHiII", 0, 0, 0, 0, 0) + struct.pack("HH", 16, 18) + struct.pack("HH5sxxx", 9, 1, b"dummy")),
    }  # fmt: skip
    number, body = messages[kind]
    flags = 0x5 | (0x400 if kind != "link" else 0)  # NLM_F_REQUEST, NLM_F_ACK, NLM_F_CREATE
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as route:
        route.settimeout(LIMIT_S)
        route.send(struct.pack("IHHII", 16 + len(body), number, flags, 1, 0) + body)
        (code,) = struct.unpack("i", route.recv(4096)[16:20])
    return "ok" if code == 0 else errno.errorcode[-code]


def transparent(own: str, to: str, port: int) -> str:
    """From an address that it has not, as the proxy may speak."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as stream:
        stream.settimeout(LIMIT_S)
        stream.setsockopt(socket.IPPROTO_IP, 19, 1)  # IP_TRANSPARENT
        stream.bind((own, 0))
        stream.connect((to, port))
        stream.sendall(b"evil")
        text = stream.recv(100)
        return "ok " + text.decode() if text else "end"


def join_network(path: str) -> str:
    library = ctypes.CDLL(None, use_errno=True)
    with open(path) as network:
        if library.setns(network.fileno(), 0x40000000) != 0:
            raise OSError(ctypes.get_errno(), "setns")
    return links()


# ---- the tries


def made(call: Callable[..., str], arguments: list[object]) -> str:
    try:
        return call(*arguments)
    except ssl.SSLError as error:
        return f"alert {error.reason}"
    except socket.gaierror as error:
        return {socket.EAI_NONAME: "no name", socket.EAI_NODATA: "no address"}.get(error.errno, f"gai {error.errno}")
    except TimeoutError:
        return "nothing came"
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))


def main() -> None:
    for name, *arguments in json.loads(sys.argv[1]):
        began = time.monotonic()
        result = made(globals()[name], arguments)
        print(json.dumps({"result": result, "ms": 1000 * (time.monotonic() - began)}), flush=True)


if __name__ == "__main__":
    main()
