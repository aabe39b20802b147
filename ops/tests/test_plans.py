"""Usage plans, the keys in them, the account, and what a question about usage must look like."""

import uuid

import pytest

from support.apis import patch, refused, without_metadata

NO_PLAN = ("NotFoundException", 404, "Invalid Usage Plan ID specified")
NO_KEY = ("NotFoundException", 404, "Invalid API Key identifier specified")
BAD, CONFLICT = ("BadRequestException", 400), ("ConflictException", 409)


@pytest.fixture
def make_plan(client):
    """Makes usage plans that go when the test is over."""
    made = []

    def make(name=None, **settings):
        plan = without_metadata(client.create_usage_plan(name=name or f"t-{uuid.uuid4().hex[:12]}", **settings))
        made.append(plan["id"])
        return plan

    yield make
    for one in made:
        try:
            stages = client.get_usage_plan(usagePlanId=one)["apiStages"]
            operations = patch(*[("remove", "/apiStages", f"{stage['apiId']}:{stage['stage']}") for stage in stages])
            client.update_usage_plan(usagePlanId=one, patchOperations=operations)
            client.delete_usage_plan(usagePlanId=one)
        except client.exceptions.NotFoundException:
            pass


@pytest.fixture
def make_key(client):
    made = []

    def make(**settings):
        made.append(client.create_api_key(enabled=True, **settings))
        return made[-1]

    yield make
    for one in made:
        client.delete_api_key(apiKey=one["id"])


@pytest.fixture
def staged(make_api):
    """An API with a stage called dev."""
    api = make_api().mock("/pets")
    api.deploy()
    return api


def update(client, plan, *operations):
    return without_metadata(client.update_usage_plan(usagePlanId=plan, patchOperations=patch(*operations)))


def test_a_plan_from_birth_to_death(client, make_plan, staged):
    settings = {
        "description": "text", "tags": {"tag_key": "tag_value"},
        "apiStages": [{"apiId": staged.id, "stage": "dev", "throttle": {"/pets/GET": {"burstLimit": 3, "rateLimit": 4.5}}}],
        "throttle": {"burstLimit": 1, "rateLimit": 2.0}, "quota": {"limit": 10, "offset": 0, "period": "DAY"},
    }
    made = make_plan("gold", **settings)
    assert made == {"id": made["id"], "name": "gold"} | settings
    assert without_metadata(client.get_usage_plan(usagePlanId=made["id"])) == made
    assert made in client.get_usage_plans(limit=500)["items"]
    message = f"Cannot delete Usage Plan {made['id']} because there are API Stages associated with it, including {staged.id}:dev"
    assert refused(client.delete_usage_plan, usagePlanId=made["id"]) == (*BAD, message)
    update(client, made["id"], ("remove", "/apiStages", f"{staged.id}:dev"))
    client.delete_usage_plan(usagePlanId=made["id"])
    for call in (client.get_usage_plan, client.delete_usage_plan):
        assert refused(call, usagePlanId=made["id"]) == NO_PLAN


def test_a_bare_plan(client, make_plan):
    made = make_plan("bare")
    assert made == {"id": made["id"], "name": "bare", "apiStages": []}
    assert without_metadata(client.get_usage_plan(usagePlanId=made["id"])) == made | {"tags": {}}


