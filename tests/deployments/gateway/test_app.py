from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from boute.deployments.gateway.openapi import document
from boute.deployments.keys import hash_key


def test_models_are_those_that_can_be_asked_for(
    serve: Callable[..., Any], live: Callable[..., Any]
) -> None:
    config = live()
    pools = [pool for pool in config.pools if pool.model != "mid"]
    client = serve(config.model_copy(update={"pools": pools})).client
    listed = client.get("/v1/models").json()
    assert listed["object"] == "list"
    assert [model["id"] for model in listed["data"]] == ["boute", "small", "big"]
    for name in ("boute", "boute-0.75", "big"):
        assert client.get(f"/v1/models/{name}").json()["id"] == name
    for name in ("boute-2", "mid", "bigg", "a/b", "%20"):
        answer = client.get(f"/v1/models/{name}")
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "model_not_found"
    assert "did you mean big?" in client.get("/v1/models/bigg").text


def test_a_key_sees_its_own_models(serve: Callable[..., Any], live: Callable[..., Any]) -> None:
    client = serve(live(keys={hash_key("few"): {"models": ["small"]}})).client
    assert client.get("/v1/models").status_code == 401
    client.headers["authorization"] = "Bearer few"
    assert [model["id"] for model in client.get("/v1/models").json()["data"]] == ["small"]
    assert client.get("/v1/models/big").status_code == 404


def test_health_and_metrics_need_no_key(
    serve: Callable[..., Any], live: Callable[..., Any]
) -> None:
    client = serve(live(keys={})).client
    assert client.get("/health").json() == {"status": "ok", "plan": "plan-04"}
    metrics = client.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'boute_quality_estimate{plan="plan-04",replica=""} 0.7' in metrics.text
    (plan,) = client.get("/metrics/scores").json()["plans"]
    assert (plan["plan"], sum(plan["counts"])) == ("plan-04", 0)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v1/models/", 404),
        ("POST", "/v1/embeddings", 404),
        ("GET", "/v1/chat/completions", 405),
        ("DELETE", "/v1/models", 405),
        ("POST", "/health", 405),
    ],
)
def test_paths_and_methods_that_there_are_not(
    serve: Callable[..., Any], method: str, path: str, status: int
) -> None:
    answer = serve().client.request(method, path)
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert ("allow" in answer.headers) == (status == 405)


def test_the_document_is_served_and_names_every_path(serve: Callable[..., Any]) -> None:
    served = serve()
    assert served.client.get("/openapi.json").json() == document()
    assert set(document()["paths"]) == {
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/models",
        "/v1/models/{name}",
        "/health",
        "/metrics",
        "/metrics/scores",
    }


@pytest.mark.parametrize("stream", [False, True])
def test_what_breaks_inside_is_told_without_details(
    serve: Callable[..., Any], caplog: pytest.LogCaptureFixture, stream: bool
) -> None:
    served = serve()
    served.pools["big-a"].script.append(KeyError("a secret"))
    body = {"model": "big", "prompt": "x", "stream": stream}
    answer = served.client.post("/v1/completions", json=body)
    assert answer.status_code == 500
    assert answer.json()["error"]["message"] == "internal error"
    assert "a secret" in caplog.text
    assert served.client.post("/v1/completions", json=body).status_code == 200
    served.until(lambda: served.gateway.admission.running == 0)
