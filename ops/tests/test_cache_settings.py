"""The cache of a stage as clients set it up: cluster, settings per method, keys, tags, flushes; and what an operator takes out of it."""

import json
import re

import pytest
from botocore.exceptions import ClientError

from support import raw
from support.apis import patch
from support.caching import own
from test_stage_settings import DEFAULT, refused

ON = {"cacheClusterEnabled": True, "cacheClusterStatus": "AVAILABLE"}
OFF = {"cacheClusterEnabled": False, "cacheClusterStatus": "NOT_AVAILABLE"}


def cluster(stage):
    """What a stage says about its cluster; nothing of our own may be in it."""
    assert not [name for name in stage if "tidegate" in name.lower()], stage
    return {name: value for name, value in stage.items() if name.startswith("cacheCluster")}


@pytest.fixture
def api(make_api):
    made = make_api().mock("/pets")
    made.deploy()
    return made


@pytest.fixture
def stage(api):
    return {"restApiId": api.id, "stageName": "dev"}


@pytest.fixture
def update(client, stage):
    return lambda *operations: client.update_stage(**stage, patchOperations=patch(*operations))


CLUSTERS = [
    ({}, OFF),
    ({"cacheClusterEnabled": False}, OFF),
    ({"cacheClusterEnabled": True}, ON | {"cacheClusterSize": "0.5"}),
    ({"cacheClusterEnabled": True, "cacheClusterSize": "28.4"}, ON | {"cacheClusterSize": "28.4"}),
    ({"cacheClusterSize": "237"}, OFF | {"cacheClusterSize": "237"}),
]


@pytest.mark.parametrize("given, expect", CLUSTERS, ids=[str(number) for number in range(len(CLUSTERS))])
def test_a_stage_is_made_with_its_cluster(client, api, given, expect):
    deployment = client.get_stage(restApiId=api.id, stageName="dev")["deploymentId"]
    made = client.create_stage(restApiId=api.id, stageName="made", deploymentId=deployment, **given)
    assert cluster(made) == expect
    assert cluster(client.get_stage(restApiId=api.id, stageName="made")) == expect
    client.create_deployment(restApiId=api.id, stageName="deployed", **given)
    found = {stage["stageName"]: cluster(stage) for stage in client.get_stages(restApiId=api.id)["item"]}
    assert found == {"dev": OFF, "made": expect, "deployed": expect}


def test_a_cluster_is_changed(client, stage, update):
    assert cluster(update(("replace", "/cacheClusterEnabled", "true"), ("replace", "/cacheClusterSize", "1.6"))) == ON | {"cacheClusterSize": "1.6"}
    assert cluster(update(("replace", "/cacheClusterEnabled", "false"))) == OFF | {"cacheClusterSize": "1.6"}
    client.create_deployment(**stage, cacheClusterEnabled=True)
    assert cluster(client.get_stage(**stage)) == ON | {"cacheClusterSize": "1.6"}
    client.create_deployment(**stage)
    assert cluster(client.get_stage(**stage)) == ON | {"cacheClusterSize": "1.6"}


def test_sizes_that_are_none(client, api, stage):
    sizes = re.escape("[0.5, 1.6, 6.1, 13.5, 28.4, 58.2, 118, 237]")
    code, status, message = refused(client.update_stage, **stage, patchOperations=patch(("replace", "/cacheClusterSize", "2")))
    assert (code, status) == ("BadRequestException", 400)
    assert re.fullmatch(f"Invalid value '2' specified for cacheClusterSize, must be one of {sizes}", message), message
    for call, more in ((client.create_stage, {"deploymentId": client.get_stage(**stage)["deploymentId"]}), (client.create_deployment, {})):
        code, status, message = refused(call, restApiId=api.id, stageName="other", cacheClusterSize="2", **more)
        assert (code, status) == ("ValidationException", 400) and re.search(f"'2' at '.*cacheClusterSize' .*{sizes}", message), message
    code, status, message = refused(client.create_deployment, restApiId=api.id, cacheClusterEnabled=True)
    assert (code, status) == ("BadRequestException", 400) and "need a stageName" in message


