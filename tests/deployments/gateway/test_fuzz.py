"""Requests made from the OpenAPI document, right and wrong, against the gateway over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

schemathesis = pytest.importorskip("schemathesis")

# Of each operation and each kind: requests that fit the document, and requests that do not.
EXAMPLES = 60


@pytest.mark.parametrize("mode", ["positive", "negative"])
@pytest.mark.parametrize("policy", ["live", "cascade"])
def test_no_request_breaks_the_gateway(
    serve: Callable[..., Any], request: pytest.FixtureRequest, policy: str, mode: str
) -> None:
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    checks = [
        not_a_server_error,
        status_code_conformance,
        content_type_conformance,
        response_schema_conformance,
    ]
    limits = {"max_body_bytes": 20_000, "max_prompt_chars": 2_000, "deadline_s": 20}
    served = serve(request.getfixturevalue(policy)(), limits=limits)
    served.pools["small-a"].confidence = 0.4
    schema = schemathesis.openapi.from_url(f"{served.client.base_url}/openapi.json")
    generation = schemathesis.GenerationMode(mode)
    tried = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        if mode == "negative" and operation.method != "post":
            continue  # Where nothing is given, nothing can be given wrong.

        @settings(
            max_examples=EXAMPLES,
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=generation))
        def fuzz(case: Any) -> None:
            nonlocal tried
            tried += 1
            answer = case.call(timeout=30)
            case.validate_response(answer, checks=checks)

        fuzz()
    assert tried >= 2 * EXAMPLES
    served.until(lambda: served.gateway.admission.running == 0)
    assert not any(pool.running for pool in served.pools.values())
