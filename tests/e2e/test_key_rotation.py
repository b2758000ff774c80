"""R2's key is rotated, then revoked, while functions are warm."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import httpx
import pytest

from tests.e2e.support import a_room, imported, in_status, keys, until
from tools.local import stack
from tools.local.processes import function_of

type Json = dict[str, Any]


class R2Tokens:
    """R2's access keys: made, put into the secret, and revoked. At the end the secret is what it was."""

    def __init__(self, running: Json) -> None:
        key = running["credentials"]["r2"]
        self._iam = boto3.client(
            "iam",
            endpoint_url=running["endpoints"]["aws"],
            region_name=running["region"],
            aws_access_key_id=key["access_key_id"],
            aws_secret_access_key=key["secret_access_key"],
        )
        self._secrets, self._arn = stack.client(running, "secretsmanager"), running["secrets"]["r2"]
        self._before = self._secrets.get_secret_value(SecretId=self._arn)["SecretString"]
        everything = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
        self._iam.create_user(UserName="r2-token")
        self._iam.put_user_policy(
            UserName="r2-token", PolicyName="all",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [everything]}),
        )  # fmt: skip
        self._made: list[str] = []

    def rotate(self) -> str:
        """Put a new key into the secret; gives its id."""
        made = self._iam.create_access_key(UserName="r2-token")["AccessKey"]
        self._made.append(made["AccessKeyId"])
        value = {"access_key_id": made["AccessKeyId"], "secret_access_key": made["SecretAccessKey"]}
        self._secrets.put_secret_value(SecretId=self._arn, SecretString=json.dumps(value))
        return str(made["AccessKeyId"])

    def revoke(self, key: str) -> None:
        self._made.remove(key)
        self._iam.delete_access_key(UserName="r2-token", AccessKeyId=key)

    def restore(self) -> None:
        self._secrets.put_secret_value(SecretId=self._arn, SecretString=self._before)

    def close(self) -> None:
        for key in [*self._made]:
            self.revoke(key)
        self._iam.delete_user_policy(UserName="r2-token", PolicyName="all")
        self._iam.delete_user(UserName="r2-token")


@pytest.fixture
def tokens(running: Json, api: httpx.Client) -> Iterator[R2Tokens]:
    made = R2Tokens(running)
    yield made
    made.restore()
    made.close()


def copies_of(running: Json, function: str) -> set[int]:
    """The processes that the emulator keeps warm for a function."""
    name = running["functions"][function]
    return {pid for pid in stack.members(running["pids"]["ministack"]) if function_of(pid) == name}


def signed_url(api: httpx.Client, recording_id: str) -> tuple[str, str]:
    """A download URL, and the id of the key that signed it."""
    response = api.get(f"/recordings/{recording_id}/download")
    assert response.status_code == 200, response.text
    url = str(response.json()["download_url"])
    return url, parse_qs(urlsplit(url).query)["X-Amz-Credential"][0].split("/")[0]


def test_a_warm_function_uses_a_rotated_key_within_the_period_and_none_that_was_revoked(
    running: Json, api: httpx.Client, cloudflare: httpx.Client, tokens: R2Tokens
) -> None:
    room = a_room(api)
    recording_id, _ = imported(api, cloudflare, room)
    in_status(api, recording_id, "ready")
    first = tokens.rotate()
    until(lambda: signed_url(api, recording_id)[1] == first)
    warm = copies_of(running, "DownloadRecording")
    assert warm

    # Rotated: within the period, by the same process, and both keys work meanwhile.
    old_url, _ = signed_url(api, recording_id)
    second = tokens.rotate()
    until(lambda: signed_url(api, recording_id)[1] == second)
    new_url, _ = signed_url(api, recording_id)
    for url in (old_url, new_url):
        assert httpx.get(url).status_code == 200
    tokens.revoke(first)
    assert httpx.get(old_url).status_code == 403
    assert signed_url(api, recording_id)[1] == second

    assert copies_of(running, "DownloadRecording") == warm

    # Replaced and revoked in one moment: what calls R2 is refused, has the new key for its next attempt, and goes on.
    tokens.rotate()
    tokens.revoke(second)
    another, _ = imported(api, cloudflare, room)
    in_status(api, another, "ready")
    assert keys(running, "r2", f"{another}/1/"), "by its first attempt"


def test_a_revoked_key_that_nothing_replaces_is_an_error_and_no_dead_url(
    running: Json, api: httpx.Client, cloudflare: httpx.Client, tokens: R2Tokens
) -> None:
    room = a_room(api)
    recording_id, _ = imported(api, cloudflare, room)
    in_status(api, recording_id, "ready")
    key = tokens.rotate()
    until(lambda: signed_url(api, recording_id)[1] == key)
    tokens.revoke(key)

    def refusal() -> httpx.Response | None:
        response = api.get(f"/recordings/{recording_id}/download")
        return response if response.status_code == 500 else None

    refused = until(refusal)
    assert refused is not None
    assert refused.json()["code"] == "internal_error"
    tokens.restore()
    until(lambda: api.get(f"/recordings/{recording_id}/download").status_code == 200)