SETTINGS = [
    ("/*/*/caching/enabled", "true", "*/*", {"cachingEnabled": True}),
    ("/~1pets/GET/caching/ttlInSeconds", "0", "~1pets/GET", {"cacheTtlInSeconds": 0}),
    ("/*/*/caching/ttlInSeconds", "3600", "*/*", {"cacheTtlInSeconds": 3600}),
    ("/pets/GET/caching/dataEncrypted", "true", "pets/GET", {"cacheDataEncrypted": True}),
    ("/*/*/caching/requireAuthorizationForCacheControl", "false", "*/*", {"requireAuthorizationForCacheControl": False}),
    ("/*/*/caching/unauthorizedCacheControlHeaderStrategy", "FAIL_WITH_403", "*/*", {"unauthorizedCacheControlHeaderStrategy": "FAIL_WITH_403"}),
]


@pytest.mark.parametrize("path, value, name, expect", SETTINGS, ids=[case[0] for case in SETTINGS])
def test_settings_of_caching(client, stage, update, path, value, name, expect):
    assert update(("replace", path, value))["methodSettings"] == {name: DEFAULT | expect}
    assert client.get_stage(**stage)["methodSettings"] == {name: DEFAULT | expect}


WRONG = [
    ("enabled", "maybe", "true or false"),
    ("ttlInSeconds", "3601", "a whole number of seconds from 0 to 3600"),
    ("ttlInSeconds", "-1", "a whole number of seconds from 0 to 3600"),
    ("dataEncrypted", "", "true or false"),
    ("requireAuthorizationForCacheControl", "no", "true or false"),
    ("unauthorizedCacheControlHeaderStrategy", "FAIL", "one of [FAIL_WITH_403, SUCCEED_WITH_RESPONSE_HEADER, SUCCEED_WITHOUT_RESPONSE_HEADER]"),
]


@pytest.mark.parametrize("field, value, rule", WRONG, ids=[f"{case[0]}-{case[1]}" for case in WRONG])
def test_wrong_settings_of_caching(client, stage, field, value, rule):
    found = refused(client.update_stage, **stage, patchOperations=patch(("replace", f"/*/*/caching/{field}", value)))
    assert found == ("BadRequestException", 400, f"Invalid value '{value}' specified for caching {field}, must be {rule}")


def test_keys_are_declared_or_mapped(client, api):
    declared = {"method.request.querystring.page": False, "method.request.header.Accept": False}
    api.method("/keyed", requestParameters=declared)
    at = api.at("/keyed", "GET")
    keys = ["method.request.querystring.page", "method.request.multivalueheader.Accept", "integration.request.header.x"]
    mapped = {"integration.request.header.x": "method.request.header.Accept"}
    made = client.put_integration(**at, type="MOCK", cacheKeyParameters=keys, cacheNamespace="ns", requestParameters=mapped)
    assert (made["cacheKeyParameters"], made["cacheNamespace"]) == (keys, "ns")
    for key in ("method.request.querystring.other", "integration.request.header.y", "method.input.params.page"):
        expect = ("BadRequestException", 400, f"Invalid cache key parameter specified: {key}")
        assert refused(client.put_integration, **at, type="MOCK", cacheKeyParameters=[key]) == expect
        assert refused(client.update_integration, **at, patchOperations=patch(("add", f"/cacheKeyParameters/{key}"))) == expect
    assert client.get_integration(**at)["cacheKeyParameters"] == keys


def test_rules_of_a_method(client, api):
    at = api.at("/pets", "GET")
    client.update_method(**at, patchOperations=patch(("replace", "/tidegateCache", "rfc9111")))
    found = refused(client.update_method, **at, patchOperations=patch(("replace", "/tidegateCache", "http")))
    assert found == ("BadRequestException", 400, "Invalid value 'http' specified for tidegateCache, must be aws, rfc9111 or off")
    api.deploy()
    settings = {"restApiId": api.id, "stageName": "dev", "exportType": "oas30"}
    exported = json.loads(client.get_export(**settings, parameters={"extensions": "apigateway"})["body"].read())
    assert exported["paths"]["/pets"]["get"]["x-tidegate-cache"] == "rfc9111"
    exported["paths"]["/pets"]["get"]["x-tidegate-cache"] = "http"
    code, status, message = refused(client.put_rest_api, restApiId=api.id, body=json.dumps(exported).encode())
    assert (code, status) == ("BadRequestException", 400) and "x-tidegate-cache 'http' must be aws, rfc9111 or off" in message
    client.update_method(**at, patchOperations=patch(("remove", "/tidegateCache")))


