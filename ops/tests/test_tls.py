"""TLS on the data plane: certificates by command line and by signed HTTP, protocols, rotation under load, tickets, restarts."""

import concurrent.futures
import contextlib
import http.client
import json
import pathlib
import shutil
import signal
import ssl
import stat
import subprocess
import threading
import time

import h2.config
import h2.connection
import h2.events
import pytest

from support import raw, signing, tls
from support.apis import Api
from support.region import Region, binary, clean_environment, is_free, wait_until

pytestmark = pytest.mark.skipif(not tls.OPENSSL, reason="the openssl command makes the certificates")
ROOT = "/_tidegate/certificates"


@pytest.fixture(scope="module")
def secured(scratch):
    """A region whose certificates these tests change."""
    region = Region(scratch / "secured")
    try:
        yield region.start()
    finally:
        region.stop()


@pytest.fixture(scope="module")
def api(secured, upstream_server):
    api = Api(secured.client()).mock("/m", body={"up": True}).proxy("/seen", f"{upstream_server.url}/seen")
    api.deploy()
    for node in secured.nodes:
        wait_until(lambda: secured.call(api.id, "dev", "/m", node=node).status == 200, "the API on every node")
    return api


def put(region, name, pair, *more):
    return region.tidegate("certificate", "put", name, "--chain", pair.chain, "--key", pair.key, *more)


def served(region, name, expect):
    """Waits until every node shows a certificate for a name, or the reason why there is none."""
    found = {}

    def everywhere():
        found.update({node["az"]: tls.shown(node["gateway_tls"], name) for node in region.nodes})
        return all(one == expect for one in found.values())

    wait_until(everywhere, lambda: f"{expect!r:.60} for {name}, found {found!r:.200}", seconds=10)


def own(region, method, target, body=None):
    """A call of the cluster's API, signed by botocore."""
    data = json.dumps(body).encode() if body is not None else b""
    headers = signing.signed(region, method, target, data)
    return raw.request(region.dev["control"], method, target, headers, data or None)