def test_updates(client, make_plan, staged):
    plan = make_plan(apiStages=[{"apiId": staged.id, "stage": "dev"}])["id"]
    dev = f"{staged.id}:dev"
    updated = update(
        client, plan, ("replace", "/name", "new"), ("replace", "/description", "text"), ("add", "/productCode", "code"),
        ("replace", "/throttle/rateLimit", "200"), ("replace", "/throttle/burstLimit", "100"),
        ("replace", "/quota/limit", "500"), ("replace", "/quota/offset", "2"), ("replace", "/quota/period", "MONTH"),
        ("replace", f"/apiStages/{dev}/throttle/~1pets/GET/rateLimit", "1.5"),
        ("replace", f"/apiStages/{dev}/throttle//pets/GET/burstLimit", "7"),
    )
    stage = {"apiId": staged.id, "stage": "dev", "throttle": {"/pets/GET": {"rateLimit": 1.5, "burstLimit": 7}}}
    assert updated == {
        "id": plan, "name": "new", "description": "text", "productCode": "code", "tags": {}, "apiStages": [stage],
        "throttle": {"rateLimit": 200.0, "burstLimit": 100}, "quota": {"limit": 500, "offset": 2, "period": "MONTH"},
    }
    less = update(
        client, plan, ("remove", "/throttle"), ("remove", "/quota"), ("remove", "/productCode"),
        ("remove", f"/apiStages/{dev}/throttle/~1pets/GET"),
    )
    assert less["apiStages"] == [{"apiId": staged.id, "stage": "dev"}] and not {"throttle", "quota", "productCode"} & set(less)
    assert without_metadata(client.get_usage_plan(usagePlanId=plan)) == less


REFUSED = [
    ({"apiStages": [{"apiId": "nope", "stage": "dev"}]}, ("NotFoundException", 404), "Invalid API Stage {api: nope, stage: dev} specified for usageplan "),
    ({"apiStages": [{"apiId": "", "stage": "dev"}]}, BAD, "Invalid API Stage specified"),
    ({"throttle": {"rateLimit": -1.0}}, BAD, "Invalid value '-1' specified for throttle rate limit, must be a number of at least 0"),
    ({"throttle": {"burstLimit": -1}}, BAD, "Invalid value '-1' specified for throttle burst limit, "),
    ({"quota": {"limit": -1, "period": "DAY"}}, BAD, "Invalid value '-1' specified for quota limit, "),
    ({"quota": {"limit": 1, "period": "YEAR"}}, ("ValidationException", 400), "1 validation error detected: Value 'YEAR' at 'createUsagePlanInput.quota.period'"),
    ({"quota": {"limit": 1, "offset": 1, "period": "DAY"}}, BAD, "Usage Plan quota offset must be zero in the DAY period"),
    ({"quota": {"limit": 1, "offset": 7, "period": "WEEK"}}, BAD, "Usage Plan quota offset must be between 0 and 6 inclusive in the WEEK period"),
    ({"quota": {"limit": 1, "offset": 28, "period": "MONTH"}}, BAD, "Usage Plan quota offset must be between 0 and 27 inclusive in the MONTH period"),
    ({"tags": {"tidegate:isolated": "open"}}, BAD, "Invalid value 'open' of tag tidegate:isolated: must be even, last or closed"),
]


@pytest.mark.parametrize("settings, kind, message", REFUSED, ids=[f"{next(iter(case[0]))}-{number}" for number, case in enumerate(REFUSED)])
def test_refusals(client, settings, kind, message):
    found = refused(client.create_usage_plan, name="refused", **settings)
    assert found[:2] == kind and found[2].startswith(message), found


def test_wrong_paths(client, make_plan, staged):
    plan = make_plan(apiStages=[{"apiId": staged.id, "stage": "dev"}])["id"]
    path = f"/apiStages/{staged.id}:dev"
    found = refused(client.update_usage_plan, usagePlanId=plan, patchOperations=patch(("remove", path)))
    assert found == (*BAD, f"Invalid patch path  '{path}' specified for op 'remove'. Must be one of: [/apiStages, /quota, /throttle, "
                     "/productCode, /apiStages/<apidId:stageName>/throttle/<resourcePath>/<httpMethod>, /apiStages/<apidId:stageName>/throttle]")
    found = refused(client.update_usage_plan, usagePlanId=plan, patchOperations=patch(("remove", "/apiStages")))
    assert found == (*BAD, "Invalid API Stage specified")
    found = refused(client.update_usage_plan, usagePlanId=plan, patchOperations=patch(("add", "/apiStages", f"{staged.id}:nope")))
    assert found == ("NotFoundException", 404, f"Invalid API Stage {{api: {staged.id}, stage: nope}} specified for usageplan {plan}")


