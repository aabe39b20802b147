"""Metrics, health and the access log."""

import json
import re
import time

import pytest

from support import raw
from support.apis import Api
from support.region import ROOT, wait_until

SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(.*)\})? (\S+)( \d+)?$")


def scrape(node):
    """All samples of a node: name and labels to value; fails on a line that is no metric."""
    answer = raw.request(node["admin"], "GET", "/metrics")
    assert answer.status == 200
    assert answer.header("content-type").startswith(("application/openmetrics-text", "text/plain"))
    samples = {}
    for line in answer.text.splitlines():
        if line and not line.startswith("#"):
            found = SAMPLE.match(line)
            assert found, f"not a sample: {line!r}"
            samples[found[1], found[3] or ""] = float(found[4])
    return samples


def total(samples, name, **labels):
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    return sum(value for (found, text), value in samples.items() if found == name and all(part in text for part in wanted))


@pytest.fixture(scope="module")
def watched(client, upstream_server, everywhere):
    api = Api(client, "watched")
    api.mock("/m").proxy("/p/{id}", f"{upstream_server.url}/status/418", "GET").proxy("/gone", "http://127.0.0.1:9/x", "GET")
    api.deploy()
    everywhere(api.id, "dev", "/m")
    yield api
    api.delete()


def test_every_metric_of_the_readme_exists(region, watched):
    text = (ROOT / "README.md").read_text()
    named = set(re.findall(r"\btidegate_[a-z0-9_]+", text))
    assert len(named) >= 5
    for node in region.nodes:
        present = {name for name, _ in scrape(node)}
        families = present | {re.sub("_(bucket|sum|count)$", "", name) for name in present}
        assert named <= families, f"missing on {node['az']}: {named - families}"


def test_requests_are_counted_once(region, watched):
    node = region.nodes[0]
    before = total(scrape(node), "tidegate_http_requests_total")
    for _ in range(25):
        region.call(watched.id, "dev", "/m", node=node)
    wait_until(lambda: total(scrape(node), "tidegate_http_requests_total") == before + 25,
               lambda: f"25 more than {before}, found {total(scrape(node), 'tidegate_http_requests_total')}", seconds=5)


def test_gauges_tell_the_truth(region, watched):
    status = region.status()
    metrics = [scrape(node) for node in region.nodes]
    leaders = [node["node_id"] for node, samples in zip(region.nodes, metrics, strict=True) if total(samples, "tidegate_raft_is_leader", group="config")]
    assert leaders == [status["leader"]]
    assert {total(samples, "tidegate_config_serving_revision") for samples in metrics} == {status["revision"]}
    for samples in metrics:
        assert total(samples, "tidegate_raft_applied_index") > 0 and total(samples, "tidegate_snapshot_swaps_total") > 0
        assert len([1 for name, _ in samples if name == "tidegate_peer_last_contact_seconds"]) == 2


def test_health(region):
    for node in region.nodes:
        assert (raw.request(node["admin"], "GET", "/livez").status, raw.request(node["admin"], "GET", "/readyz").status) == (200, 200)
        verbose = raw.request(node["admin"], "GET", "/readyz?verbose").text
        assert re.search(r"\[\+\]\s*snapshot|snapshot.*ok", verbose), verbose
        assert raw.request(node["admin"], "GET", "/nothing").status == 404
        assert raw.request(node["admin"], "POST", "/metrics").status == 405


def lines_of(region, node, request_id):
    """The access-log lines of one request; every line of the log must be JSON."""
    text = (region.data / node["az"] / "access.log").read_text()
    lines = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
    return [line for line in lines if line["requestId"] == request_id]


def logged(region, answer, node):
    return wait_until(lambda: lines_of(region, node, answer.header("x-amzn-RequestId")), "the access-log line", seconds=5)


def test_an_access_log_line_tells_the_whole_story(region, watched):
    node = region.nodes[1]
    answer = region.call(watched.id, "dev", "/p/7?secret=1", node=node, headers={"User-Agent": "eyes/1"})
    lines = logged(region, answer, node)
    assert len(lines) == 1
    line = lines[0]
    expected = {
        "requestId": answer.header("x-amzn-RequestId"), "extendedRequestId": answer.header("x-amz-apigw-id"), "ip": "127.0.0.1",
        "httpMethod": "GET", "path": "/dev/p/7", "resourcePath": "/p/{id}", "status": 418, "protocol": "HTTP/1.1",
        "responseLength": len(answer.body), "integrationStatus": 418, "apiId": watched.id, "stage": "dev", "userAgent": "eyes/1",
        "region": "local-1", "az": node["az"],
    }
    assert {name: line.get(name) for name in expected} == expected
    assert abs(line["requestTimeEpoch"] / 1000 - time.time()) < 60
    assert re.fullmatch(r"\d{2}/[A-Z][a-z]{2}/\d{4}:\d{2}:\d{2}:\d{2} \+0000", line["requestTime"])
    for name in ("responseLatency", "integrationLatency", "routeUs", "integrateUs", "respondUs"):
        assert isinstance(line[name], int) and line[name] >= 0, name
    assert "secret" not in json.dumps(line), "query strings hold secrets"


@pytest.mark.parametrize("path, status, kind, message", [
    ("/nothing", 403, "MISSING_AUTHENTICATION_TOKEN", "Missing Authentication Token"),
    ("/gone", 504, "INTEGRATION_FAILURE", "Network error communicating with endpoint"),
])
def test_refusals_say_why_in_the_log(region, watched, path, status, kind, message):
    node = region.nodes[0]
    line = logged(region, region.call(watched.id, "dev", path, node=node), node)[0]
    assert (line["status"], line["errorResponseType"], line["errorMessage"]) == (status, kind, message)


def test_hostile_values_cannot_forge_a_line(region, watched):
    node = region.nodes[0]
    agent = 'x","status":200,"forged":"\t\x7f'
    answer = region.call(watched.id, "dev", '/m%22%0A', node=node, headers={"User-Agent": agent.replace("\x7f", "")})
    line = logged(region, answer, node)
    assert len(line) == 1 and "forged" not in line[0] and line[0]["status"] == answer.status


def test_an_unknown_api_is_logged_too(region):
    node = region.nodes[0]
    line = logged(region, region.call("nosuchapi1", "dev", "/x", node=node), node)[0]
    assert (line["status"], line["errorMessage"]) == (403, "Forbidden")
