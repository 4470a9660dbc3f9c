"""A server of HTTP/2 alone, by python3-h2: a gRPC method and a WebSocket (RFC 8441), both of which echo."""

import socket
import ssl
from pathlib import Path

import h2.config
import h2.connection
import h2.events
from h2.settings import SettingCodes, Settings


class Connection:
    def __init__(self, stream: ssl.SSLSocket) -> None:
        self.stream = stream
        self.http2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        websockets = {SettingCodes.ENABLE_CONNECT_PROTOCOL: 1}
        self.http2.local_settings = Settings(client=False, initial_values=websockets)
        self.http2.initiate_connection()
        self.heads: dict[int, dict[str, str]] = {}

    def serve(self) -> None:
        self.flush()
        while data := self.stream.recv(1 << 16):
            for event in self.http2.receive_data(data):
                self.handle(event)
            self.flush()

    def flush(self) -> None:
        self.stream.sendall(self.http2.data_to_send())

    def handle(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            self.begin(event.stream_id, dict(event.headers))
        elif isinstance(event, h2.events.DataReceived):
            self.http2.send_data(event.stream_id, event.data)
            self.http2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded) and event.stream_id in self.heads:
            self.end(event.stream_id)

    def begin(self, stream: int, head: dict[str, str]) -> None:
        if head.get("content-type") == "application/grpc" or head.get(":protocol") == "websocket":
            self.heads[stream] = head
            self.http2.send_headers(stream, [(":status", "200"), ("alt-svc", 'h3=":443"')])
            return
        answer = f"{head[':authority']} {head[':path']}\n".encode()
        self.http2.send_headers(stream, [(":status", "200"), ("content-length", str(len(answer)))])
        self.http2.send_data(stream, answer, end_stream=True)

    def end(self, stream: int) -> None:
        if ":protocol" in self.heads.pop(stream):
            self.http2.end_stream(stream)
        else:
            self.http2.send_headers(stream, [("grpc-status", "0"), ("grpc-message", "done")], end_stream=True)


def serve(top: Path, connection: socket.socket) -> None:
    """One connection, with the certificate of `top`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(top / "cert.pem", top / "key.pem")
    context.set_alpn_protocols(["h2"])
    with context.wrap_socket(connection, server_side=True) as stream:
        Connection(stream).serve()
