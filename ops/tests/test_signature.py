"""Every control call is signed: what happens when it is not, or wrongly."""

import datetime

import pytest
from botocore.exceptions import ClientError

from support import raw
from support.signing import signed, wrong_clock

FORBIDDEN = 403


def refused(client):
    with pytest.raises(ClientError) as error:
        client.get_rest_apis()
    response = error.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Message"]


def ask(region, headers, method="GET", target="/restapis", body=None):
    return raw.request(region.dev["control"], method, target, headers, body)


def test_a_signed_request_passes(region):
    answer = ask(region, signed(region))
    assert answer.status == 200 and "item" in answer.json


def test_a_wrong_secret(region):
    code, status, message = refused(region.client(aws_secret_access_key="w" * 40))
    assert (code, status) == ("InvalidSignatureException", FORBIDDEN)
    assert message.startswith("The request signature we calculated does not match the signature you provided.")


def test_an_unknown_access_key(region):
    code, status, message = refused(region.client(aws_access_key_id="AKIAIOSFODNN7EXAMPLE"))
    assert (code, status, message) == ("UnrecognizedClientException", FORBIDDEN, "The security token included in the request is invalid.")


def test_no_signature(control):
    answer = control("GET", "/restapis")
    assert (answer.status, answer.json["message"]) == (FORBIDDEN, "Missing Authentication Token")
    assert answer.header("x-amzn-ErrorType").split(":")[0] == "MissingAuthenticationTokenException"


@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_clock_that_is_wrong(region, minutes):
    clock = datetime.timedelta(minutes=minutes)
    answer = ask(region, signed(region, clock=clock))
    assert (answer.status, answer.header("x-amzn-ErrorType").split(":")[0]) == (FORBIDDEN, "InvalidSignatureException"), answer
    assert answer.json["message"].startswith("Signature expired: " if minutes < 0 else "Signature not yet current: "), answer.json


@pytest.mark.parametrize("minutes", [-4, 4])
def test_a_clock_that_is_a_little_wrong_passes(region, minutes):
    clock = datetime.timedelta(minutes=minutes)
    assert ask(region, signed(region, clock=clock)).status == 200


TAMPERED = {
    "target": {"target": "/restapis?limit=1"},
    "verb": {"method": "POST"},
    "body": {"method": "POST", "body": b'{"name":"forged"}'},
}


@pytest.mark.parametrize("change", TAMPERED.values(), ids=TAMPERED)
def test_a_signature_covers_the_request(region, change):
    answer = ask(region, signed(region), **change)
    assert answer.status == FORBIDDEN, answer
    assert answer.header("x-amzn-ErrorType").split(":")[0] == "InvalidSignatureException"


def test_a_signed_body_cannot_be_exchanged(region, client):
    body = b'{"name":"honest"}'
    headers = signed(region, "POST", body=body, headers={"Content-Type": "application/json"})
    answer = ask(region, headers, "POST", body=body.replace(b"honest", b"forged"))
    assert answer.status == FORBIDDEN, answer
    assert "forged" not in [api["name"] for api in client.get_rest_apis(limit=500)["items"]]


MALFORMED = ["", "Bearer abc", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=a, SignedHeaders=host", "AWS4-HMAC-SHA256 " + "x" * 4000]


@pytest.mark.parametrize("value", MALFORMED)
def test_a_malformed_authorization_header(region, value):
    headers = signed(region) | {"Authorization": value}
    answer = ask(region, headers)
    assert answer.status in (400, FORBIDDEN), answer
    assert answer.header("x-amzn-ErrorType") and answer.json["message"]


@pytest.mark.parametrize("change", [{"service": "s3"}, {"scope_region": "mars-1"}], ids=["service", "region"])
def test_a_signature_for_another_service_or_region(region, change):
    answer = ask(region, signed(region, **change))
    assert (answer.status, answer.header("x-amzn-ErrorType")) == (FORBIDDEN, "InvalidSignatureException"), answer
    assert answer.json["message"].startswith("Credential should be scoped to "), answer.json


def test_a_wrong_signature_at_sts_is_xml(region):
    client = region.client("sts", aws_secret_access_key="w" * 40)
    with pytest.raises(ClientError) as error:
        client.get_caller_identity()
    assert error.value.response["Error"]["Code"] == "SignatureDoesNotMatch"
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == FORBIDDEN


def test_every_node_checks(region):
    for node in region.nodes:
        assert region.client(endpoint_url=node["control"]).get_rest_apis()["ResponseMetadata"]["HTTPStatusCode"] == 200
        assert refused(region.client(endpoint_url=node["control"], aws_secret_access_key="w" * 40))[1] == FORBIDDEN


def test_the_cluster_api_needs_a_signature_too(control):
    for method, path in (("GET", "cluster/status"), ("POST", "cluster/token"), ("GET", "cluster/checkpoint"), ("POST", "cluster/nodes/1/remove")):
        assert control(method, f"/_tidegate/{path}", body=b"{}" if method == "POST" else None).status == FORBIDDEN, path


def test_boto3_with_a_wrong_clock(region):
    """Without retries the SDK does not get to correct its skew."""
    with wrong_clock(datetime.timedelta(hours=-1)):
        code, status, message = refused(region.client())
    assert (code, status) == ("InvalidSignatureException", FORBIDDEN) and message.startswith("Signature expired: ")
