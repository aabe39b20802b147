"""A client that does what the answer to an uncertain write asks for: it comes again a second later, and reads before it repeats."""

import time

from botocore.exceptions import ClientError

# A disk that stops for a second makes a write uncertain; more of them than this in one run would be a fault of ours.
UNCERTAIN_MAX = 6
RETRY_AFTER_SECONDS = 1
NAMES = ("restApiId", "resourceId", "httpMethod", "statusCode")

# The operations of this run whose outcome was unknown.
SEEN = []


def careful(client, seen=SEEN, pause=RETRY_AFTER_SECONDS):
    """Makes `client` settle writes of unknown outcome; appends each such operation's name to `seen`."""
    send = client._make_api_call

    def call(operation, arguments):
        is_repeated = False
        while True:
            try:
                return send(operation, arguments)
            except ClientError as error:
                if is_repeated and (found := applied(send, operation, arguments, error.response["Error"]["Code"])) is not None:
                    return found
                if "outcome is unknown" not in str(error) or len(seen) >= UNCERTAIN_MAX:
                    raise
            seen.append(operation)
            is_repeated = True
            time.sleep(pause)

    client._make_api_call = call
    return client


def applied(send, operation, arguments, code):
    """What the first of two equal writes has made, when the second is refused for it; None when it is refused for something else."""
    if operation.startswith("Put") and code == "ConflictException":
        return send(f"Get{operation[3:]}", {name: arguments[name] for name in NAMES if name in arguments})
    if operation == "CreateResource" and code == "ConflictException":
        siblings = send("GetResources", {"restApiId": arguments["restApiId"], "limit": 500})["items"]
        same = ("parentId", "pathPart")
        return next((one for one in siblings if all(one.get(name) == arguments[name] for name in same)), None)
    if operation.startswith("Delete") and code == "NotFoundException":
        return {}
    return None
