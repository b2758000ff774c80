"""Concurrent commands on one recording, on DynamoDB: its conditions decide as the fakes' do."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from recordings.adapters.dynamodb.connection import client
from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.dynamodb.rooms import DynamoRooms
from recordings.adapters.dynamodb.settings import TABLE
from tests.support.builders import a_room
from tests.support.table import a_table
from tests.unit.services.test_races import check
from tests.unit.services.world import World

# Repetitions of code that other tests cover: measuring them would only take time.
pytestmark = pytest.mark.no_cover

RACES = 6


def on_dynamodb() -> World:
    """Return a world with an empty DynamoDB table."""
    for page in client.get_paginator("scan").paginate(TableName=TABLE):
        for item in page["Items"]:
            client.delete_item(TableName=TABLE, Key={"pk": item["pk"], "sk": item["sk"]})
    world = World()
    world.rooms, world.recordings = DynamoRooms(), DynamoRecordings()  # type: ignore[assignment]
    world.rooms.add(a_room())
    return world


@pytest.mark.parametrize("names", [("archive", "delete"), ("restore", "delete")], ids="-".join)
def test_concurrent_commands_act_one_after_the_other_on_dynamodb(
    names: tuple[str, str],
) -> None:
    with a_table(), ThreadPoolExecutor(2) as pool:
        check(pool, names, RACES, on_dynamodb)
