"""Bounds of the control plane: what is over one is refused with the number in its text, and changes nothing."""

import json

import pytest
from botocore.exceptions import ClientError

from support import raw
from support.apis import patch
from support.signing import signed


def refused(call, **arguments):
    with pytest.raises(ClientError) as error:
        call(**arguments)
    response = error.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Message"]


def test_deployments_of_an_api(client, make_api):
    api = make_api().mock("/m")
    for _ in range(100):
        client.create_deployment(restApiId=api.id)
    code, status, message = refused(client.create_deployment, restApiId=api.id)
    assert (code, status) == ("LimitExceededException", 429) and "100" in message
    oldest = client.get_deployments(restApiId=api.id, limit=1)["items"][0]["id"]
    client.delete_deployment(restApiId=api.id, deploymentId=oldest)
    client.create_deployment(restApiId=api.id)


def test_tags_of_an_api(client):
    code, status, message = refused(client.create_rest_api, name="x", tags={f"t{number}": "v" for number in range(51)})
    assert (code, status) == ("BadRequestException", 400) and "50" in message and "51" in message


def test_stage_variables(client, make_api):
    api = make_api().mock("/m")
    variables = {f"v{number}": "1" for number in range(101)}
    code, status, message = refused(client.create_deployment, restApiId=api.id, stageName="dev", variables=variables)
    assert status == 400 and "100" in message and "101" in message
    assert client.get_deployments(restApiId=api.id)["items"] == []
    for bad in ({"n": "x" * 513}, {"x" * 65: "n"}, {"a b": "c"}, {"a": "b c"}):
        assert refused(client.create_deployment, restApiId=api.id, stageName="dev", variables=bad)[1] == 400, bad


def test_patch_operations(client, make_api):
    operations = patch(*[("replace", "/name", "x")] * 501)
    code, status, message = refused(client.update_rest_api, restApiId=make_api("kept").id, patchOperations=operations)
    assert status == 400 and "500" in message and "501" in message


def test_the_size_of_a_template(client, make_api):
    api = make_api().method("/m")
    large = {"application/json": "x" * (300 * 1024 + 1)}
    code, status, message = refused(client.put_integration, **api.at("/m", "GET"), type="MOCK", requestTemplates=large)
    assert status == 400 and "307200" in message and "application/json" in message


def test_the_size_of_a_document(client, region):
    body = json.dumps({"openapi": "3.0.1", "info": {"title": "large", "version": "1", "description": "x" * (6 * 1024 * 1024)}, "paths": {}}).encode()
    headers = signed(region, "POST", "/restapis?mode=import", body)
    answer = raw.request(region.dev["control"], "POST", "/restapis?mode=import", headers, body)
    assert answer.status == 413 and answer.header("x-amzn-ErrorType") == "RequestEntityTooLargeException", answer
    assert "6291456" in answer.json["message"]


@pytest.mark.parametrize("body", [b"{", b"[]", b"null", b'"x"', b'{"name": 5}', b"\xff\xfe", b'{"name": "a", "name": ', b"[" * 5_000])
def test_bodies_that_are_not_what_they_should_be(region, body):
    headers = signed(region, "POST", "/restapis", body, headers={"Content-Type": "application/json"})
    answer = raw.request(region.dev["control"], "POST", "/restapis", headers, body)
    assert answer.status == 400 and answer.header("x-amzn-ErrorType") and answer.json["message"], answer


@pytest.mark.parametrize("target", ["/restapis/%2e%2e/stages", "/restapis/a%2Fb", "/restapis/%00", "/restapis//resources", "/restapis/" + "a" * 3_000, "/tags/%ff"])
def test_odd_paths_are_answered(region, target):
    answer = raw.request(region.dev["control"], "GET", target, signed(region, "GET", target))
    assert 400 <= answer.status < 500 and answer.header("x-amzn-ErrorType"), answer