def test_keys_in_plans(client, make_plan, make_key):
    plans = sorted(make_plan()["id"] for _ in range(2))
    key = make_key(name="member")
    expect = {"id": key["id"], "type": "API_KEY", "name": "member", "value": key["value"]}
    for plan in plans:
        at = {"usagePlanId": plan, "keyId": key["id"]}
        assert without_metadata(client.create_usage_plan_key(**at, keyType="API_KEY")) == expect
        assert without_metadata(client.get_usage_plan_key(**at)) == expect
        assert client.get_usage_plan_keys(usagePlanId=plan)["items"] == [expect]
        assert client.get_usage_plan_keys(usagePlanId=plan, nameQuery="other")["items"] == []
        assert refused(client.create_usage_plan_key, **at, keyType="API_KEY")[:2] == CONFLICT
    assert [plan["id"] for plan in client.get_usage_plans(keyId=key["id"])["items"]] == plans
    client.delete_usage_plan_key(usagePlanId=plans[0], keyId=key["id"])
    assert refused(client.get_usage_plan_key, usagePlanId=plans[0], keyId=key["id"]) == NO_KEY
    assert [plan["id"] for plan in client.get_usage_plans(keyId=key["id"])["items"]] == plans[1:]
    assert refused(client.create_usage_plan_key, usagePlanId=plans[0], keyId="nope", keyType="API_KEY") == NO_KEY
    assert refused(client.create_usage_plan_key, usagePlanId="nope", keyId=key["id"], keyType="API_KEY") == NO_PLAN


def test_one_plan_per_key_and_stage(client, make_plan, make_key, staged):
    stage = {"apiId": staged.id, "stage": "dev"}
    first, second = make_plan(apiStages=[stage])["id"], make_plan(apiStages=[stage])["id"]
    key = make_key()["id"]
    client.create_usage_plan_key(usagePlanId=first, keyId=key, keyType="API_KEY")
    found = refused(client.create_usage_plan_key, usagePlanId=second, keyId=key, keyType="API_KEY")
    assert found[:2] == CONFLICT and first in found[2] and f"{{api: {staged.id}, stage: dev}}" in found[2]


def test_what_is_deleted_leaves_its_plans(client, make_plan, make_key, make_api):
    api = make_api().mock("/a")
    api.deploy("one")
    api.deploy("two")
    stages = [{"apiId": api.id, "stage": name} for name in ("one", "two")]
    plan, key = make_plan(apiStages=stages)["id"], client.create_api_key()["id"]
    client.create_usage_plan_key(usagePlanId=plan, keyId=key, keyType="API_KEY")
    client.delete_stage(restApiId=api.id, stageName="one")
    assert client.get_usage_plan(usagePlanId=plan)["apiStages"] == stages[1:]
    api.delete()
    assert client.get_usage_plan(usagePlanId=plan)["apiStages"] == []
    client.delete_api_key(apiKey=key)
    assert client.get_usage_plan_keys(usagePlanId=plan)["items"] == []


def test_lists_in_pages(client, make_plan, make_key):
    plan = make_plan()["id"]
    keys = {make_key(name=f"paged-{number}")["id"] for number in range(5)}
    for key in keys:
        client.create_usage_plan_key(usagePlanId=plan, keyId=key, keyType="API_KEY")
    pages = list(client.get_paginator("get_usage_plan_keys").paginate(usagePlanId=plan, PaginationConfig={"PageSize": 2}))
    assert [len(page["items"]) for page in pages] == [2, 2, 1]
    assert {item["id"] for page in pages for item in page["items"]} == keys
    make_plan()
    pages = list(client.get_paginator("get_usage_plans").paginate(PaginationConfig={"PageSize": 1}))
    assert plan in [item["id"] for page in pages for item in page["items"]]


