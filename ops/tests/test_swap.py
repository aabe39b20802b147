"""A snapshot of 20,000 routes is compiled and swapped while every node is under load: no request may fail."""

import concurrent.futures
import http.client
import json
import threading
import time
from urllib.parse import urlsplit

ROUTES = 20_000
SWAPS = 4
CLIENTS_PER_NODE = 2


def large(version):
    """An OpenAPI document with many routes, answered by the gateway itself."""
    integration = {
        "type": "mock", "requestTemplates": {"application/json": '{"statusCode":200}'},
        "responses": {"default": {"statusCode": "200"}},
    }
    get = {"get": {"responses": {"200": {"description": ""}}, "x-amazon-apigateway-integration": integration}}
    paths = {f"/{number // 100}/{number}": get for number in range(ROUTES)}
    return json.dumps({"swagger": "2.0", "info": {"title": "large", "version": version}, "paths": paths}, separators=(",", ":")).encode()


class Load:
    """Asks one node for the same route over and over on one connection, and counts what is not 200."""

    def __init__(self, region, api, node):
        place = urlsplit(node["gateway"])
        self.place, self.host = (place.hostname, place.port), region.host(api)
        self.good = self.bad = 0
        self.slowest_ms = 0.0
        self.stop = threading.Event()

    def run(self):
        connection = http.client.HTTPConnection(*self.place, timeout=10)
        while not self.stop.is_set():
            started = time.monotonic()
            try:
                connection.request("GET", "/dev/v", headers={"Host": self.host})
                reply = connection.getresponse()
                reply.read()
                good = reply.status == 200
            except OSError:
                good = False
                connection.close()
            self.good, self.bad = self.good + good, self.bad + (not good)
            self.slowest_ms = max(self.slowest_ms, (time.monotonic() - started) * 1000)


def test_no_request_fails_while_20000_routes_are_swapped(region, client, make_api, everywhere, measured):
    small = make_api().mock("/v", body="here")
    small.deploy()
    everywhere(small.id, "dev", "/v", status=200)
    loads = [Load(region, small.id, node) for node in region.nodes for _ in range(CLIENTS_PER_NODE)]
    body = large("1")
    imported = client.import_rest_api(body=body, failOnWarnings=True)["id"]
    took = []
    try:
        with concurrent.futures.ThreadPoolExecutor(len(loads)) as pool:
            running = [pool.submit(load.run) for load in loads]
            try:
                for _ in range(SWAPS):
                    started = time.monotonic()
                    client.create_deployment(restApiId=imported, stageName="dev")
                    # The load takes every processor, so this takes seconds, which are printed; the promise is that no request fails.
                    everywhere(imported, "dev", f"/{(ROUTES - 1) // 100}/{ROUTES - 1}", status=200, seconds=30)
                    took.append(time.monotonic() - started)
            finally:
                for load in loads:
                    load.stop.set()
            for done in running:
                done.result(30)
    finally:
        client.delete_rest_api(restApiId=imported)
    good, bad = sum(load.good for load in loads), sum(load.bad for load in loads)
    measured(f"{SWAPS} swaps of {ROUTES} routes ({len(body) >> 20} MiB of OpenAPI) under load: {bad} failed of {good + bad} requests, "
             f"slowest {max(load.slowest_ms for load in loads):.0f} ms, deployed and served everywhere in {max(took):.2f} s at most")
    assert bad == 0
    assert good > 500, "there was load"
