"""The table of template.yaml, in moto's DynamoDB."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from moto import mock_aws
from moto.core.models import patch_client

from recordings.adapters import dynamo
from tests.support.template import resources


@contextmanager
def a_table() -> Iterator[None]:
    """An empty table, for as long as the block runs."""
    with mock_aws():
        # A client that was made before moto was imported does not know moto.
        patch_client(dynamo._client)
        (table,) = resources("AWS::DynamoDB::Table").values()
        dynamo._client.create_table(
            TableName=os.environ["TABLE_NAME"],
            KeySchema=table["KeySchema"],
            AttributeDefinitions=table["AttributeDefinitions"],
            BillingMode=table["BillingMode"],
        )
        yield
