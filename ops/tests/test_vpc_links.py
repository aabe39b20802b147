"""VPC links: created, read, changed and deleted as AWS does it, and APIs that call through them while a zone's target dies."""

import json
import threading
import time

import pytest

from support.apis import Api, patch, refused, without_metadata
from support.region import wait_until
from support.target import Target

ARN = "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/net/orders/50dc6c495c0c9188"
AZS = ["local-1a", "local-1b", "local-1c"]
READY = "Your vpc link is ready for use"


@pytest.fixture
def make_link(client):
    """Makes VPC links that go when the test is over."""
    made = []

    def make(**settings):
        link = client.create_vpc_link(**({"name": "orders", "targetArns": [ARN]} | settings))
        made.append(link["id"])
        return link

    yield make
    for one in made:
        try:
            client.delete_vpc_link(vpcLinkId=one)
        except client.exceptions.NotFoundException:
            pass


@pytest.fixture
def targets():
    """A target for each zone."""
    all_of_them = {az: Target(az) for az in AZS}
    yield all_of_them
    for target in all_of_them.values():
        target.close()


@pytest.fixture
def linked(client, make_link, targets):
    """An API whose methods call through a link with a target in each zone: the API and the link's id."""
    tags = {f"tidegate:targets:{az}": target.address for az, target in targets.items()}
    link = make_link(tags=tags)["id"]
    api = Api(client, "linked")
    through = {"connectionType": "VPC_LINK", "connectionId": link}
    api.proxy("/orders", "http://orders.internal/orders", **through)
    api.http("/mapped", "http://orders.internal/mapped", **through)
    api.deploy("prod")
    yield api, link
    api.delete()


def test_a_link_from_birth_to_death(client, make_link):
    tags = {"tidegate:targets:local-1a": "127.0.0.1:9", "Team": "orders"}
    made = make_link(description="d", tags=tags)
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 202
    common = {"id": made["id"], "name": "orders", "description": "d", "targetArns": [ARN], "tags": tags}
    assert without_metadata(made) == common | {"status": "PENDING"}
    available = common | {"status": "AVAILABLE", "statusMessage": READY}
    assert without_metadata(client.get_vpc_link(vpcLinkId=made["id"])) == available
    assert available in client.get_vpc_links()["items"]
    changed = client.update_vpc_link(vpcLinkId=made["id"], patchOperations=patch(("replace", "/name", "n")))
    assert without_metadata(changed) == available | {"name": "n"}
    assert client.delete_vpc_link(vpcLinkId=made["id"])["ResponseMetadata"]["HTTPStatusCode"] == 202
    gone = ("NotFoundException", 404, "Invalid Vpc Link identifier specified")
    assert refused(client.get_vpc_link, vpcLinkId=made["id"]) == gone
    assert refused(client.delete_vpc_link, vpcLinkId=made["id"]) == gone


def test_links_come_in_pages(client, make_link):
    made = sorted(make_link()["id"] for _ in range(3))
    pages = list(client.get_paginator("get_vpc_links").paginate(PaginationConfig={"PageSize": 2}))
    found = [link["id"] for page in pages for link in page["items"]]
    assert len(pages) >= 2 and set(made) <= set(found) and found == sorted(found)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"targetArns": [ARN, ARN]}, "More than one target arn specified for vpc link."),
        (
            {"tags": {"tidegate:targets:local-1a": "127.0.0.1"}},
            "Invalid value '127.0.0.1' of tag tidegate:targets:local-1a: must be ADDRESS:PORT, NAME:PORT or srv:_SERVICE._PROTOCOL.NAME, several with a blank between them",
        ),
        (
            {"tags": {"tidegate:health-check-interval": "0"}},
            "Invalid value '0' of tag tidegate:health-check-interval: must be a whole number from 1 to 300",
        ),
    ],
)
def test_wrong_links_are_refused(client, settings, message):
    arguments = {"name": "orders", "targetArns": [ARN]} | settings
    assert refused(client.create_vpc_link, **arguments) == ("BadRequestException", 400, message)


def test_a_link_in_use_stays(client, linked):
    api, link = linked
    code, status, message = refused(client.delete_vpc_link, vpcLinkId=link)
    assert (code, status) == ("BadRequestException", 400)
    assert message.startswith(f"Cannot delete vpc link. Vpc link '{link}', is referenced in [{api.id}:")
    assert message.endswith("in format of [RESTApiId:Method:Resource:Stage].")


