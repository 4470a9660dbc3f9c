"""Run in the guest, which has python3-h2 from the test: what one connection of HTTP/2 comes to.

Arguments: host, port. Prints an object of JSON."""

import json
import socket
import ssl
import sys

import h2.config
import h2.connection
import h2.events
from h2.settings import SettingCodes

HOST, PORT = sys.argv[1], int(sys.argv[2])


class Client:
    def __init__(self) -> None:
        context = ssl.create_default_context()
        context.set_alpn_protocols(["h2"])
        self.stream = context.wrap_socket(socket.create_connection((HOST, PORT)), server_hostname=HOST)
        self.stream.settimeout(20)
        self.http2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.http2.initiate_connection()
        self.got: dict[int, dict] = {}
        self.settled = False
        self.flush()
        self.until(lambda: self.settled)

    def flush(self) -> None:
        self.stream.sendall(self.http2.data_to_send())

    def until(self, done) -> None:
        while not done():
            data = self.stream.recv(1 << 16)
            if not data:
                raise EOFError
            for event in self.http2.receive_data(data):
                self.handle(event)
            self.flush()

    def handle(self, event) -> None:
        if isinstance(event, h2.events.RemoteSettingsChanged):
            self.settled = True
        got = self.got.get(getattr(event, "stream_id", 0))
        if got is None:
            return
        if isinstance(event, h2.events.ResponseReceived):
            got["head"] = dict(event.headers)
        elif isinstance(event, h2.events.TrailersReceived):
            got["trailers"] = dict(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            got["body"] += event.data.decode()
            self.http2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            got["ended"] = True
        elif isinstance(event, h2.events.StreamReset):
            got["ended"] = got["reset"] = True

    def begin(self, method: str, path: str, *more: tuple[str, str], authority: str = HOST, end: bool = False) -> int:
        stream = self.http2.get_next_available_stream_id()
        authority = authority if PORT == 443 else f"{authority}:{PORT}"
        head = [(":method", method), (":scheme", "https"), (":authority", authority), (":path", path), *more]
        self.http2.send_headers(stream, head, end_stream=end)
        self.got[stream] = {"body": ""}
        self.flush()
        return stream

    def get(self, path: str, authority: str = HOST) -> dict:
        stream = self.begin("GET", path, authority=authority, end=True)
        self.until(lambda: "ended" in self.got[stream])
        return self.got[stream]

    def talk(self, stream: int, texts: list[str]) -> dict:
        """Says one when the echo of the one before is there."""
        said = ""
        for text in texts:
            self.http2.send_data(stream, text.encode())
            self.flush()
            said += text
            self.until(lambda: self.got[stream]["body"] == said or "ended" in self.got[stream])
        self.http2.end_stream(stream)
        self.flush()
        self.until(lambda: "ended" in self.got[stream])
        return self.got[stream]


client = Client()
result = {
    "websockets": client.http2.remote_settings.get(SettingCodes.ENABLE_CONNECT_PROTOCOL, 0),
    "get": client.get("/public/x"),
    "denied": client.get("/private"),
    "another host": client.get("/public/x", "good.example"),
}
call = client.begin("POST", "/public/Echo", ("content-type", "application/grpc"), ("te", "trailers"))
result["grpc"] = client.talk(call, ["\0\0\0\0\5hello", "\0\0\0\0\3you"])
socket_ = client.begin("CONNECT", "/public/socket", (":protocol", "websocket"), ("sec-websocket-version", "13"))
result["websocket"] = client.talk(socket_, ["\x01\x02hi", "\x01\x03you"])
many = [client.begin("GET", f"/public/{i}", end=True) for i in range(60)]
client.until(lambda: all("ended" in client.got[stream] for stream in many))
result["many"] = len({client.got[stream]["body"] for stream in many})
print(json.dumps(result))