def test_tags(client, region, make_plan):
    plan = make_plan(tags={"tidegate:strict": "true"})["id"]
    arn = f"arn:aws:apigateway:{region.dev['region']}::/usageplans/{plan}"
    client.tag_resource(resourceArn=arn, tags={"tidegate:scope": "global", "team": "blue"})
    found = refused(client.tag_resource, resourceArn=arn, tags={"tidegate:isolated": "even"})
    assert found == (*BAD, "Invalid value 'even' of tag tidegate:isolated: must be closed, or absent, where tidegate:strict is true")
    client.untag_resource(resourceArn=arn, tagKeys=["tidegate:strict", "team"])
    assert client.get_tags(resourceArn=arn)["tags"] == {"tidegate:scope": "global"} == client.get_usage_plan(usagePlanId=plan)["tags"]


def test_questions_about_usage(client, make_plan, make_key):
    plan, key = make_plan()["id"], make_key()["id"]
    days = {"startDate": "2026-01-01", "endDate": "2026-01-31"}
    assert refused(client.get_usage, usagePlanId="nope", **days) == NO_PLAN
    assert refused(client.get_usage, usagePlanId=plan, keyId=key, **days) == NO_KEY
    wrong = days | {"startDate": "2026-02-30"}
    assert refused(client.get_usage, usagePlanId=plan, **wrong) == (*BAD, "Invalid startDate '2026-02-30' specified, must be a date like 2026-01-31")
    backwards = {"startDate": "2026-01-31", "endDate": "2026-01-01"}
    assert refused(client.get_usage, usagePlanId=plan, **backwards) == (*BAD, "startDate 2026-01-31 must not be after endDate 2026-01-01")
    empty = without_metadata(client.get_usage(usagePlanId=plan, **days))
    assert empty == {"usagePlanId": plan, "items": {}} | days
    operation = patch(("replace", "/remaining", "5"))
    assert refused(client.update_usage, usagePlanId=plan, keyId=key, patchOperations=operation) == NO_KEY
    client.create_usage_plan_key(usagePlanId=plan, keyId=key, keyType="API_KEY")
    assert refused(client.update_usage, usagePlanId=plan, keyId=key, patchOperations=operation) == (*BAD, f"Usage Plan {plan} has no quota")
    found = refused(client.update_usage, usagePlanId=plan, keyId=key, patchOperations=patch(("replace", "/remaining", "-5")))
    assert found[:2] == BAD and "'-5'" in found[2]


def test_the_account(own_region):
    client = own_region.client()
    fresh = {"throttleSettings": {"burstLimit": 5000, "rateLimit": 10000.0}, "features": ["UsagePlans"], "apiKeyVersion": "4"}
    assert without_metadata(client.get_account()) == fresh
    operations = patch(("replace", "/throttleSettings/rateLimit", "12.5"), ("replace", "/throttleSettings/burstLimit", "7"), ("add", "/features", "UsagePlans"))
    updated = without_metadata(client.update_account(patchOperations=operations))
    assert updated == fresh | {"throttleSettings": {"burstLimit": 7, "rateLimit": 12.5}} == without_metadata(client.get_account())
    operations = patch(("remove", "/throttleSettings/rateLimit"), ("remove", "/throttleSettings/burstLimit"))
    assert without_metadata(client.update_account(patchOperations=operations)) == fresh
    found = refused(client.update_account, patchOperations=patch(("remove", "/features", "UsagePlans")))
    assert found == (*BAD, "Usage Plans cannot be disabled once enabled")
    found = refused(client.update_account, patchOperations=patch(("replace", "/cloudwatchRoleArn", "arn:aws:iam::1:role/x")))
    assert found[:2] == BAD and "cloudwatchRoleArn" in found[2] and "not supported" in found[2]