def test_an_export_names_the_link(client, linked):
    api, link = linked
    given = {"exportType": "oas30", "parameters": {"extensions": "integrations"}, "accepts": "application/json"}
    export = json.loads(client.get_export(restApiId=api.id, stageName="prod", **given)["body"].read())
    integration = export["paths"]["/orders"]["x-amazon-apigateway-any-method"]["x-amazon-apigateway-integration"]
    assert (integration["connectionType"], integration["connectionId"]) == ("VPC_LINK", link)
    again = client.import_rest_api(body=json.dumps(export))
    try:
        resources = client.get_resources(restApiId=again["id"], embed=["methods"])["items"]
        orders = next(one for one in resources if one["path"] == "/orders")
        assert orders["resourceMethods"]["ANY"]["methodIntegration"]["connectionId"] == link
    finally:
        client.delete_rest_api(restApiId=again["id"])


def ask(region, api, path="/orders", node=None, method="GET"):
    return region.call(api.id, "prod", path, node=node, method=method)


def test_calls_stay_in_their_zone_and_carry_the_name_of_the_integration(region, linked):
    api, _ = linked
    for node in region.nodes:
        wait_until(lambda node=node: ask(region, api, node=node).status == 200, "the API is not served")
        for path in ["/orders", "/mapped"]:
            answers = {ask(region, api, path, node).body.decode() for _ in range(10)}
            assert answers == {f"{node['az']} orders.internal"}


def test_a_stage_variable_names_the_link(region, client, linked):
    api, link = linked
    api.client.update_integration(
        **api.at("/orders", "ANY"), patchOperations=patch(("replace", "/connectionId", "${stageVariables.link}"))
    )
    api.deploy("prod", variables={"link": link})
    wait_until(lambda: ask(region, api).status == 200, "the API is not served")
    client.update_stage(restApiId=api.id, stageName="prod", patchOperations=patch(("replace", "/variables/link", "nope")))
    wait_until(lambda: ask(region, api).status == 500, "a link that does not exist is an error of the configuration")
    client.update_stage(restApiId=api.id, stageName="prod", patchOperations=patch(("replace", "/variables/link", link)))
    wait_until(lambda: ask(region, api).status == 200, "the link is back")


class Load:
    """Requests to all nodes, a thread for each node and kind, until it is left; counts answers by status."""

    def __init__(self, region, api):
        self.region, self.api, self.done = region, api, threading.Event()
        self.failures, self.count, self.slowest = [], 0, 0.0
        kinds = [(node, path) for node in region.nodes for path in ["/orders", "/mapped"]]
        self.threads = [threading.Thread(target=self.work, args=kind) for kind in kinds]

    def work(self, node, path):
        while not self.done.wait(0.005):
            started = time.monotonic()
            answer = ask(self.region, self.api, path, node)
            self.slowest = max(self.slowest, time.monotonic() - started)
            self.count += 1
            if answer.status != 200:
                self.failures.append((time.monotonic(), node["az"], path, answer.status, answer.body))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        for thread in self.threads:
            thread.join()


def test_a_target_that_dies_under_load_is_noticed_by_no_caller(region, linked, targets, measured):
    api, link = linked
    for node in region.nodes:
        wait_until(lambda node=node: ask(region, api, node=node).status == 200, "the API is not served")
    with Load(region, api) as load:
        wait_until(lambda: load.count > 100, "requests are answered")
        targets["local-1b"].kill()
        before, killed = load.count, time.monotonic()
        wait_until(lambda: load.count > before + 300 and time.monotonic() > killed + 3, "requests go on", seconds=60)
    assert load.failures == []
    measured(f"a target dies under load: {load.count} requests, 0 failed, the slowest took {load.slowest * 1000:.0f} ms")
    def is_out():
        said = json.loads(region.tidegate("upstreams", "--name", link, "-o", "json").stdout)
        (found,) = said["upstreams"]
        assert (found["kind"], found["link_name"], len(found["targets"])) == ("vpc-link", "orders", 3)
        dead = next(one for one in found["targets"] if one["az"] == "local-1b")
        return dead["state"] in ("ejected", "failing") and dead["last_error"]

    wait_until(is_out, "the node that answers knows that the target is dead")
    table = region.tidegate("upstreams", "--name", link).stdout
    assert f"{link} (orders)" in table and targets["local-1b"].address in table, table
