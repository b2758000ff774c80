"""What watches a deployed stack: log levels, access log, throttling, schedules, alarms, and the page about them."""

import ast
import json
import re
from functools import cache
from itertools import chain
from typing import Any

import pytest

from tests.support.expanded import expanded
from tests.support.template import ROOT, resources, template

FUNCTIONS = resources("AWS::Serverless::Function")
ALARMS = resources("AWS::CloudWatch::Alarm")
API = template()["Resources"]["Api"]["Properties"]
PAGE = (ROOT / "docs/operations.md").read_text()
# The metrics that AWS publishes and an alarm or a widget may ask for, with the dimension that names what is watched;
# from the services' guides, "Monitoring … with CloudWatch".
AWS_METRICS = {
    "AWS/ApiGateway": ("ApiId", {"Count", "4xx", "5xx", "Latency", "IntegrationLatency"}),
    "AWS/States": (
        "StateMachineArn",
        {"ExecutionsStarted", "ExecutionsSucceeded", "ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted"},
    ),
    "AWS/Lambda": ("FunctionName", {"Invocations", "Errors", "Throttles", "Duration", "IteratorAge"}),
    "AWS/DynamoDB": ("TableName", {"ReadThrottleEvents", "WriteThrottleEvents", "ConsumedWriteCapacityUnits"}),
    "AWS/SQS": ("QueueName", {"ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"}),
    "AWS/Scheduler": (
        "ScheduleGroup",
        {"InvocationAttemptCount", "TargetErrorCount", "InvocationsSentToDeadLetterCount", "InvocationDroppedCount"},
    ),
}


# Tables of metrics' names, which `count` is given by a variable.
TABLES = {"METRICS", "ENTERED", "UNFINISHED"}