def test_a_development_region_has_a_certificate(secured, api):
    context = tls.trust(secured.data / "gateway.pem")
    host = secured.host(api.id)
    for node in [secured.dev, *secured.nodes]:
        with contextlib.closing(tls.Connection(node["gateway_tls"], host, context)) as connection:
            assert connection.get("/dev/m", host) == (200, b'{"up": true}')
            assert connection.get("/dev/m", host)[0] == 200, "the connection stays open"


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
@pytest.mark.parametrize("flags, version", [(["--http1.1"], "1.1"), (["--http2"], "2"), (["--http2", "--tls-max", "1.2"], "2")])
def test_curl_trusts_it(secured, api, flags, version):
    url = f"{secured.dev['gateway_tls']}/_aws/execute-api/{api.id}/dev/m"
    command = ["curl", "-sS", *flags, "--cacert", secured.data / "gateway.pem", "-w", " %{http_version}", url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    if "option --http2: the installed libcurl" in done.stderr:
        pytest.skip("this curl has no HTTP/2")
    assert (done.stdout, done.stderr) == (f'{{"up": true}} {version}', "")


def test_http2_by_alpn(secured, api):
    host = secured.host(api.id)
    context = tls.trust(secured.data / "gateway.pem", protocols=("h2", "http/1.1"))
    with tls.connect(secured.dev["gateway_tls"], host, context) as stream:
        assert stream.selected_alpn_protocol() == "h2"
        wire = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        wire.initiate_connection()
        for number in (1, 3):
            wire.send_headers(number, [(":method", "GET"), (":scheme", "https"), (":authority", host), (":path", "/dev/m")], end_stream=True)
        stream.sendall(wire.data_to_send())
        bodies, ended = {1: b"", 3: b""}, set()
        while len(ended) < 2:
            data = stream.recv(65_536)
            assert data, "closed before both answers"
            for event in wire.receive_data(data):
                if isinstance(event, h2.events.DataReceived):
                    bodies[event.stream_id] += event.data
                if isinstance(event, h2.events.StreamEnded):
                    ended.add(event.stream_id)
        assert set(bodies.values()) == {b'{"up": true}'}


def test_upstreams_learn_of_tls(secured, api, upstream):
    host = secured.host(api.id)
    with contextlib.closing(tls.Connection(secured.nodes[0]["gateway_tls"], host, tls.trust())) as connection:
        assert connection.get("/dev/seen", host)[0] == 200
    seen = upstream.only()
    assert seen.header("x-forwarded-proto") == "https"
    assert seen.header("x-forwarded-port") == secured.nodes[0]["gateway_tls"].rsplit(":", 1)[1]


def test_the_command_line(secured, tmp_path):
    first, second = tls.pair(tmp_path, "first", "*.one.test", "two.test"), tls.pair(tmp_path, "second", "two.test", kind=("rsa:2048",))
    default = ssl.PEM_cert_to_DER_cert((secured.data / "gateway.pem").read_text())
    assert "certificate web is stored" in put(secured, "web", first).stdout
    served(secured, "x.one.test", first.der)
    served(secured, "two.test", first.der)
    served(secured, "x.y.one.test", default)
    put(secured, "web", second)
    served(secured, "two.test", second.der)
    served(secured, "x.one.test", default)
    lines = secured.tidegate("certificate", "ls").stdout.splitlines()
    assert lines[0].split() == ["NAME", "VALID", "FOR", "DNS", "NAMES"] and lines[-1].split() in (["web", days, "days", "two.test"] for days in ("29", "30"))
    listed = json.loads(secured.tidegate("certificate", "ls", "-o", "json").stdout)["certificates"]
    assert [one["name"] for one in listed] == ["default", "web"] and listed[1]["dns_names"] == ["two.test"]
    assert secured.tidegate("certificate", "rm", "web").stdout == "certificate web is deleted\n"
    served(secured, "two.test", default)


def test_errors_say_what_to_do(secured, tmp_path):
    good, other, nameless = tls.pair(tmp_path, "good", "a.test"), tls.pair(tmp_path, "other", "a.test"), tls.pair(tmp_path, "nameless")
    for name, pair, expect in [
        ("a", tls.Pair(good.chain, other.key), "Invalid key_pem: the private key does not belong"),
        ("a", tls.Pair(good.key, good.key), "Invalid chain_pem: the chain must hold certificates only"),
        ("a", tls.Pair(nameless.chain, nameless.key), "clients ignore its common name 'nameless'"),
        ("a b", good, "Invalid certificate name 'a"),
        ("a", tls.Pair(tmp_path / "absent.pem", good.key), "absent.pem: No such file"),
    ]:
        done = put_badly(secured, name, pair)
        assert done.returncode != 0 and expect in done.stderr, (expect, done.stderr)
    done = secured.tidegate("certificate", "rm", "absent", check=False)
    assert done.returncode != 0 and "404 Not Found: There is no certificate 'absent'" in done.stderr


def put_badly(region, name, pair):
    return region.tidegate("certificate", "put", name, "--chain", pair.chain, "--key", pair.key, check=False)


def test_signed_http_and_no_key_ever_comes_back(secured, tmp_path):
    pair = tls.pair(tmp_path, "signed", "signed.test")
    key = pair.key.read_text()
    body = {"chain_pem": pair.chain.read_text(), "key_pem": key}
    answers = [own(secured, "PUT", f"{ROOT}/signed", body), own(secured, "GET", ROOT), own(secured, "GET", f"{ROOT}/signed")]
    assert [answer.status for answer in answers] == [200, 200, 200]
    assert answers[2].json["chain_pem"] == body["chain_pem"]
    served(secured, "signed.test", pair.der)
    refused = own(secured, "PUT", f"{ROOT}/signed", body | {"key_pem": "none"})
    assert refused.status == 400 and refused.header("content-type") == "application/problem+json"
    assert refused.json["detail"].startswith("Invalid key_pem: ")
    unsigned = raw.request(secured.dev["control"], "PUT", f"{ROOT}/signed", {}, json.dumps(body))
    assert unsigned.status == 403
    secret = key.splitlines()[2][:40]
    for text in [answer.text for answer in [*answers, refused]] + [log.read_text() for log in secured.data.glob("*/node.log")]:
        assert secret not in text and "BEGIN PRIVATE" not in text
    assert own(secured, "DELETE", f"{ROOT}/signed").status == 204
    assert own(secured, "GET", f"{ROOT}/signed").status == 404


def test_files_that_hold_keys_are_private(secured, tmp_path):
    file = tmp_path / "config.checkpoint"
    secured.tidegate("cluster", "checkpoint", "save", file)
    paths = [file, *secured.data.glob("*/serving.snapshot"), *secured.data.glob("*/log")]
    assert len(paths) == 7
    for path in paths:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_metrics(secured, api):
    text = raw.request(secured.nodes[0]["admin"], "GET", "/metrics").text
    for line in ['tls_handshakes_total{outcome="full"}', 'tls_handshakes_total{outcome="resumed"}', 'tls_certificate_not_after_seconds{certificate="default"}']:
        assert line in text, line


class Load:
    """Asks one node over and over, on one connection or on a new one each time, and counts what is not 200."""

    def __init__(self, url, api, host, context, keeps):
        self.url, self.host, self.context, self.keeps = url, host, context, keeps
        self.path = f"/_aws/execute-api/{api.id}/dev/m"
        self.good, self.faults = 0, []
        self.stop = threading.Event()

    def run(self):
        connection = None
        while not self.stop.is_set():
            try:
                connection = connection or tls.Connection(self.url, self.host, self.context)
                status, _ = connection.get(self.path, self.host)
                if status != 200:
                    self.faults.append(status)
                self.good += status == 200
            except (OSError, http.client.HTTPException) as fault:
                self.faults.append(repr(fault))
                connection = None
            if not self.keeps and connection:
                connection.close()
                connection = None
        if connection:
            connection.close()


def test_no_request_fails_while_certificates_rotate(secured, api, tmp_path, measured):
    pairs = [tls.pair(tmp_path, f"turn-{number}", "turning.test") for number in range(6)]
    put(secured, "turning", pairs[0])
    served(secured, "turning.test", pairs[0].der)
    context = tls.trust(*pairs)
    loads = [Load(node["gateway_tls"], api, "turning.test", context, keeps) for node in secured.nodes for keeps in (True, False)]
    took = []
    with concurrent.futures.ThreadPoolExecutor(len(loads)) as pool:
        running = [pool.submit(load.run) for load in loads]
        for pair in pairs[1:]:
            before = [load.good for load in loads]
            started = time.monotonic()
            put(secured, "turning", pair)
            served(secured, "turning.test", pair.der)
            took.append(time.monotonic() - started)
            wait_until(lambda: all(load.good > count + 20 for load, count in zip(loads, before, strict=True)), "requests on every node")
        for load in loads:
            load.stop.set()
        for done in running:
            done.result()
    faults = [fault for load in loads for fault in load.faults]
    good = sum(load.good for load in loads)
    measured(f"certificate rotation: {len(took)} under load, {good} requests, {len(faults)} failed; on every node within {max(took):.2f} s")
    assert not faults, faults[:5]
    assert good > 100, "there was load"
    secured.tidegate("certificate", "rm", "turning")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_sessions_resume_on_other_nodes(secured, api, version):
    context, host = tls.trust(version=version), secured.host(api.id)
    session = visit(secured.nodes[0], host, context, None, resumed=False)
    for node in secured.nodes:
        visit(node, host, context, session, resumed=True)


def visit(node, host, context, session, resumed):
    """One request; the session with which the next connection resumes."""
    with tls.connect(node["gateway_tls"], host, context, session) as stream:
        assert stream.session_reused == resumed, node["az"]
        stream.sendall(f"GET /dev/m HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert stream.recv(65_536).startswith(b"HTTP/1.1 200 OK")
        return stream.session


def test_a_restarted_node_without_quorum_serves_tls_and_knows_its_tickets(own_region, tmp_path):
    region = own_region
    api = Api(region.client()).mock("/m", body={"up": True})
    api.deploy()
    pair, host = tls.pair(tmp_path, "kept", "kept.test"), region.host(api.id)
    put(region, "kept", pair)
    region.tidegate("certificate", "rm", "default")
    served(region, "kept.test", pair.der)
    served(region, "other.test", "TLSV1_UNRECOGNIZED_NAME")
    served(region, None, "TLSV1_UNRECOGNIZED_NAME")
    context, alone = tls.trust(pair), region.nodes[0]
    with contextlib.closing(tls.Connection(alone["gateway_tls"], "kept.test", context)) as connection:
        wait_until(lambda: connection.get("/dev/m", host)[0] == 200, "the API")
        session = connection.sock.session
    for az in ("local-1b", "local-1c", "local-1a"):
        region.tidegate("dev", "stop-az", az)
    wait_until(lambda: is_free(int(alone["control"].rsplit(":", 1)[1])), "the node's ports are free")
    process = subprocess.Popen(
        [str(binary()), "node", "--config", str(region.data / "local-1a" / "node.toml")], stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=clean_environment(),
    )
    try:
        wait_until(lambda: reachable(alone["gateway_tls"], pair), "TLS from the snapshot on disk", seconds=10)
        with tls.connect(alone["gateway_tls"], "kept.test", context, session) as stream:
            assert stream.session_reused, "a ticket from before the restart"
        with contextlib.closing(tls.Connection(alone["gateway_tls"], "kept.test", context)) as connection:
            assert connection.get("/dev/m", host) == (200, b'{"up": true}')
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def reachable(url, pair):
    try:
        return tls.shown(url, "kept.test") == pair.der
    except OSError:
        return False


def test_a_stalled_handshake_is_closed(secured):
    """A peer that connects and says nothing is gone after the handshake timeout of five seconds."""
    place = secured.nodes[0]["gateway_tls"].removeprefix("https://")
    started = time.monotonic()
    assert raw.exchange(f"http://{place}", b"\x16\x03\x01", timeout=15) == b""
    assert 3 < time.monotonic() - started < 12


def test_the_openssl_client_resumes_elsewhere(secured, api, tmp_path):
    host, file = secured.host(api.id), pathlib.Path(tmp_path / "session.pem")
    said = [s_client(node, host, flags) for node, flags in zip(secured.nodes, (["-sess_out", file], ["-sess_in", file], ["-sess_in", file]), strict=True)]
    assert [line.split(",")[0] for line in said] == ["New", "Reused", "Reused"]


def s_client(node, host, flags):
    place = node["gateway_tls"].removeprefix("https://")
    request = f"GET /dev/m HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    command = [tls.OPENSSL, "s_client", "-connect", place, "-servername", host, "-ign_eof", *map(str, flags)]
    done = subprocess.run(command, input=request, capture_output=True, text=True, timeout=20)
    assert '{"up": true}' in done.stdout, done.stdout[-500:]
    return next(line for line in done.stdout.splitlines() if line.startswith(("New,", "Reused,")))
