"""API keys: created, read with and without their values, searched, changed, imported; and that no node keeps a value."""

import datetime
import json
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from support.apis import patch, refused, without_metadata

AWS = Path(sys.executable).parent / "aws"
NO_KEY = ("NotFoundException", 404, "Invalid API Key identifier specified")


@pytest.fixture
def make_key(client):
    """Makes API keys that go when the test is over."""
    made = []

    def make(**settings):
        key = client.create_api_key(**settings)
        made.append(key["id"])
        return without_metadata(key)

    yield make
    for one in made:
        try:
            client.delete_api_key(apiKey=one)
        except client.exceptions.NotFoundException:
            pass


def value():
    return f"test-{uuid.uuid4().hex}"


def every(call, **arguments):
    """The items of all pages."""
    items, position = [], None
    while True:
        answer = call(**arguments, **({"position": position} if position else {}))
        items += answer["items"]
        position = answer.get("position")
        if not position:
            return items


def test_a_key_from_birth_to_death(client, make_key):
    made = make_key(name="birth", description="text", enabled=True)
    assert len(made["value"]) == 40 and made["value"].isalnum() and made["value"] != made["id"]
    assert (made["name"], made["description"], made["enabled"], made["stageKeys"]) == ("birth", "text", True, [])
    assert isinstance(made["createdDate"], datetime.datetime) and made["createdDate"] == made["lastUpdatedDate"]
    found = without_metadata(client.get_api_key(apiKey=made["id"]))
    assert "value" not in found and found.pop("tags") == {}
    assert found | {"value": made["value"]} == made
    assert client.get_api_key(apiKey=made["id"], includeValue=True)["value"] == made["value"]
    client.delete_api_key(apiKey=made["id"])
    for call in (client.get_api_key, client.delete_api_key):
        assert refused(call, apiKey=made["id"]) == NO_KEY


def test_what_is_not_asked_for(client, make_key):
    made = make_key()
    assert made["enabled"] is False and not {"name", "description", "customerId", "tags"} & set(made)
    tagged = make_key(name="", customerId="c", tags={"team": "blue"}, generateDistinctId=False)
    assert "name" not in tagged and tagged["customerId"] == "c" and tagged["tags"] == {"team": "blue"}
    assert tagged["id"] != tagged["value"]


def test_values(client, make_key):
    mine = value()
    assert make_key(value=mine)["value"] == mine
    assert refused(client.create_api_key, value=mine) == ("ConflictException", 409, "API Key already exists")
    for text, message in (
        ("x" * 19, "API Key value should be at least 20 characters"),
        ("x" * 129, "API Key value exceeds maximum size of 128 characters"),
    ):
        assert refused(client.create_api_key, value=text) == ("BadRequestException", 400, message)
    for length in (20, 128):
        assert len(make_key(value=(value() * 4)[:length])["value"]) == length
    assert refused(client.create_api_key, name="n" * 1025)[2] == "Invalid API Key name, can be at most 1024 characters."


def test_lists_are_searched_and_paged(client, make_key):
    prefix = uuid.uuid4().hex[:8]
    made = {make_key(name=f"{prefix}-{number}", customerId=f"{prefix}-{number % 2}")["id"] for number in range(7)}
    assert {key["id"] for key in every(client.get_api_keys, nameQuery=prefix, limit=2)} == made
    assert made <= {key["id"] for key in every(client.get_api_keys, limit=500)}
    assert len(every(client.get_api_keys, customerId=f"{prefix}-1", limit=2)) == 3
    assert every(client.get_api_keys, nameQuery=f"{prefix}-none") == []
    paginator = client.get_paginator("get_api_keys").paginate(nameQuery=prefix, PaginationConfig={"PageSize": 3})
    assert [len(page["items"]) for page in paginator] == [3, 3, 1]
    assert all("value" not in key for key in every(client.get_api_keys, nameQuery=prefix))
    assert all(len(key["value"]) == 40 for key in every(client.get_api_keys, nameQuery=prefix, includeValues=True))


