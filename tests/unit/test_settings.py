"""The environment: what is missing or malformed is named whole, and never shown."""

import subprocess
from datetime import timedelta

import pytest

from recordings import settings
from tests.support.template import ROOT

SECRET = "s3cr3t value"


def test_a_group_reads_its_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("R2_ENDPOINT", "https://account.r2.cloudflarestorage.com/")
    monkeypatch.setenv("R2_BUCKET", "files")
    monkeypatch.setenv("R2_SECRET_ARN", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:r2-AbCdEf")
    assert settings.R2_BUCKET() == settings.R2(
        endpoint_url="https://account.r2.cloudflarestorage.com",
        bucket="files",
        secret_arn="arn:aws:secretsmanager:eu-west-1:123456789012:secret:r2-AbCdEf",
    )


def test_an_error_names_every_bad_variable_of_all_groups_and_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TABLE_NAME")
    monkeypatch.setenv("CLOUDFLARE_API_URL", f"http://user:{SECRET}@127.0.0.1")
    monkeypatch.setenv("REALTIMEKIT_APP_ID", f" {SECRET} ")
    monkeypatch.setenv("MAX_ATTEMPTS", SECRET)
    with pytest.raises(settings.SettingsError) as caught:
        settings.require(settings.TABLE, settings.CLOUDFLARE, settings.ATTEMPTS, settings.R2_BUCKET)
    assert caught.value.variables == ["TABLE_NAME", "CLOUDFLARE_API_URL", "REALTIMEKIT_APP_ID", "MAX_ATTEMPTS"]
    assert str(caught.value) == (
        "The environment is not complete: TABLE_NAME is missing; "
        "CLOUDFLARE_API_URL must be an http or https URL without user and password; "
        "REALTIMEKIT_APP_ID must be a text without spaces around it; "
        "MAX_ATTEMPTS must be a whole number above 0. Set these variables in template.yaml."
    )


def test_a_variable_of_another_group_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TABLE_NAME")
    settings.require(settings.R2_BUCKET)
    assert settings.R2_BUCKET().bucket == "files"


def test_a_variable_that_two_groups_share_is_named_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TABLE_NAME")
    with pytest.raises(settings.SettingsError) as caught:
        settings.require(settings.TABLE, settings.TABLE)
    assert caught.value.variables == ["TABLE_NAME"]


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        pytest.param(settings.TEXT, "", id="an empty text"),
        pytest.param(settings.URL, "ftp://example.com", id="a URL of another scheme"),
        pytest.param(settings.URL, "https://", id="a URL without host"),
        pytest.param(settings.ARN, "bucket", id="a name for an ARN"),
        pytest.param(settings.POSITIVE, "0", id="zero"),
        pytest.param(settings.POSITIVE, "+5", id="a sign"),
        pytest.param(settings.POSITIVE, "5_0", id="an underscore"),
        pytest.param(settings.PERCENT, "101", id="more than all"),
        pytest.param(settings.SECONDS, "1.5", id="a fraction"),
        pytest.param(settings.DAYS, "999999999", id="more days than a date can have"),
        pytest.param(settings.SWITCH, "true", id="another word for on"),
        pytest.param(settings.HOSTS, " , ", id="no host"),
        pytest.param(settings.LEVEL, "debug", id="a level in lower case"),
    ],
)
def test_a_malformed_value_is_refused(
    variable: tuple[str, settings.Parser], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDER_TEST", text)
    group = settings.Group(lambda value: value, settings.Variable("UNDER_TEST", *variable))
    with pytest.raises(settings.SettingsError, match="UNDER_TEST must be"):
        group()


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [
        pytest.param(settings.URL, "http://127.0.0.1:9/client/v4/", "http://127.0.0.1:9/client/v4", id="URL"),
        pytest.param(settings.POSITIVE, "12", 12, id="number"),
        pytest.param(settings.PERCENT, "0", 0, id="percent"),
        pytest.param(settings.SECONDS, "300", timedelta(minutes=5), id="seconds"),
        pytest.param(settings.DAYS, "0", timedelta(0), id="days"),
        pytest.param(settings.SWITCH, "off", False, id="switch"),
        pytest.param(
            settings.HOSTS,
            " *.R2.example.com, files.example.com,,",
            ("*.r2.example.com", "files.example.com"),
            id="hosts",
        ),
    ],
)
def test_a_value_is_parsed(
    variable: tuple[str, settings.Parser], text: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDER_TEST", text)
    assert settings.Group(lambda value: value, settings.Variable("UNDER_TEST", *variable))() == value


@pytest.mark.parametrize(
    "code",
    [
        pytest.param('import os\n\nos.environ["X"]\n', id="os.environ"),
        pytest.param('from os import environ\n\nenviron["X"]\n', id="environ"),
        pytest.param('import os\n\nos.getenv("X")\n', id="os.getenv"),
    ],
)
@pytest.mark.parametrize("folder", ["layers/recordings/recordings/adapters", "functions/api/get_room"])
def test_only_settings_reads_the_environment(code: str, folder: str) -> None:
    """The linter reports it in the layer and in functions, for any file but settings.py."""
    for name, is_reported in ((f"{folder}/planted.py", True), ("layers/recordings/recordings/settings.py", False)):
        done = subprocess.run(
            [ROOT / ".venv/bin/ruff", "check", "--no-cache", "--select", "TID251", "--stdin-filename", name, "-"],
            input=code,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert ("TID251" in done.stdout) == is_reported, done.stdout
