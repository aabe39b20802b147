"""Requests signed by botocore outside of a client, so that tests can bend them."""

import datetime
import unittest.mock
from urllib.parse import urlsplit

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


def signed(region, method="GET", target="/restapis", body=b"", service="apigateway", clock=None, headers=(), url=None, scope_region=None):
    """Headers of a request that botocore signed, with its clock off by `clock` when given."""
    dev = region.dev
    url = url or dev["control"]
    request = AWSRequest(method, url + target, data=body, headers=dict(headers))
    signer = botocore.auth.SigV4Auth(Credentials(dev["access_key_id"], dev["secret_access_key"]), service, scope_region or dev["region"])
    with wrong_clock(clock or datetime.timedelta()):
        signer.add_auth(request)
    return {"Host": urlsplit(url).netloc} | dict(request.headers.items())


def wrong_clock(offset):
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    return unittest.mock.patch.object(botocore.auth, "get_current_datetime", lambda *_, **__: now + offset)
