"""Applies what the emulator ignores in a template: the HTTP API's routes and authorizers, and the buckets' rules.

It ignores the OpenAPI document that SAM makes for an HTTP API, so the same routes are made here from the same events.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short tags (`!Ref x`) as their long form."""


def _tag(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _tag)


@dataclass(frozen=True)
class Route:
    """A method and path of the HTTP API, with its function and authorizer."""

    key: str
    function: str
    api: str
    authorizer: str | None
    scopes: list[str]


def read(path: Path) -> dict[str, Any]:
    """Return the template as plain data."""
    data: dict[str, Any] = yaml.load(path.read_text(), Loader=_Loader)
    return data


def defaults(template: dict[str, Any]) -> dict[str, str]:
    """Return the parameters with a default, and their defaults."""
    given = template.get("Parameters") or {}
    return {name: str(parameter["Default"]) for name, parameter in given.items() if "Default" in parameter}


def resolved(value: Any, parameters: dict[str, str]) -> Any:
    """Return `value` with each reference to a parameter replaced by its value."""
    if isinstance(value, dict):
        if set(value) == {"Ref"} and value["Ref"] in parameters:
            return parameters[value["Ref"]]
        return {key: resolved(item, parameters) for key, item in value.items()}
    if isinstance(value, list):
        return [resolved(item, parameters) for item in value]
    return value


