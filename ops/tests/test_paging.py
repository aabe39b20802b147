"""Lists in pages, tags, and ids that a caller chooses."""

import uuid

import pytest
from botocore.exceptions import ClientError


def pages(call, **arguments):
    """All items of a list operation and the sizes of its pages."""
    items, sizes, position = [], [], None
    for _ in range(50):
        answer = call(**arguments, **({"position": position} if position else {}))
        items += answer["items"]
        sizes.append(len(answer["items"]))
        position = answer.get("position")
        if not position:
            return items, sizes
    raise AssertionError("paging never ends")


def test_resources_in_pages(client, make_api):
    api = make_api()
    for number in range(30):
        api.resource(f"/r{number:02}")
    items, sizes = pages(client.get_resources, restApiId=api.id)
    assert sizes == [25, 6]
    assert [item["path"] for item in items] == sorted(api.paths)
    items, sizes = pages(client.get_resources, restApiId=api.id, limit=10)
    assert sizes == [10, 10, 10, 1] and len({item["id"] for item in items}) == 31
    items, sizes = pages(client.get_resources, restApiId=api.id, limit=500)
    assert sizes == [31]


def test_boto3_paginators(client, make_api):
    api = make_api()
    for number in range(7):
        api.resource(f"/r{number}")
    answers = list(client.get_paginator("get_resources").paginate(restApiId=api.id, PaginationConfig={"PageSize": 3}))
    assert [len(answer["items"]) for answer in answers] == [3, 3, 2]


def test_rest_apis_and_deployments_in_pages(client, make_api):
    made = [make_api(f"paged-{number}") for number in range(4)]
    items, sizes = pages(client.get_rest_apis, limit=2)
    assert {api.id for api in made} <= {item["id"] for item in items} and set(sizes[:-1]) == {2}
    api = made[0].mock("/a")
    ids = {api.client.create_deployment(restApiId=api.id)["id"] for _ in range(5)}
    items, sizes = pages(client.get_deployments, restApiId=api.id, limit=2)
    assert {item["id"] for item in items} == ids and sizes == [2, 2, 1]


def test_a_page_survives_changes_between_calls(client, make_api):
    api = make_api()
    for number in range(6):
        api.resource(f"/r{number}")
    first = client.get_resources(restApiId=api.id, limit=3)
    client.delete_resource(restApiId=api.id, resourceId=api.paths["/r0"])
    rest = client.get_resources(restApiId=api.id, limit=25, position=first["position"])
    seen = [item["path"] for item in first["items"] + rest["items"]]
    assert sorted(seen) == sorted(set(seen)) and {"/r2", "/r5"} <= set(seen)


@pytest.mark.parametrize("arguments", [{"limit": 0}, {"limit": -1}, {"position": "!nonsense!"}])
def test_bad_pages(client, arguments):
    with pytest.raises(ClientError) as error:
        client.get_rest_apis(**arguments)
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert str(*arguments.values()) in error.value.response["Error"]["Message"]


def test_tags(client, region, make_api):
    api = make_api(tags={"team": "a"}).mock("/m")
    arn = f"arn:aws:apigateway:{region.dev['region']}::/restapis/{api.id}"
    assert client.get_tags(resourceArn=arn)["tags"] == {"team": "a"}
    done = client.tag_resource(resourceArn=arn, tags={"team": "b", "cost centre": "7/8"})
    assert done["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert client.get_rest_api(restApiId=api.id)["tags"] == {"team": "b", "cost centre": "7/8"}
    assert client.untag_resource(resourceArn=arn, tagKeys=["cost centre"])["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert client.get_tags(resourceArn=arn)["tags"] == {"team": "b"}
    client.create_deployment(restApiId=api.id, stageName="dev")
    stage = f"{arn}/stages/dev"
    client.tag_resource(resourceArn=stage, tags={"env": "dev"})
    assert client.get_stage(restApiId=api.id, stageName="dev")["tags"] == {"env": "dev"}


@pytest.mark.parametrize("tag", ["_custom_id_", "tidegate:id"])
def test_an_id_of_ones_own(client, region, make_api, everywhere, tag):
    name = f"c{uuid.uuid4().hex[:9]}"
    api = make_api(tags={tag: name}).mock("/m", body={"custom": True})
    assert api.id == name
    api.deploy()
    everywhere(name, "dev", "/m", expect={"custom": True})
    with pytest.raises(ClientError) as error:
        client.create_rest_api(name="again", tags={tag: name})
    assert (error.value.response["Error"]["Code"], error.value.response["ResponseMetadata"]["HTTPStatusCode"]) == ("ConflictException", 409)
    assert name in error.value.response["Error"]["Message"]


@pytest.mark.parametrize("bad", ["a b", "a/b", "", "x" * 65, "a.b"])
def test_an_id_that_cannot_be_a_host_label_is_refused(client, bad):
    with pytest.raises(ClientError) as error:
        client.create_rest_api(name="bad", tags={"_custom_id_": bad})
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
