"""What a deployed stack promises beyond its code: nothing is lost, nothing is public, what is stored stays."""

import json
import re
from typing import Any

import pytest

from recordings.workflow.messages.processing import FAILURES
from tests.support.template import ROOT, resources, template

FUNCTIONS = resources("AWS::Serverless::Function")
STREAMS = {
    name: event["Properties"]
    for name, body in FUNCTIONS.items()
    for event in body.get("Events", {}).values()
    if event["Type"] == "DynamoDB"
}
# Fourteen days, the longest that SQS keeps a message (SQS Developer Guide, "Message retention").
MAX_RETENTION = 1_209_600


def of(name: str) -> dict[str, Any]:
    found: dict[str, Any] = template()["Resources"][name]
    return found


def parameter(name: str) -> dict[str, Any]:
    found: dict[str, Any] = template()["Parameters"][name]
    return found


# ---------------------------------------------------------------- functions


def test_a_function_behind_the_api_ends_before_the_gateway_stops_waiting() -> None:
    """A HTTP API waits for 30 seconds (API Gateway, "Quotas"); its own 503 would say nothing of what happened."""
    longest = {
        name: body.get("Timeout", template()["Globals"]["Function"]["Timeout"])
        for name, body in FUNCTIONS.items()
        if any(event["Type"] == "HttpApi" for event in body.get("Events", {}).values())
    }
    assert longest
    assert {name: seconds for name, seconds in longest.items() if seconds >= 30} == {}


