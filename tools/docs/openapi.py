"""``docs/openapi.json``: the alerts' API as one OpenAPI document, from the application that serves it."""

import json
from functools import cache
from typing import Any

from alerts.api.app import described_app
from tools.docs.schema import Undescribed

Node = dict[str, Any]


def page() -> str:
    """Return the document as JSON; raises Undescribed."""
    return f"{json.dumps(document(), indent=2, ensure_ascii=False)}\n"


@cache
def document() -> Node:
    """Return the document; nothing is started for it, and no setting is read. Raises Undescribed."""
    found: Node = described_app().openapi()
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            for wanted in ("description", "x-role", "tags"):
                if not operation.get(wanted):
                    raise Undescribed(f"{method.upper()} {path} has no {wanted}")
    return found