@cache
def counted() -> set[str]:
    """The names of metrics that our code counts."""
    found = {"ColdStart"}
    for path in [*(ROOT / "functions").rglob("*.py"), *(ROOT / "layers/recordings").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                if node.func.id in ("count", "count_bytes"):
                    found |= names_in(node.args[0])
                found |= {name for word in node.keywords if word.arg == "metric" for name in names_in(word.value)}
            elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                if any(isinstance(one, ast.Name) and one.id in TABLES for one in targets):
                    found |= names_in(node.value)
    # An audit counts each kind of finding under a name that it puts together.
    kinds = ("orphans", "phantoms", "mismatches", "stalled", "removed", "adopted", "reconciled")
    return (found | {f"Audit{kind.title()}" for kind in kinds}) - {"Audit"}


def names_in(node: ast.AST) -> set[str]:
    constants = [one.value for one in ast.walk(node) if isinstance(one, ast.Constant)]
    return {one for one in constants if isinstance(one, str) and re.fullmatch(r"[A-Z][A-Za-z]+", one)}


def watched(alarm: dict[str, Any]) -> list[dict[str, Any]]:
    """The metrics of an alarm, each with namespace, name and dimensions."""
    if "Metrics" not in alarm:
        return [alarm]
    return [one["MetricStat"]["Metric"] for one in alarm["Metrics"] if "MetricStat" in one]


def expression(alarm: dict[str, Any]) -> str:
    (found,) = [one["Expression"] for one in alarm["Metrics"] if "Expression" in one]
    return str(found["Fn::Sub"] if isinstance(found, dict) else found)


# ---------------------------------------------------------------- log levels


def test_lambda_never_filters_what_holds_the_metrics() -> None:
    """A line without a level counts as INFO (Lambda Developer Guide, "Log-level filtering"), and so do metrics."""
    levels = template()["Mappings"]["LambdaLogLevels"]
    assert levels.keys() == {*template()["Parameters"]["LogLevel"]["AllowedValues"]}
    assert {name: one["Application"] for name, one in levels.items() if one["Application"] != "INFO"} == {
        "DEBUG": "DEBUG"
    }
    assert {one["System"] for one in levels.values()} == {"DEBUG", "INFO"}
    logging = template()["Globals"]["Function"]["LoggingConfig"]
    assert logging["LogFormat"] == "JSON"
    for key in ("Application", "System"):
        assert logging[f"{key}LogLevel"] == {"Fn::FindInMap": ["LambdaLogLevels", {"Ref": "LogLevel"}, key]}
    assert template()["Globals"]["Function"]["Environment"]["Variables"]["POWERTOOLS_LOG_LEVEL"] == {"Ref": "LogLevel"}
    assert not [name for name, body in FUNCTIONS.items() if "LoggingConfig" in body]


def test_a_second_stack_has_metrics_of_its_own() -> None:
    variables = template()["Globals"]["Function"]["Environment"]["Variables"]
    assert variables["POWERTOOLS_SERVICE_NAME"] == {"Ref": "AWS::StackName"}


# ---------------------------------------------------------------- the API


def test_the_access_log_names_request_route_caller_and_outcome() -> None:
    log = API["AccessLogSettings"]
    assert log["DestinationArn"] == {"Fn::GetAtt": "AccessLogs.Arn"}
    line = json.loads(log["Format"]["Fn::Sub"].replace("${TenantClaim}", "tenant_id"))
    assert line["tenant"] == "$context.authorizer.claims.tenant_id"
    assert {*line.values()} >= {
        "$context.requestId",
        "$context.routeKey",
        "$context.status",
        "$context.responseLatency",
        "$context.integrationErrorMessage",
        "$context.authorizer.claims.sub",
        "$context.authorizer.error",
        "$context.error.message",
        "$context.identity.sourceIp",
        "$context.identity.userAgent",
    }
    # One line: the gateway writes the format as it is.
    assert "\n" not in log["Format"]["Fn::Sub"]


def test_every_log_group_ends_and_goes_with_the_stack() -> None:
    for name, body in template()["Resources"].items():
        if body["Type"] == "AWS::Logs::LogGroup":
            assert 0 < body["Properties"]["RetentionInDays"] <= 30, name
            assert body["DeletionPolicy"] == "Delete"


def test_every_route_is_throttled_and_the_anonymous_one_by_itself() -> None:
    assert API["DefaultRouteSettings"].keys() == {"ThrottlingRateLimit", "ThrottlingBurstLimit"}
    routes = {
        f"{event['Properties']['Method']} {event['Properties']['Path']}": event["Properties"]["Auth"]
        for body in FUNCTIONS.values()
        for event in body.get("Events", {}).values()
        if event["Type"] == "HttpApi"
    }
    anonymous = {key for key, auth in routes.items() if auth.get("Authorizer") == "NONE"}
    # The gateway refuses settings of a route that does not exist: "Unable to find Route by key".
    assert API["RouteSettings"].keys() == anonymous
    # Settings of a route replace the default ones whole.
    assert all(one.keys() == API["DefaultRouteSettings"].keys() for one in API["RouteSettings"].values())
    named = chain(API["DefaultRouteSettings"].values(), *(one.values() for one in API["RouteSettings"].values()))
    for reference in named:
        assert template()["Parameters"][reference["Ref"]]["MinValue"] == 1


def test_the_webhook_cannot_use_up_the_concurrency_of_an_account() -> None:
    """A webhook takes half a second, and a settled account may run 1,000 functions at once (Lambda, "Quotas")."""
    parameters = template()["Parameters"]
    assert parameters["WebhookRequestsPerSecond"]["Default"] <= 100
    assert parameters["WebhookBurstRequests"]["Default"] <= 100


# ---------------------------------------------------------------- schedules


def test_a_start_that_the_scheduler_gives_up_is_kept() -> None:
    schedules = [
        event["Properties"]
        for machine in resources("AWS::Serverless::StateMachine").values()
        for event in machine.get("Events", {}).values()
        if event["Type"] == "ScheduleV2"
    ]
    assert len(schedules) == 3
    for schedule in schedules:
        assert schedule["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": "ScheduleDeadLetterQueue.Arn"}}
        assert schedule["RetryPolicy"]["MaximumRetryAttempts"] > 0
        assert 60 <= schedule["RetryPolicy"]["MaximumEventAgeInSeconds"] <= 3600
        assert schedule["GroupName"] == {"Ref": "Schedules"}


def test_the_role_of_each_schedule_may_send_to_the_dead_letter_queue() -> None:
    """SAM makes the roles, and gives them this permission only for a queue that it knows of."""
    made = expanded("prod")["Resources"]
    schedules = [body["Properties"] for body in made.values() if body["Type"] == "AWS::Scheduler::Schedule"]
    assert len(schedules) == 3
    for schedule in schedules:
        queue = schedule["Target"]["DeadLetterConfig"]["Arn"]
        role = made[schedule["Target"]["RoleArn"]["Fn::GetAtt"][0]]["Properties"]
        allowed = [one for policy in role["Policies"] for one in policy["PolicyDocument"]["Statement"]]
        assert {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": queue} in [
            {key: one[key] for key in ("Effect", "Action", "Resource")} for one in allowed
        ]


