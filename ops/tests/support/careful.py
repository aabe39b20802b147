"""A client that does what the answer to an uncertain write asks for: it reads before it repeats."""

from botocore.exceptions import ClientError

# A disk that stops for a second makes a write uncertain; more of them than this would be a fault of ours.
UNCERTAIN_MAX = 3
NAMES = ("restApiId", "resourceId", "httpMethod", "statusCode")


def careful(client, seen):
    """Makes `client` settle writes of unknown outcome; appends each such operation's name to `seen`."""
    send = client._make_api_call

    def call(operation, arguments):
        try:
            return send(operation, arguments)
        except ClientError as error:
            if "outcome is unknown" not in str(error) or len(seen) >= UNCERTAIN_MAX:
                raise
        seen.append(operation)
        try:
            return send(operation, arguments)
        except ClientError as error:
            # The first one was applied after all.
            if operation.startswith("Put") and error.response["Error"]["Code"] == "ConflictException":
                return send(f"Get{operation[3:]}", {name: arguments[name] for name in NAMES if name in arguments})
            if operation.startswith("Delete") and error.response["Error"]["Code"] == "NotFoundException":
                return {}
            raise

    client._make_api_call = call
    return client
