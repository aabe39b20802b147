"""TLS clients of the data plane, and self-signed certificates from the openssl command."""

import dataclasses
import http.client
import pathlib
import shutil
import socket
import ssl
import subprocess
from urllib.parse import urlsplit

OPENSSL = shutil.which("openssl")


@dataclasses.dataclass
class Pair:
    """A certificate and its key as files."""

    chain: pathlib.Path
    key: pathlib.Path

    @property
    def der(self):
        return ssl.PEM_cert_to_DER_cert(self.chain.read_text())


def pair(folder, file, *names, kind=("ec", "-pkeyopt", "ec_paramgen_curve:P-256")):
    """A fresh self-signed certificate for these names."""
    made = Pair(folder / f"{file}.pem", folder / f"{file}.key")
    names = ",".join(f"DNS:{name}" for name in names)
    alternatives = ["-addext", f"subjectAltName={names}"] if names else []
    command = [OPENSSL, "req", "-x509", "-newkey", *kind, "-nodes", "-days", "30", "-subj", f"/CN={file}", *alternatives]
    subprocess.run([*command, "-keyout", made.key, "-out", made.chain], check=True, capture_output=True)
    return made


def trust(*pairs, protocols=("http/1.1",), version=None):
    """Settings of a client that trusts these certificates, or whatever comes when there are none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = bool(pairs), ssl.CERT_REQUIRED if pairs else ssl.CERT_NONE
    for one in pairs:
        context.load_verify_locations(one.chain if isinstance(one, Pair) else one)
    context.set_alpn_protocols(list(protocols))
    if version:
        context.minimum_version = context.maximum_version = version
    return context


def connect(url, name, context, session=None):
    """An encrypted connection to a listener, asking for a host name; `None` asks for none."""
    place = urlsplit(url)
    plain = socket.create_connection((place.hostname, place.port), timeout=10)
    try:
        return context.wrap_socket(plain, server_hostname=name, session=session)
    except BaseException:
        plain.close()
        raise


def shown(url, name):
    """The certificate that a listener shows for a name, DER, or the reason why there is none."""
    try:
        with connect(url, name, trust()) as stream:
            return stream.getpeercert(binary_form=True)
    except ssl.SSLError as error:
        return error.reason


class Connection(http.client.HTTPConnection):
    """HTTP/1.1 over TLS to a listener of our choice, whatever the host name says."""

    def __init__(self, url, name, context):
        place = urlsplit(url)
        super().__init__(place.hostname, place.port, timeout=10)
        self.url, self.name, self.context = url, name, context

    def connect(self):
        self.sock = connect(self.url, self.name, self.context)

    def get(self, path, host):
        """Status and body of one request; the connection stays open."""
        self.request("GET", path, headers={"Host": host})
        reply = self.getresponse()
        return reply.status, reply.read()