def test_updates(client, make_key, make_api):
    api = make_api().mock("/a")
    api.deploy()
    key = make_key(name="old", enabled=True)["id"]
    operations = patch(
        ("replace", "/name", "new"), ("replace", "/description", "text"), ("replace", "/enabled", "false"),
        ("replace", "/customerId", "c"), ("add", "/stages", f"{api.id}/dev"),
    )
    updated = without_metadata(client.update_api_key(apiKey=key, patchOperations=operations))
    expect = {"name": "new", "description": "text", "enabled": False, "customerId": "c", "stageKeys": [f"{api.id}/dev"], "tags": {}}
    assert {name: updated[name] for name in expect} == expect and "value" not in updated
    assert without_metadata(client.get_api_key(apiKey=key)) == updated
    gone = client.update_api_key(apiKey=key, patchOperations=patch(("remove", "/stages", f"{api.id}/dev")))
    assert gone["stageKeys"] == []
    code, status, message = refused(client.update_api_key, apiKey=key, patchOperations=patch(("replace", "/value", value())))
    assert (code, status) == ("BadRequestException", 400)
    assert message.startswith("Invalid patch path  '/value' specified for op 'replace'. Must be one of: [")


def test_tags(client, region, make_key):
    key = make_key()["id"]
    arn = f"arn:aws:apigateway:{region.dev['region']}::/apikeys/{key}"
    client.tag_resource(resourceArn=arn, tags={"a": "1", "b": "2"})
    client.untag_resource(resourceArn=arn, tagKeys=["a"])
    assert client.get_tags(resourceArn=arn)["tags"] == {"b": "2"} == client.get_api_key(apiKey=key)["tags"]


def test_import(client, make_key):
    first, second = value(), value()
    plan = client.create_usage_plan(name="imported")["id"]
    try:
        file = f"name,KEY,Enabled,UsagePlanIds\nfirst,{first},FALSE,\"{plan}\"\nsecond,{second},,\n"
        answer = client.import_api_keys(body=file.encode(), format="csv", failOnWarnings=True)
        assert answer["warnings"] == [] and len(answer["ids"]) == 2
        keys = [client.get_api_key(apiKey=key, includeValue=True) for key in answer["ids"]]
        assert [(key["name"], key["enabled"], key["value"]) for key in keys] == [("first", False, first), ("second", True, second)]
        assert [key["id"] for key in client.get_usage_plan_keys(usagePlanId=plan)["items"]] == answer["ids"][:1]
        bad = f"Name,Key\nshort,short\nfirst again,{first}\n".encode()
        assert refused(client.import_api_keys, body=bad, format="csv", failOnWarnings=True)[:2] == ("BadRequestException", 400)
        partly = client.import_api_keys(body=bad, format="csv", failOnWarnings=False)
        assert partly["ids"] == answer["ids"][:1] and len(partly["warnings"]) == 1 and "Line 2" in partly["warnings"][0]
        assert client.get_api_key(apiKey=answer["ids"][0])["name"] == "first again"
        for key in answer["ids"]:
            client.delete_api_key(apiKey=key)
    finally:
        client.delete_usage_plan(usagePlanId=plan)


def test_the_command_line(region, client):
    def aws(*words):
        done = subprocess.run([str(AWS), "apigateway", *words, "--output", "json"], env=region.environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout or "null")

    key = aws("create-api-key", "--name", "Dev API Key", "--description", "Used for development", "--enabled")
    try:
        assert key["enabled"] is True
        assert aws("get-api-key", "--api-key", key["id"], "--include-value")["value"] == key["value"]
        changed = aws("update-api-key", "--api-key", key["id"], "--patch-operations", "op=replace,path=/name,value=newName")
        assert changed["name"] == "newName"
        assert key["id"] in [item["id"] for item in aws("get-api-keys", "--name-query", "newName")["items"]]
    finally:
        aws("delete-api-key", "--api-key", key["id"])


def test_no_node_keeps_a_value(own_region):
    client = own_region.client()
    mine = value()
    keys = [client.create_api_key(value=mine), client.create_api_key()]
    values = [key["value"] for key in keys]
    own_region.stop()
    files = [path for path in own_region.data.rglob("*") if path.is_file()]
    assert any(keys[0]["id"].encode() in path.read_bytes() for path in files), "the keys are in these files"
    for path in files:
        content = path.read_bytes()
        for text in values:
            assert text.encode() not in content, path
    own_region.start()
    client = own_region.client()
    for key, text in zip(keys, values):
        assert client.get_api_key(apiKey=key["id"], includeValue=True)["value"] == text
    own_region.tidegate("dev", "reset")
    assert client.get_api_keys()["items"] == [] and client.get_usage_plans()["items"] == []
