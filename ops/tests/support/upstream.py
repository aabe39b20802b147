"""An HTTP/1.1 upstream on raw sockets that keeps every request as it came and answers as the path asks.

/status/N answers N; /slow/MS waits; /large/N sends N bytes; /drip/N/MS sends N pieces with pauses; /with-headers sends
`response_lines`; /broken answers what is not HTTP; /vanish closes; everything else is an echo as JSON.
"""

import contextlib
import dataclasses
import json
import socket
import socketserver
import threading
import time

HEAD_BYTES_MAX = 128 * 1024


@dataclasses.dataclass
class Seen:
    """A request exactly as it arrived."""

    head: bytes
    body: bytes

    @property
    def line(self):
        return self.head.split(b"\r\n", 1)[0].decode()

    @property
    def method(self):
        return self.line.split(" ")[0]

    @property
    def target(self):
        return self.line.split(" ")[1]

    @property
    def lines(self):
        pairs = [line.split(b":", 1) for line in self.head.split(b"\r\n")[1:] if line]
        return [(name.decode(), value.strip().decode("latin-1")) for name, value in pairs]

    def all(self, name):
        return [value for key, value in self.lines if key.lower() == name.lower()]

    def header(self, name):
        found = self.all(name)
        assert len(found) < 2, f"{name} came {len(found)} times: {found}"
        return found[0] if found else None

    @property
    def names(self):
        return [name.lower() for name, _ in self.lines]


class Upstream:
    """The server; `seen` holds all requests since the last `forget`."""

    def __init__(self):
        self.seen = []
        self.response_lines = []
        self.streams = set()
        self.lock = threading.Lock()
        owner = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                try:
                    owner._serve(self.request)
                finally:
                    with owner.lock:
                        owner.streams.discard(self.request)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, request, client_address):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.address = "127.0.0.1:%d" % self.server.server_address[1]
        self.url = f"http://{self.address}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def hang_up(self):
        """Closes all connections."""
        with self.lock:
            for stream in self.streams:
                with contextlib.suppress(OSError):
                    stream.shutdown(socket.SHUT_RDWR)

    def forget(self):
        with self.lock:
            self.seen.clear()
            self.response_lines = []

    def only(self):
        """The single request seen."""
        with self.lock:
            assert len(self.seen) == 1, f"expected one request, saw {[seen.line for seen in self.seen]}"
            return self.seen[0]

    def _serve(self, stream):
        rest = b""
        with self.lock:
            self.streams.add(stream)
        while True:
            head, rest = _read_until(stream, rest, b"\r\n\r\n")
            if head is None:
                return
            seen = Seen(head, b"")
            with self.lock:
                self.seen.append(seen)
            if any("100-continue" in value.lower() for value in seen.all("expect")):
                stream.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            seen.body, rest = _read_body(stream, seen, rest)
            if not self._answer(stream, seen):
                return

    def _answer(self, stream, seen):
        words = seen.target.split("?")[0].strip("/").split("/")
        match words:
            case ["status", code]:
                return _send(stream, seen, int(code), b'{"status":%s}' % code.encode())
            case ["slow", ms]:
                time.sleep(int(ms) / 1000)
                return _send(stream, seen, 200, b"{}")
            case ["large", size]:
                return _send(stream, seen, 200, b"x" * int(size))
            case ["drip", pieces, ms]:
                return _drip(stream, int(pieces), int(ms) / 1000)
            case ["with-headers", *_]:
                return _send(stream, seen, 200, b"{}", self.response_lines)
            case ["broken"]:
                stream.sendall(b"not HTTP at all\r\n\r\n")
                return False
            case ["vanish"]:
                return False
            case _:
                return _send(stream, seen, 200, json.dumps(echo(seen)).encode())


def echo(seen):
    headers = {}
    for name, value in seen.lines:
        headers.setdefault(name.lower(), []).append(value)
    return {"method": seen.method, "target": seen.target, "headers": headers, "body": seen.body.decode("latin-1")}


def _send(stream, seen, status, body, lines=()):
    body_allowed = status >= 200 and status not in (204, 304)
    head = [f"HTTP/1.1 {status} Some Reason"]
    if not any(name.lower() == "content-type" for name, _ in lines):
        head.append("Content-Type: application/json")
    if body_allowed:
        head.append(f"Content-Length: {len(body)}")
    head += [f"{name}: {value}" for name, value in lines]
    data = "\r\n".join(head).encode("latin-1") + b"\r\n\r\n"
    stream.sendall(data + (body if body_allowed and seen.method != "HEAD" else b""))
    return not any(name.lower() == "connection" and "close" in value for name, value in lines)


def _drip(stream, pieces, pause):
    stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(pieces):
        stream.sendall(b"5\r\npiece\r\n")
        time.sleep(pause)
    stream.sendall(b"0\r\n\r\n")
    return True


def _read_until(stream, data, mark):
    while mark not in data:
        piece = stream.recv(65_536)
        if not piece or len(data) > HEAD_BYTES_MAX:
            return None, b""
        data += piece
    head, rest = data.split(mark, 1)
    return head, rest


def _read_body(stream, seen, rest):
    if any("chunked" in value.lower() for value in seen.all("transfer-encoding")):
        return _read_chunks(stream, rest)
    length = int(seen.header("content-length") or 0)
    while len(rest) < length:
        piece = stream.recv(1 << 20)
        if not piece:
            break
        rest += piece
    return rest[:length], rest[length:]


def _read_chunks(stream, rest):
    body = b""
    while True:
        line, rest = _read_until(stream, rest, b"\r\n")
        size = int((line or b"0").split(b";")[0], 16)
        while len(rest) < size + 2:
            piece = stream.recv(1 << 20)
            if not piece:
                return body, b""
            rest += piece
        body, rest = body + rest[:size], rest[size + 2:]
        if size == 0:
            return body, rest
