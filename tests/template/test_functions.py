"""What each function loads and reads when it is imported alone, beside what the template gives it."""

import pytest

from tests.support.loaded import environment, loaded, required
from tests.support.template import granted, resources, template

FUNCTIONS = resources("AWS::Serverless::Function")

# The policies that an adapter uses. A function that loads the adapter has at least one of them.
POLICIES = {
    "dynamodb.connection": {"ReadRecordings", "WriteRecordings"},
    "cloudflare.client": {"CallCloudflare"},
    "storage.r2_keys": {"UseFiles"},
    "storage.archive": {"ReadArchive", "RestoreFromArchive", "WriteArchive", "EmptyArchive", "EraseArchive"},
    "aws.event_bus": {"AnnounceEvents"},
    "aws.task_tokens": {"AnswerTasks"},
}
# The policies that a variable's reader uses, for adapters that serve several policies.
VARIABLE_POLICIES = {
    "PROCESSING_ARN": {"RunProcessing"},
    "ARCHIVING_ARN": {"RunArchiving"},
    "DOWNLOAD_ROLE_ARN": {"SignArchiveDownloads"},
}
# Policies without an adapter: Lambda itself uses the function's role to send a stream's dead letters.
WITHOUT_ADAPTER = {"SendToChangeDeadLetterQueue"}
# Functions that delete versions of objects in the archive.
ERASES_ARCHIVE = {"PurgeRecording"}
# It reads the stream's images with the models of the table, and calls no table.
READS_IMAGES_ONLY = {"AnnounceChanges"}
# Variables that may be missing.
WITH_DEFAULT = {"LOOPBACK_CAPTURES", "POWERTOOLS_LOG_LEVEL", "RETENTION_DAYS"}
# The frame of the endpoints reads these variables in each request.
READ_BY_REQUESTS = {"TENANT_CLAIM", "ACTOR_CLAIM"}
# Variables that template.yaml gives to every function, for the use of Lambda, Python and libraries.
READ_BY_OTHERS = {
    "CONFIGURATION_VERSION",
    "POWERTOOLS_METRICS_NAMESPACE",
    "POWERTOOLS_SERVICE_NAME",
    "PYDANTIC_DISABLE_PLUGINS",
    "PYTHONTZPATH",
}


def uses(name: str) -> list[set[str]]:
    """For each adapter and variable of a function, the policies of which it needs one or more."""
    function = loaded()[name]
    adapters = [
        wanted
        for adapter, wanted in POLICIES.items()
        if f"recordings.adapters.{adapter}" in function.modules
        and not (adapter == "dynamodb.connection" and name in READS_IMAGES_ONLY)
    ]
    variables = [wanted for variable, wanted in VARIABLE_POLICIES.items() if variable in function.variables]
    return adapters + variables + [{"EraseArchive"} for _ in {name} & ERASES_ARCHIVE]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_adapter_has_its_policy_and_every_policy_its_adapter(name: str) -> None:
    wanted = uses(name)
    for policies in wanted:
        assert policies & granted(name), f"{name} loads an adapter that needs one of {sorted(policies)}"
    unused = granted(name) - set().union(*wanted) - WITHOUT_ADAPTER
    assert unused == set(), f"{name} loads no adapter for {sorted(unused)}"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_empty_environment_names_every_variable_that_the_function_uses_and_no_other(name: str) -> None:
    given = environment(name).keys()
    used = (loaded()[name].variables & given) - READ_BY_OTHERS - WITH_DEFAULT
    if FUNCTIONS[name]["CodeUri"].startswith("functions/api/"):
        used |= READ_BY_REQUESTS
    assert set(required()[name]) == used


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_reads_the_variables_that_the_template_gives_it_alone(name: str) -> None:
    own = FUNCTIONS[name].get("Environment", {}).get("Variables", {})
    assert own.keys() <= loaded()[name].variables


def test_a_function_reads_no_variable_that_the_template_gives_to_none() -> None:
    common = template()["Globals"]["Function"]["Environment"]["Variables"].keys()
    read = set().union(*(function.variables for function in loaded().values()))
    assert common - READ_BY_OTHERS - READ_BY_REQUESTS <= read


# ---------------------------------------------------------------- names


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_calls_the_service_with_its_name(name: str) -> None:
    """The service is the variable with the name of the folder, and its class is the folder in CamelCase."""
    folder = FUNCTIONS[name]["CodeUri"].split("/")[-1]
    assert name == "".join(word.capitalize() for word in folder.split("_"))
    assert loaded()[name].built[folder] == name
