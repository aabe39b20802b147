"""APIs in front of an `Origin` whose answers are cached, and what the tests ask of them."""

import json

from . import raw
from .apis import Api, patch
from .region import wait_until
from .signing import signed

EVERY = "/*/*/caching/"


def own(region, method, target, body=None, node=None):
    """A signed call of Tidegate's own API, to the balancer or to one node: status and document."""
    data = b"" if body is None else json.dumps(body).encode()
    url = (node or region.dev)["control"]
    headers = signed(region, method, target, body=data, service="tidegate", url=url)
    answer = raw.request(url, method, target, headers, data or None)
    return answer.status, answer.json


def settle(region):
    """Waits until all nodes that live serve what is configured."""

    def served():
        status = own(region, "GET", "/_tidegate/cluster/status")[1]
        return all(node["serving_revision"] >= status["revision"] for node in status["nodes"] if node["live"])

    wait_until(served, "all nodes serve the configuration", seconds=10)


def is_current(node):
    """Whether a node that caches serves what it has stored, because it knows of every flush."""
    return "\ntidegate_cache_current 1" in raw.request(node["admin"], "GET", "/metrics").text


class Cached:
    """A stage `dev` with `/{proxy+}` before the origin, cached as API Gateway does unless `tags` say otherwise."""

    def __init__(self, region, client, origin, tags=None, keys=(), method=None, verb="ANY", **settings):
        self.region, self.client, self.origin = region, client, origin
        self.api = Api(client)
        self.id = self.api.id
        declared = {"method.request.path.proxy": True} | {f"method.request.{key}": False for key in keys}
        self.api.proxy(
            "/{proxy+}", f"{origin.url}/{{proxy}}", verb, method={"requestParameters": declared} | (method or {}),
            requestParameters={"integration.request.path.proxy": "method.request.path.proxy"},
            cacheKeyParameters=[f"method.request.{key}" for key in keys],
        )
        is_aws = (tags or {}).get("tidegate:cache", "aws") == "aws"
        self.api.deploy(cacheClusterEnabled=is_aws)
        self.stage = {"restApiId": self.id, "stageName": "dev"}
        self.arn = f"arn:aws:apigateway:{region.dev['region']}::/restapis/{self.id}/stages/dev"
        if tags:
            client.tag_resource(resourceArn=self.arn, tags=tags)
        wanted = ({"enabled": "true"} if is_aws else {}) | settings
        if wanted:
            self.set(*((EVERY + name, value) for name, value in wanted.items()), wait=False)
        settle(region)
        if settings.get("enabled") != "false":
            wait_until(lambda: all(is_current(node) for node in region.nodes), "all nodes serve what they store", seconds=10)

    def set(self, *settings, wait=True):
        """Replaces settings of the stage; returns it."""
        stage = self.client.update_stage(**self.stage, patchOperations=patch(*(("replace", path, value) for path, value in settings)))
        if wait:
            settle(self.region)
        return stage

    def ask(self, path, method="GET", headers=(), node=None, **more):
        """One request, by default always to the same node; `headers` may be pairs."""
        lines = list(headers.items()) if isinstance(headers, dict) else list(headers)
        url = (node or self.region.nodes[0])["gateway"]
        return raw.request(url, method, f"/dev{path}", [("Host", self.region.host(self.id)), *lines], **more)

    def number(self, path, headers=(), **more):
        """Which answer of the origin a request is answered with."""
        answer = self.ask(path, headers=headers, **more)
        assert answer.status == 200, answer
        return answer.json["n"]

    def told(self, path, headers=(), **more):
        """What the cache says that it did: its parameters, in order."""
        answer = self.ask(path, headers=dict(headers) | {"x-tidegate-cache-status": "1"}, **more)
        name, *parameters = answer.header("cache-status").split("; ")
        assert name == "tidegate"
        return parameters

    def flush(self):
        assert self.client.flush_stage_cache(**self.stage)["ResponseMetadata"]["HTTPStatusCode"] == 202

    def purge(self, **part):
        """Takes a part out; whether it was one."""
        status, answer = own(self.region, "POST", "/_tidegate/cache/purge", {"api": self.id, "stage": "dev"} | part)
        assert status == 200, answer
        return answer["purged"] == "part"

    def delete(self):
        self.api.delete()
