"""Clients of AWS services and of R2.

They are botocore's, as boto3's clients are. Importing boto3 as well loads its transfer manager and its resources, which
no function uses, and adds a tenth to a cold start.
"""

from functools import cache
from typing import TYPE_CHECKING, Any, Literal, overload

from botocore.session import Session, get_session

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_stepfunctions import SFNClient


@overload
def create_client(service: Literal["dynamodb"], **options: Any) -> "DynamoDBClient": ...
@overload
def create_client(service: Literal["s3"], **options: Any) -> "S3Client": ...
@overload
def create_client(service: Literal["secretsmanager"], **options: Any) -> "SecretsManagerClient": ...
@overload
def create_client(service: Literal["stepfunctions"], **options: Any) -> "SFNClient": ...
@overload
def create_client(service: Literal["events", "sts"], **options: Any) -> Any: ...
def create_client(service: str, **options: Any) -> Any:
    """Create a client of a service that the dependencies layer has the data of; `options` are botocore's."""
    return shared_session().create_client(service, **options)


@cache
def shared_session() -> Session:
    """Return the session of all clients. A second one would read the configuration and credentials again."""
    return get_session()