@pytest.mark.parametrize("name", STREAMS)
def test_a_change_that_a_stream_could_not_hand_over_is_kept(name: str) -> None:
    """The functions tell which record they failed at; without this Lambda takes their answer for success."""
    stream = STREAMS[name]
    assert stream["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert stream["StartingPosition"] == "TRIM_HORIZON"
    (destination,) = stream["DestinationConfig"]["OnFailure"].values()
    queue = destination["Fn::GetAtt"].partition(".")[0]
    assert of(queue)["Properties"]["MessageRetentionPeriod"] == MAX_RETENTION


def test_every_dead_letter_queue_keeps_what_it_has_for_as_long_as_it_can() -> None:
    queues = resources("AWS::SQS::Queue")
    assert {queue["MessageRetentionPeriod"] for queue in queues.values()} == {MAX_RETENTION}


def patterns(name: str) -> list[dict[str, Any]]:
    return [json.loads(one["Pattern"]) for one in STREAMS[name]["FilterCriteria"]["Filters"]]


def test_only_what_the_table_removed_by_itself_is_purged() -> None:
    """Whoever else removes an item (an undelete moves one) must not reach what empties the stores."""
    for pattern in patterns("PurgeRecording"):
        assert pattern["eventName"] == ["REMOVE"]
        assert pattern["userIdentity"] == {"principalId": ["dynamodb.amazonaws.com"]}


def test_an_import_is_announced_as_a_transition_is() -> None:
    assert {name for pattern in patterns("AnnounceChanges") for name in pattern["eventName"]} == {"INSERT", "MODIFY"}


# ---------------------------------------------------------------- the table


def test_the_table_expires_streams_and_recovers() -> None:
    (table,) = resources("AWS::DynamoDB::Table").values()
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    # What left and what came: a transition is told from both.
    assert table["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["DeletionProtectionEnabled"] == {"Fn::If": ["IsProd", True, False]}


def test_nothing_is_purged_unless_it_was_asked_for() -> None:
    assert (parameter("RetentionDays")["Default"], parameter("RetentionDays")["MinValue"]) == (0, 0)


# ---------------------------------------------------------------- the archive


def test_the_archive_outlives_the_stack_and_is_nobody_elses() -> None:
    bucket = of("ArchiveBucket")
    assert (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert set(bucket["Properties"]["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket["Properties"]["PublicAccessBlockConfiguration"]) == 4


def test_the_archive_is_encrypted_so_that_an_etag_is_the_md5_of_a_part() -> None:
    """With a KMS key it is not (S3 User Guide, "Checking object integrity"), and a copy is verified against it."""
    (rule,) = of("ArchiveBucket")["Properties"]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}


def test_the_archive_takes_nothing_without_tls() -> None:
    (policy,) = [
        one for one in resources("AWS::S3::BucketPolicy").values() if one["Bucket"] == {"Ref": "ArchiveBucket"}
    ]
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert len(statement["Resource"]) == 2


def test_news_of_a_restored_copy_reaches_its_function() -> None:
    bucket = of("ArchiveBucket")["Properties"]["NotificationConfiguration"]
    assert bucket == {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}
    pattern = FUNCTIONS["TrackRestore"]["Events"]["Restores"]["Properties"]["Pattern"]
    assert set(pattern["detail-type"]) == {"Object Restore Completed", "Object Restore Expired"}
    assert pattern["source"] == ["aws.s3"]


def test_an_unfinished_upload_is_dropped_and_a_deep_archive_waits_for_what_is_paid_anyway() -> None:
    """Glacier Flexible Retrieval is paid for 90 days at least (S3 User Guide, "Storage classes")."""
    rules = of("ArchiveBucket")["Properties"]["LifecycleConfiguration"]["Rules"]
    (days,) = [
        rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"]
        for rule in rules
        if "AbortIncompleteMultipartUpload" in rule
    ]
    assert days <= 7
    assert all(rule["Status"] == "Enabled" for rule in rules)
    assert parameter("DeepArchiveAfterDays")["MinValue"] == 90


# ---------------------------------------------------------------- what ends a run


def test_a_run_gives_a_recording_up_only_when_there_is_nothing_to_fetch() -> None:
    """Any other fault leaves it in processing, stalled: it can be recovered, which what failed cannot."""
    states = json.loads((ROOT / "statemachines/processing.asl.json").read_text())["States"]
    catches = [rule for state in states.values() for rule in state.get("Catch", [])]
    for rule in catches:
        if "States.ALL" in rule["ErrorEquals"]:
            assert rule["Next"] != "MarkFailed", rule
    settled = [rule for rule in catches if {"ProviderRecordingFailed", "SourceExpired"} & {*rule["ErrorEquals"]}]
    assert settled
    assert {rule["Next"] for rule in settled} == {"MarkFailed"}


def test_cloudflares_rate_limit_is_waited_out_by_every_task_that_may_meet_it() -> None:
    calls = {name for name, body in FUNCTIONS.items() if {"Ref": "CallCloudflare"} in body.get("Policies", [])}
    for path in sorted((ROOT / "statemachines").glob("*.asl.json")):
        states = json.loads(path.read_text())["States"]
        inner = {
            name: one
            for state in states.values()
            if state["Type"] == "Map"
            for name, one in state["ItemProcessor"]["States"].items()
        }
        for name, state in {**states, **inner}.items():
            function = str(state.get("Arguments", {}).get("FunctionName", "")).removeprefix("${").removesuffix("Arn}")
            if state["Type"] == "Task" and function in calls:
                retried = {error for rule in state["Retry"] for error in rule["ErrorEquals"]}
                assert {"ProviderThrottled", "TenantThrottled"} <= retried, (path.name, name)


def test_whatever_settles_that_there_is_no_file_ends_the_recording_from_every_task() -> None:
    """MarkFailed accepts these errors. One that a way to it omits would stall the recording, and be retried in vain."""
    known = FAILURES.keys()
    states = json.loads((ROOT / "statemachines/processing.asl.json").read_text())["States"]
    ways = [
        {*rule["ErrorEquals"]}
        for state in states.values()
        for rule in state.get("Catch", [])
        if rule["Next"] == "MarkFailed"
    ]
    ways += [
        set(re.findall(r"'(\w+)'", choice["Condition"]))
        for state in states.values()
        for choice in state.get("Choices", [])
        if choice["Next"] == "MarkFailed" and "$error in" in choice["Condition"]
    ]
    assert len(ways) >= 2
    assert all(way == known for way in ways), ways


def test_environment_variables_have_room_for_the_longest_values() -> None:
    """Lambda takes 4 KB of them as JSON (Developer Guide, Lambda quotas); an ARN or an address has 100 characters."""
    everywhere = template()["Globals"]["Function"]["Environment"]["Variables"]
    for name, function in resources("AWS::Serverless::Function").items():
        own = ((function.get("Environment") or {}).get("Variables") or {}).keys()
        names = {*everywhere, *own}
        assert len(names) * 6 + sum(map(len, names)) + sum(100 if long(one) else 40 for one in names) < 4096, name


def long(name: str) -> bool:
    """Whether the variable holds an address or an ARN."""
    return name.endswith(("_ARN", "_URL", "_ENDPOINT", "_HOSTS", "_BUS", "TABLE_NAME", "_BUCKET"))


def test_only_this_accounts_event_bus_writes_to_a_dead_letter_queue() -> None:
    (policy,) = [
        one["PolicyDocument"]["Statement"]
        for one in resources("AWS::SQS::QueuePolicy").values()
        if "LostRestores" in str(one["Queues"])
    ]
    for statement in policy:
        assert statement["Condition"]["StringEquals"]["aws:SourceAccount"] == {"Ref": "AWS::AccountId"}