def test_the_stage_comes_after_its_routes() -> None:
    """Routes of functions are in the API's own document, and the stage refers to the API."""
    made = expanded("prod")["Resources"]
    assert not [name for name, body in made.items() if body["Type"] == "AWS::ApiGatewayV2::Route"]
    (stage,) = [body["Properties"] for body in made.values() if body["Type"] == "AWS::ApiGatewayV2::Stage"]
    paths = made[stage["ApiId"]["Ref"]]["Properties"]["Body"]["paths"]
    for key in stage["RouteSettings"]:
        method, _, path = key.partition(" ")
        assert method.lower() in paths[path]


# ---------------------------------------------------------------- the dashboard

# References in the body, as text that is no JSON by itself; the number stands where a number must.
BODY = template()["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
WIDGETS = json.loads(BODY.replace("${CloudflareCallsPerMinute}", "190"))["widgets"]
TITLES = [widget["properties"]["title"] for widget in WIDGETS]


def test_the_page_explains_each_widget() -> None:
    assert len(set(TITLES)) == len(TITLES)
    section = PAGE[PAGE.index("## Dashboard") : PAGE.index("## Metrics")]
    assert re.findall(r"^\| \*\*(.+?)\*\* \|", section, re.MULTILINE) == TITLES


def test_the_widgets_are_one_screen_and_none_covers_another() -> None:
    places = {
        (x, y)
        for one in WIDGETS
        for x in range(one["x"], one["x"] + one["width"])
        for y in range(one["y"], one["y"] + one["height"])
    }
    assert len(places) == sum(one["width"] * one["height"] for one in WIDGETS)
    # A dashboard is 24 units wide (CloudWatch API reference, "Dashboard body structure and syntax").
    assert max(x for x, _ in places) < 24
    assert max(y for _, y in places) < 18


@pytest.mark.parametrize("title", TITLES)
def test_a_widget_shows_what_exists(title: str) -> None:
    (widget,) = [one for one in WIDGETS if one["properties"]["title"] == title]
    shown = widget["properties"]
    assert shown["region"] == "${AWS::Region}"
    for namespace, metric, *rest in shown.get("metrics", []):
        dimension = rest[:2] if rest and isinstance(rest[0], str) else []
        if namespace == "Recordings":
            assert metric in counted()
            assert dimension == ["service", "${AWS::StackName}"]
        elif namespace == "Recordings/${AWS::StackName}":
            filters = resources("AWS::Logs::MetricFilter").values()
            assert metric in {one["MetricName"] for found in filters for one in found["MetricTransformations"]}
        else:
            expected, names = AWS_METRICS[namespace]
            assert (dimension[0], metric in names) == (expected, True)
            target = re.fullmatch(r"\$\{(\w+)(?:\.\w+)?\}", dimension[1])
            assert target is not None
            assert target[1] in template()["Resources"]
    assert ("metrics" in shown) != ("query" in shown)


@pytest.mark.parametrize(
    "widget", [one for one in WIDGETS if one["type"] == "log"], ids=lambda one: one["properties"]["title"]
)
def test_a_query_reads_a_log_group_of_this_stack_and_fields_that_are_there(widget: dict[str, Any]) -> None:
    query = widget["properties"]["query"]
    (group,) = re.findall(r"SOURCE '([^']+)'", query)
    groups = {one["LogGroupName"]["Fn::Sub"] for one in resources("AWS::Logs::LogGroup").values()}
    assert group in groups
    if "/apigateway/" in group:
        line = json.loads(API["AccessLogSettings"]["Format"]["Fn::Sub"])
        assert set(re.findall(r"\b(?:by|pct\(|sum\(|filter) ?(\w+)", query)) <= line.keys()
    else:
        # A metric is a list of one number in its line.
        assert {name.removesuffix(".0") for name in re.findall(r"`([^`]+)`", query)} <= counted()
        assert "tenant_id" in query


def test_what_is_known_of_every_tenant_and_state_is_on_the_dashboard() -> None:
    text = json.dumps(WIDGETS)
    for status in ("Recording", "Processing", "Ready", "Archived", "Failed"):
        assert f"Entered{status}" in text
    for queue in resources("AWS::SQS::Queue"):
        assert f"{queue}.QueueName" in text
    assert "tenants" not in text


def test_a_dashboard_of_another_region_has_another_name() -> None:
    """Dashboards belong to an account, and one replaces another of its name without a word."""
    name = template()["Resources"]["Dashboard"]["Properties"]["DashboardName"]["Fn::Sub"]
    assert {"${AWS::StackName}", "${AWS::Region}"} <= set(re.findall(r"\$\{[^}]+\}", name))


# ---------------------------------------------------------------- metrics


def test_the_page_names_every_metric_that_is_counted() -> None:
    section = PAGE[PAGE.index("## Alarms") : PAGE.index("## Log lines")]
    assert counted() - set(re.findall(r"`(\w+)`", section)) == set()


# ---------------------------------------------------------------- alarms


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_tells_somebody_when_it_goes_on_and_off(name: str) -> None:
    alarm = ALARMS[name]
    reported = {"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}], []]}
    assert (alarm["AlarmActions"], alarm["OKActions"]) == (reported, reported)
    # A sync that never starts publishes nothing: there silence is the fault.
    assert alarm["TreatMissingData"] == ("breaching" if name == "SyncOverdueAlarm" else "notBreaching")
    assert alarm["AlarmDescription"]


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_watches_what_exists(name: str) -> None:
    """A metric that nobody counts never goes off."""
    for metric in watched(ALARMS[name]):
        if isinstance(metric["Namespace"], dict):
            # What is counted from the log lines.
            counts = [
                (one["MetricNamespace"], one["MetricName"])
                for found in resources("AWS::Logs::MetricFilter").values()
                for one in found["MetricTransformations"]
            ]
            assert (metric["Namespace"], metric["MetricName"]) in counts
            assert "Dimensions" not in metric
            continue
        ((dimension),) = metric["Dimensions"]
        if metric["Namespace"] == "Recordings":
            assert metric["MetricName"] in counted()
            assert dimension == {"Name": "service", "Value": {"Ref": "AWS::StackName"}}
        else:
            expected, names = AWS_METRICS[metric["Namespace"]]
            assert (dimension["Name"], metric["MetricName"] in names) == (expected, True)
            (target,) = dimension["Value"].values()
            assert target.partition(".")[0] in template()["Resources"]


@pytest.mark.parametrize("name", [name for name, alarm in ALARMS.items() if "Metrics" in alarm])
def test_an_alarm_on_an_expression_uses_each_of_its_metrics(name: str) -> None:
    alarm = ALARMS[name]
    ids = {one["Id"] for one in alarm["Metrics"] if "MetricStat" in one}
    assert len(alarm["Metrics"]) <= 10
    assert {one["Id"] for one in alarm["Metrics"] if one.get("ReturnData", True)} == {"total"}
    if ids:
        assert ids == set(re.findall(r"\b[a-z]+\b", expression(alarm)))


def asked(name: str) -> set[str]:
    return set(re.findall(r"FunctionName = '\$\{(\w+)\}'", expression(ALARMS[name])))


def test_no_function_is_throttled_unseen() -> None:
    steps = {
        name for name, body in FUNCTIONS.items() if not body.get("Events") or body["CodeUri"].startswith("functions/wo")
    }
    assert asked("TaskThrottlesAlarm") == steps
    assert asked("FunctionThrottlesAlarm") == FUNCTIONS.keys() - steps
    for name in ("TaskThrottlesAlarm", "FunctionThrottlesAlarm"):
        # A function's name has 64 characters at most, an expression 2,048.
        assert len(re.sub(r"\$\{\w+\}", "x" * 64, expression(ALARMS[name]))) <= 2048


def test_every_state_machine_and_every_queue_is_watched() -> None:
    text = json.dumps(ALARMS)
    for machine in resources("AWS::Serverless::StateMachine"):
        failing = [m for alarm in ALARMS.values() for m in watched(alarm) if {"Ref": machine} in _values(m)]
        assert {m["MetricName"] for m in failing} >= {"ExecutionsFailed", "ExecutionsTimedOut"}, machine
    for queue in resources("AWS::SQS::Queue"):
        # As it fills, and before its messages end.
        assert text.count(f"{queue}.QueueName") == 2, queue


def _values(metric: dict[str, Any]) -> list[Any]:
    return [dimension["Value"] for dimension in metric.get("Dimensions", [])]


def test_a_disabled_schedule_can_do_without_the_alarm_on_silence() -> None:
    assert template()["Resources"]["SyncOverdueAlarm"]["Condition"] == "WatchesSync"
    seconds = template()["Parameters"]["SyncOverdueSeconds"]
    assert 0 in seconds["AllowedValues"]
    # A period is a multiple of a minute, and a day at most (CloudWatch API reference, PutMetricAlarm).
    assert all(one % 60 == 0 and one <= 86_400 for one in seconds["AllowedValues"])


@pytest.mark.parametrize("name", ALARMS)
def test_the_page_says_what_to_do_about_an_alarm(name: str) -> None:
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |")]
    assert all(cell.strip() for cell in row.strip("|").split("|")), row


def test_the_page_names_no_alarm_that_there_is_not() -> None:
    assert set(re.findall(r"^\| `(\w+Alarm)` \|", PAGE, re.MULTILINE)) == ALARMS.keys()
