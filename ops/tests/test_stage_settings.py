"""Settings per method of a stage, as the clients that write them send them, and tags that say how limits are kept."""

import re

import pytest

from support.apis import patch, refused

DEFAULT = {
    "metricsEnabled": False, "dataTraceEnabled": False, "throttlingBurstLimit": 5000, "throttlingRateLimit": 10000.0,
    "cachingEnabled": False, "cacheTtlInSeconds": 300, "cacheDataEncrypted": False, "requireAuthorizationForCacheControl": True,
    "unauthorizedCacheControlHeaderStrategy": "SUCCEED_WITH_RESPONSE_HEADER",
}


@pytest.fixture
def stage(make_api):
    api = make_api().mock("/pets")
    api.deploy()
    return {"restApiId": api.id, "stageName": "dev"}


@pytest.fixture
def update(client, stage):
    return lambda *operations: client.update_stage(**stage, patchOperations=patch(*operations))["methodSettings"]


CASES = [
    ("/*/*/throttling/burstLimit", "123", "*/*", {"throttlingBurstLimit": 123}),
    ("/*/*/throttling/rateLimit", "-1.000000", "*/*", {"throttlingRateLimit": -1.0}),
    ("/~1pets/GET/throttling/rateLimit", "2.5", "~1pets/GET", {"throttlingRateLimit": 2.5}),
    ("/pets/GET/throttling/burstLimit", "0", "pets/GET", {"throttlingBurstLimit": 0}),
    ("/~1/GET/throttling/burstLimit", "1", "~1/GET", {"throttlingBurstLimit": 1}),
    ("/~1pets~1{id}/ANY/throttling/burstLimit", "-1", "~1pets~1{id}/ANY", {"throttlingBurstLimit": -1}),
    ("/~1pets/GET/logging/loglevel", "OFF", "~1pets/GET", {"loggingLevel": "OFF"}),
    ("/~1pets/GET/caching/ttlInSeconds", "300", "~1pets/GET", {}),
]


@pytest.mark.parametrize("path, value, name, expect", CASES, ids=[case[0] for case in CASES])
def test_one_value_brings_the_whole_setting(client, stage, update, path, value, name, expect):
    settings = {name: DEFAULT | expect}
    assert update(("replace", path, value)) == settings
    assert client.get_stage(**stage)["methodSettings"] == settings
    assert client.get_stages(restApiId=stage["restApiId"])["item"][0]["methodSettings"] == settings
    assert update(("remove", f"/{name}")) == {}


def test_settings_outlive_deployments(client, stage, update):
    update(("replace", "/*/*/throttling/rateLimit", "9"))
    client.create_deployment(**stage)
    assert client.get_stage(**stage)["methodSettings"] == {"*/*": DEFAULT | {"throttlingRateLimit": 9.0}}


REFUSED = [
    (("replace", "/*/*/throttling/rateLimit", "x"), re.compile("Invalid value 'x' specified for throttling rate limit")),
    (("replace", "/*/*/throttling/burstLimit", "-2"), re.compile("Invalid value '-2' specified for throttling burst limit")),
    (("replace", "/*/*/metrics/enabled", "true"), re.compile("not supported .*metrics/enabled, value true")),
    (("replace", "/~1pets/GET/logging/loglevel", "INFO"), re.compile("not supported .*logging/loglevel, value INFO")),
    (("replace", "/~1pets/*/throttling/burstLimit", "1"), re.compile("not supported .*~1pets/\\*")),
    (("replace", "/{proxy+}/ANY//throttling/burstLimit", "1"), re.compile("^Invalid method setting path: /{proxy\\+}/ANY//throttling/burstLimit. Must be one of: \\[")),
    (("remove", "/*/*"), re.compile("^Cannot remove method setting \\*/\\* because there is no method setting for this method $")),
    (("remove", "/*/*/throttling/rateLimit"), re.compile("^Cannot remove method setting \\*/\\*/throttling/rateLimit because there is no")),
]


@pytest.mark.parametrize("operation, expect", REFUSED, ids=[f"{case[0][0]}-{case[0][1]}" for case in REFUSED])
def test_refusals(client, stage, operation, expect):
    code, status, message = refused(client.update_stage, **stage, patchOperations=patch(operation))
    assert (code, status) == ("BadRequestException", 400) and expect.search(message), message
    assert client.get_stage(**stage)["methodSettings"] == {}


def test_tags_that_say_how_limits_are_kept(client, region, stage):
    arn = f"arn:aws:apigateway:{region.dev['region']}::/restapis/{stage['restApiId']}/stages/dev"
    good = {
        "tidegate:isolated": "last", "tidegate:scope": "region", "tidegate:rate-limit-headers": "true",
        "tidegate:stage-rate-limit": "100.5", "tidegate:stage-burst-limit": "10",
    }
    client.tag_resource(resourceArn=arn, tags=good)
    for tag, value in (("strict", "true"), ("strict", "1"), ("scope", "x"), ("stage-rate-limit", "-1"), ("stage-burst-limit", "0.5"), ("rate-limit-headers", "on")):
        code, status, message = refused(client.tag_resource, resourceArn=arn, tags={f"tidegate:{tag}": value})
        assert (code, status) == ("BadRequestException", 400) and message.startswith("Invalid value '"), message
    _, status, message = refused(client.untag_resource, resourceArn=arn, tagKeys=["tidegate:stage-rate-limit"])
    assert status == 400 and "tidegate:stage-burst-limit" in message
    assert client.get_tags(resourceArn=arn)["tags"] == good
    deployment = client.get_stage(**stage)["deploymentId"]
    settings = {"restApiId": stage["restApiId"], "stageName": "other", "deploymentId": deployment, "tags": {"tidegate:strict": "maybe"}}
    found = refused(client.create_stage, **settings)
    assert found == ("BadRequestException", 400, "Invalid value 'maybe' of tag tidegate:strict: must be true or false")
