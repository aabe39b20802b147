"""HTTP without a library's opinions: exact request targets, exact bytes, every header line of the answer."""

import dataclasses
import http.client
import json
import socket
import time
from urllib.parse import urlsplit


@dataclasses.dataclass
class Answer:
    """A response with its header lines in order."""

    status: int
    lines: list
    body: bytes
    seconds: float = 0.0

    def header(self, name):
        """The only value of a header, or None."""
        found = self.all(name)
        assert len(found) < 2, f"{name} came {len(found)} times: {found}"
        return found[0] if found else None

    def all(self, name):
        return [value for key, value in self.lines if key.lower() == name.lower()]

    @property
    def names(self):
        return [name.lower() for name, _ in self.lines]

    @property
    def json(self):
        try:
            return json.loads(self.body)
        except ValueError:
            raise AssertionError(f"not JSON: {self}") from None

    @property
    def text(self):
        return self.body.decode()


def request(url, method, target, headers=(), body=None, timeout=40, chunks=None):
    """Sends one request on a connection of its own; `chunks` sends a chunked body."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=timeout)
    fields = list(headers.items()) if isinstance(headers, dict) else list(headers)
    names = [name.lower() for name, _ in fields]
    started = time.monotonic()
    try:
        connection.putrequest(method, target, skip_host="host" in names, skip_accept_encoding=True)
        for name, value in fields:
            connection.putheader(name, value)
        if chunks is not None:
            connection.putheader("Transfer-Encoding", "chunked")
            connection.endheaders(iter(chunks), encode_chunked=True)
        else:
            data = body.encode() if isinstance(body, str) else body
            if data is not None and "content-length" not in names:
                connection.putheader("Content-Length", str(len(data)))
            connection.endheaders(data)
        reply = connection.getresponse()
        return Answer(reply.status, reply.getheaders(), reply.read(), time.monotonic() - started)
    finally:
        connection.close()


def exchange(url, data, timeout=10, half_close=False):
    """Sends bytes as they are and reads until the peer closes or goes silent."""
    place = urlsplit(url)
    received = b""
    with socket.create_connection((place.hostname, place.port), timeout=timeout) as stream:
        try:
            stream.sendall(data)
            if half_close:
                stream.shutdown(socket.SHUT_WR)
            while piece := stream.recv(65_536):
                received += piece
        except (TimeoutError, ConnectionError, BrokenPipeError):
            pass
    return received


def statuses(data):
    """The status codes of all answers in a stream of bytes, found by their status lines."""
    return [int(part[:3]) for part in data.split(b"HTTP/1.1 ")[1:] if part[:3].isdigit()]