def _of_type(template: dict[str, Any], kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, resource in template["Resources"].items():
        if resource["Type"] == kind:
            yield name, resource.get("Properties") or {}


def routes(template: dict[str, Any]) -> list[Route]:
    """Return the HttpApi events of every function."""
    auths = {name: props.get("Auth") or {} for name, props in _of_type(template, "AWS::Serverless::HttpApi")}
    found = []
    for function, properties in _of_type(template, "AWS::Serverless::Function"):
        for event in (properties.get("Events") or {}).values():
            if event["Type"] != "HttpApi":
                continue
            details = event.get("Properties") or {}
            api = (details.get("ApiId") or {}).get("Ref", "ServerlessHttpApi")
            own = details.get("Auth") or {}
            authorizer = own.get("Authorizer") or auths.get(api, {}).get("DefaultAuthorizer")
            if "Path" in details:
                method = str(details.get("Method", "ANY")).upper()
                key = f"{'ANY' if method in ('*', 'X-AMAZON-APIGATEWAY-ANY-METHOD') else method} {details['Path']}"
            else:
                key = "$default"
            authorizer = None if authorizer == "NONE" else authorizer
            found.append(Route(key, function, api, authorizer, own.get("AuthorizationScopes") or []))
    return found


def apply_api(template: dict[str, Any], physical: dict[str, str], parameters: dict[str, str], client: Any) -> None:
    """Set the API's routes, integrations and authorizers as in the template. Correct ones stay.

    `physical` gives the id of an API, and the name or the alias's ARN of a function, by logical id.
    """
    region = client.meta.region_name
    wanted = routes(template)
    for api, properties in _of_type(template, "AWS::Serverless::HttpApi"):
        api_id = physical[api]
        authorizers = _apply_authorizers(properties, api_id, parameters, client)
        integrations = {i["IntegrationUri"]: i["IntegrationId"] for i in client.get_integrations(ApiId=api_id)["Items"]}
        existing = {r["RouteKey"]: r for r in client.get_routes(ApiId=api_id)["Items"]}
        mine = [route for route in wanted if route.api == api]
        for route in mine:
            called = physical[route.function]
            arn = called if ":" in called else f"arn:aws:lambda:{region}:000000000000:function:{called}"
            if arn not in integrations:
                integrations[arn] = client.create_integration(
                    ApiId=api_id, IntegrationType="AWS_PROXY", IntegrationUri=arn, PayloadFormatVersion="2.0"
                )["IntegrationId"]
            settings: dict[str, Any] = {"Target": f"integrations/{integrations[arn]}", "AuthorizationType": "NONE"}
            if route.authorizer:
                settings |= {
                    "AuthorizationType": "JWT",
                    "AuthorizerId": authorizers[route.authorizer],
                    "AuthorizationScopes": route.scopes,
                }
            old = existing.get(route.key)
            if old is None:
                client.create_route(ApiId=api_id, RouteKey=route.key, **settings)
            elif any((old.get(name) or None) != (value or None) for name, value in settings.items()):
                client.update_route(ApiId=api_id, RouteId=old["RouteId"], **settings)
        for key in existing.keys() - {route.key for route in mine}:
            client.delete_route(ApiId=api_id, RouteId=existing[key]["RouteId"])


def _apply_authorizers(
    properties: dict[str, Any], api_id: str, parameters: dict[str, str], client: Any
) -> dict[str, str]:
    existing = {a["Name"]: a["AuthorizerId"] for a in client.get_authorizers(ApiId=api_id)["Items"]}
    ids = {}
    for name, authorizer in ((properties.get("Auth") or {}).get("Authorizers") or {}).items():
        jwt = {key.lower(): value for key, value in resolved(authorizer["JwtConfiguration"], parameters).items()}
        settings = {
            "ApiId": api_id,
            "Name": name,
            "AuthorizerType": "JWT",
            "IdentitySource": [authorizer.get("IdentitySource", "$request.header.Authorization")],
            "JwtConfiguration": {"Issuer": jwt["issuer"], "Audience": jwt["audience"]},
        }
        if name in existing:
            ids[name] = existing[name]
            client.update_authorizer(AuthorizerId=existing[name], **settings)
        else:
            ids[name] = client.create_authorizer(**settings)["AuthorizerId"]
    return ids


def apply_buckets(template: dict[str, Any], physical: dict[str, str], parameters: dict[str, str], client: Any) -> None:
    """Set the lifecycle rules and the EventBridge notification of the template's buckets."""
    for name, properties in _of_type(template, "AWS::S3::Bucket"):
        properties = resolved(properties, parameters)
        lifecycle = properties.get("LifecycleConfiguration") or {}
        if lifecycle.get("Rules"):
            least = "TransitionDefaultMinimumObjectSize"
            client.put_bucket_lifecycle_configuration(
                Bucket=physical[name],
                LifecycleConfiguration={"Rules": [_rule(rule) for rule in lifecycle["Rules"]]},
                **({least: lifecycle[least]} if least in lifecycle else {}),
            )
        notifications = properties.get("NotificationConfiguration") or {}
        if (notifications.get("EventBridgeConfiguration") or {}).get("EventBridgeEnabled"):
            # The call replaces all notifications, and these templates use EventBridge alone.
            client.put_bucket_notification_configuration(
                Bucket=physical[name], NotificationConfiguration={"EventBridgeConfiguration": {}}
            )


def _rule(rule: dict[str, Any]) -> dict[str, Any]:
    """Return a lifecycle rule in the form of the S3 API."""
    made: dict[str, Any] = {"Status": rule["Status"], "Filter": {"Prefix": rule.get("Prefix", "")}}
    if "Id" in rule:
        made["ID"] = rule["Id"]
    if "ExpirationInDays" in rule:
        made["Expiration"] = {"Days": int(rule["ExpirationInDays"])}
    if "ExpiredObjectDeleteMarker" in rule:
        made["Expiration"] = {"ExpiredObjectDeleteMarker": rule["ExpiredObjectDeleteMarker"]}
    if "Transitions" in rule:
        made["Transitions"] = [
            {"Days": int(t["TransitionInDays"]), "StorageClass": t["StorageClass"]} for t in rule["Transitions"]
        ]
    if "NoncurrentVersionExpiration" in rule:
        days = int(rule["NoncurrentVersionExpiration"]["NoncurrentDays"])
        made["NoncurrentVersionExpiration"] = {"NoncurrentDays": days}
    if "AbortIncompleteMultipartUpload" in rule:
        days = int(rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"])
        made["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": days}
    return made