def test_tags_of_caching(client, region, stage):
    arn = f"arn:aws:apigateway:{region.dev['region']}::/restapis/{stage['restApiId']}/stages/dev"
    good = {"tidegate:cache": "rfc9111", "tidegate:cache-isolated": "serve", "tidegate:cache-status": "always", "tidegate:cache-set-cookie": "false", "tidegate:cache-unkeyed-headers": "X-Tenant x-build"}
    client.tag_resource(resourceArn=arn, tags=good)
    for tag, value in (("cache", "on"), ("cache-isolated", "x"), ("cache-status", "x"), ("cache-set-cookie", "1"), ("cache-unkeyed-headers", "cookie")):
        code, status, message = refused(client.tag_resource, resourceArn=arn, tags={f"tidegate:{tag}": value})
        assert (code, status) == ("BadRequestException", 400) and message.startswith(f"Invalid value '{value}' of tag tidegate:{tag}: must be "), message
    assert client.get_tags(resourceArn=arn)["tags"] == good


def test_flushes(client, stage):
    for flush in (client.flush_stage_cache, client.flush_stage_authorizers_cache):
        assert flush(**stage)["ResponseMetadata"]["HTTPStatusCode"] == 202
        for wrong in ({"stageName": "nope"}, {"restApiId": "nope"}):
            assert refused(flush, **(stage | wrong)) == ("NotFoundException", 404, "Invalid Stage identifier specified")


def test_a_part_is_purged(region, client, stage):
    named = {"api": stage["restApiId"], "stage": "dev"}
    status, first = own(region, "POST", "/_tidegate/cache/purge", named | {"tag": "a"})
    assert (status, first["purged"]) == (200, "part")
    found = own(region, "POST", "/_tidegate/cache/purge", named | {"method": "GET", "resource": "/pets", "prefix": "/pets"})
    assert found == (200, {"purged": "part", "sequence": first["sequence"] + 1})
    assert own(region, "POST", "/_tidegate/cache/purge", named) == (200, {"purged": "all", "sequence": first["sequence"] + 2})
    for more, status, detail in (
        ({"tag": ""}, 400, "Invalid tag of 0 bytes"),
        ({"path": "/pets"}, 400, "This field is not supported"),
        ({"resource": "/nope"}, 404, "Stage dev has no resource '/nope'"),
        ({"stage": "nope"}, 404, "Invalid Stage identifier specified"),
    ):
        found, problem = own(region, "POST", "/_tidegate/cache/purge", named | more)
        assert found == status and problem["detail"].startswith(detail), problem
    assert cluster(client.get_stage(**stage)) == OFF


def test_operators_ask_what_is_held(region, stage):
    status, top = own(region, "GET", f"/_tidegate/cache/top?api={stage['restApiId']}&count=5")
    assert status == 200 and set(top) == {"stages", "entries", "silent"}, top
    status, look = own(region, "GET", f"/_tidegate/cache/entry?api={stage['restApiId']}&stage=dev&path=%2Fpets&query=q%3D1")
    assert (status, look["found"]) == (200, []), look
    assert own(region, "GET", "/_tidegate/cache/top?count=0")[0] == 400
    unsigned = raw.request(region.nodes[0]["control"], "POST", "/_tidegate/cache/purge", {}, b"{}")
    assert unsigned.status == 403


def test_a_setting_outlives_deployments(client, stage, update):
    update(("replace", "/*/*/caching/enabled", "true"), ("replace", "/cacheClusterEnabled", "true"))
    client.create_deployment(**stage)
    found = client.get_stage(**stage)
    assert found["methodSettings"]["*/*"]["cachingEnabled"] is True and found["cacheClusterStatus"] == "AVAILABLE"
    with pytest.raises(ClientError):
        client.update_stage(**stage, patchOperations=patch(("replace", "/tidegateCache/epoch", "1")))
