"""docs/openapi.yaml as what is really sent is held against: more strictly than clients may.

Clients are promised open answers, and one media type for each status. The API itself may send no field that the
document does not name, and the gateway's words come under their own media type.
"""

import copy
from typing import Any

import yaml

from tools.openapi import generate

type Document = dict[str, Any]

JSON, PROBLEM = "application/json", "application/problem+json"
GATEWAY = {"$ref": "#/components/schemas/GatewayMessage"}


def published() -> Document:
    """The document as it is."""
    found: Document = yaml.safe_load(generate.FILE.read_text("utf-8"))
    return found


def as_sent() -> Document:
    """The document with closed answers, and a media type for each of what the API and the gateway say."""
    document = copy.deepcopy(published())
    for schema in document["components"]["schemas"].values():
        if "properties" in schema:
            schema["additionalProperties"] = False
    for response in document["components"]["responses"].values():
        content = response["content"]
        choices = content.get(PROBLEM, {}).get("schema", {}).get("anyOf", [])
        if GATEWAY in choices:
            recording = [one for one in choices if one != GATEWAY]
            content[PROBLEM]["schema"] = recording[0] if len(recording) == 1 else {"anyOf": recording}
            content[JSON] = {"schema": GATEWAY, "examples": {"gateway": content[PROBLEM]["examples"].pop("gateway")}}
    return document
