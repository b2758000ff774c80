"""What Powertools for AWS Lambda does where ADR 49 keeps our own code. Needs aws-lambda-powertools, pydantic and moto.

python docs/adr/0049-own-http-frame-confirmed.py
"""

import os
from typing import Annotated, Any
from urllib.parse import parse_qsl

os.environ |= {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}
os.environ |= {"POWERTOOLS_SERVICE_NAME": "example", "POWERTOOLS_LOG_LEVEL": "ERROR"}

import boto3
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer, IdempotencyConfig, idempotent
from aws_lambda_powertools.utilities.typing import LambdaContext
from moto import mock_aws

TABLE = "idempotency"


class Context(LambdaContext):
    """As much of Lambda's context as the utility reads."""

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        return 29_000


app = APIGatewayHttpResolver(enable_validation=True)


@app.get("/recordings")
def list_recordings(limit: Annotated[int, Query(ge=1, le=100)] = 20) -> dict[str, int]:
    return {"limit": limit}


def get(raw_query: str) -> dict[str, Any]:
    """Send GET /recordings as an HTTP API does: it joins the values of a repeated parameter with a comma."""
    values: dict[str, list[str]] = {}
    for name, value in parse_qsl(raw_query, keep_blank_values=True):
        values.setdefault(name, []).append(value)
    event = {
        "version": "2.0",
        "rawPath": "/recordings",
        "rawQueryString": raw_query,
        "queryStringParameters": {name: ",".join(given) for name, given in values.items()},
        "headers": {},
        "requestContext": {"http": {"method": "GET", "path": "/recordings"}, "stage": "$default"},
        "isBase64Encoded": False,
    }
    answer: dict[str, Any] = app.resolve(event, {})  # type: ignore[arg-type]  # it does not use the context
    return answer


def show_queries() -> None:
    for raw_query in ("limit=5", "limit=0", "lmit=5", "limit=%205", "limit=5_0", "limit=5&limit=6"):
        answer = get(raw_query)
        print(f"GET /recordings?{raw_query:16} {answer['statusCode']} {answer['body'].partition(',')[0]}")


def show_idempotency() -> None:
    calls = []
    config = IdempotencyConfig(event_key_jmespath='headers."idempotency-key"', lambda_context=Context())

    @idempotent(config=config, persistence_store=DynamoDBPersistenceLayer(table_name=TABLE))
    def start(event: dict[str, Any], context: Context) -> dict[str, Any]:
        calls.append(event)
        # Cloudflare does not respond to the first call. It would respond to the second.
        return {"statusCode": 504 if len(calls) == 1 else 201}

    boto3.client("dynamodb").create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    event = {"headers": {"idempotency-key": "key 1"}}
    answers = [start(event, Context())["statusCode"] for _ in range(2)]
    print(f"POST twice with one key: {answers}, the function ran {len(calls)} time(s)")


if __name__ == "__main__":
    show_queries()
    with mock_aws():
        show_idempotency()
