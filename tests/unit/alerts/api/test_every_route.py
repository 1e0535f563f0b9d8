"""Whatever is sent to whatever route, no answer is a fault of ours; and the document says what there is."""

from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.core.result import Ok

from alerts.database.token_store import ROLES
from steadyline.contracts.alert import AnomalyFacts
from tests.support.alerts_api import ApiUnderTest

EXAMPLES = 5  # of each route: more than a hundred requests in all
SETTINGS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def test_no_request_made_by_the_document_ends_in_a_fault_of_ours(api: ApiUnderTest) -> None:
    admin, incident = api.as_("admin"), api.open_incident()
    api.stop.set()  # a stream ends at once
    document = api.app.openapi()
    for path in document["paths"].values():  # half of the requests are about something that is there
        for operation in path.values():
            for parameter in operation.get("parameters", ()):
                if parameter["name"] == "incident" and parameter["in"] == "path":
                    parameter["example"] = incident.id
    schema = schemathesis.openapi.from_dict(document)
    seen: dict[str, set[int]] = {}
    for result in schema.get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()

        @SETTINGS
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            api.clock.advance(api.api.settings.stream_heartbeat)
            sent = case.as_transport_kwargs(base_url="http://alerts")
            answer = api.client.request(
                sent["method"],
                sent["url"],
                **{name: sent[name] for name in ("params", "json", "content") if sent.get(name) is not None},
                headers={**dict(sent["headers"] or {}), **admin},
            )
            seen.setdefault(case.operation.label, set()).add(answer.status_code)
            assert answer.status_code < 500, (case.operation.label, sent, answer.text)

        ask()
    assert len(seen) >= 24
    assert sum(any(status < 300 for status in statuses) for statuses in seen.values()) >= 8, seen


def test_the_document_is_of_openapi_3_1_and_says_how_errors_look(api: ApiUnderTest) -> None:
    document = api.client.get("/api/v1/openapi.json", headers=api.as_("viewer")).json()
    assert document["openapi"].startswith("3.1")
    for path, methods in document["paths"].items():
        assert path.startswith("/api/v1/")
        for operation in methods.values():
            assert "application/problem+json" in operation["responses"]["default"]["content"]
            assert operation["security"]
            assert operation["description"]
            assert operation["x-role"] in ROLES
    assert "Problem" in document["components"]["schemas"]
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_a_view_has_every_fact_but_the_addresses(api: ApiUnderTest) -> None:
    schemas = api.app.openapi()["components"]["schemas"]
    shown = set(schemas["AnomalyView"]["properties"])
    assert shown == set(AnomalyFacts.model_fields) - {"picture_uri", "map_uri"} | {"picture", "map"}
