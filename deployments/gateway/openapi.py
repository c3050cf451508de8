"""The OpenAPI document of the gateway: true, and as loose as the engines behind it allow.

Requests are described as far as the ingress looks at them. What else a body may hold is the
engine's to say, so unknown fields are allowed everywhere.
"""

from __future__ import annotations

from typing import Any, Final

from boute import __version__

__all__ = ["document"]

_ERRORS: Final = {
    400: "The request is wrong.",
    401: "A key is needed, or is not known.",
    404: "There is no such model, or not for this key.",
    408: "The body did not come in time.",
    413: "The body or the prompt is too long.",
    429: "Over a limit; Retry-After says when to come back.",
    500: "The server is broken.",
    502: "The engine broke off.",
    503: "Nothing can answer now; Retry-After says when to come back.",
    504: "The deadline has passed.",
}

_TEXT_OR_PARTS: Final = {
    "anyOf": [
        {"type": "string"},
        {"type": "array", "items": {"type": "object", "additionalProperties": True}},
        {"type": "null"},
    ]
}
_MESSAGE: Final = {
    "type": "object",
    "required": ["role"],
    "properties": {"role": {"type": "string"}, "content": _TEXT_OR_PARTS},
    "additionalProperties": True,
}
_PROMPT: Final = {
    "anyOf": [
        {"type": "string"},
        {"type": "array", "minItems": 1, "items": {"type": "string"}},
        {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 0}},
        {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "array",
                "minItems": 1,
                "items": {"type": "integer", "minimum": 0},
            },
        },
    ]
}
_COMMON: Final[dict[str, Any]] = {
    "model": {
        "type": "string",
        "description": "`boute` is routed, `boute-0.8` with that quality at least; or a model.",
        "examples": ["boute"],
    },
    "stream": {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
    "stream_options": {
        "anyOf": [{"type": "object", "additionalProperties": True}, {"type": "null"}]
    },
    "max_tokens": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]},
}
_HEADERS: Final = {
    "x-request-id": ("The request in the logs; the client's own where it gave one.", "string"),
    "x-boute-plan": ("The plan that is served.", "string"),
    "x-boute-model": ("The model that answered.", "string"),
    "x-boute-pool": ("The pool that answered.", "string"),
    "x-boute-score": ("How hard the query is taken to be, 0 to 1.", "number"),
    "x-boute-confidence": ("How sure a model that a cascade checked was, 0 to 1.", "number"),
}
_ASKED_HEADERS: Final = {
    "x-boute-score": "The query's score, for a router that takes scores as given.",
    "x-boute-features": "The query's features with commas between them, for a router that has any.",
    "x-boute-deadline-s": "Seconds after which the answer is of no use.",
    "x-request-id": "A name for the request in the logs.",
}


def document() -> dict[str, Any]:
    """The document, as plain data."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "boute", "version": __version__},
        "security": [{}, {"key": []}],
        "paths": {
            "/v1/chat/completions": _completions("ChatRequest", "Answer a chat."),
            "/v1/completions": _completions("CompletionRequest", "Continue a text."),
            "/v1/models": _get("The models.", _object(), [401, 503]),
            "/v1/models/{name}": {
                **_get("One model.", _object(), [401, 404, 503]),
                "parameters": [
                    {
                        "name": "name",
                        "in": "path",
                        "required": True,
                        "schema": {"type": "string", "minLength": 1},
                    }
                ],
            },
            "/health": _get("Whether requests are taken.", _object(), [503], security=[]),
            "/metrics": _get(
                "Figures for Prometheus.",
                {"text/plain": {"schema": {"type": "string"}}},
                [],
                security=[],
            ),
            "/metrics/scores": _get("Scores, counted in bins.", _object(), [], security=[]),
        },
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "ChatRequest": _request(
                    "messages", {"type": "array", "minItems": 1, "items": _MESSAGE}
                ),
                "CompletionRequest": _request("prompt", _PROMPT),
                "Error": _error(),
            },
        },
    }


def _completions(schema: str, summary: str) -> dict[str, Any]:
    described = {
        name: {"description": text, "schema": {"type": kind}}
        for name, (text, kind) in _HEADERS.items()
    }
    answer = {
        "description": "The answer, whole or as a stream of server-sent events.",
        "headers": described,
        "content": {**_object(), "text/event-stream": {"schema": {"type": "string"}}},
    }
    body = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {
        "post": {
            "summary": summary,
            "parameters": [
                {"name": name, "in": "header", "description": text, "schema": {"type": "string"}}
                for name, text in _ASKED_HEADERS.items()
            ],
            "requestBody": {"required": True, "content": body},
            "responses": {"200": answer, **_errors(list(_ERRORS))},
        }
    }


def _get(summary: str, content: dict[str, Any], errors: list[int], **more: Any) -> dict[str, Any]:
    answer = {"description": summary, "content": content}
    return {"get": {"summary": summary, "responses": {"200": answer, **_errors(errors)}, **more}}


def _errors(statuses: list[int]) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {
        str(status): {"description": _ERRORS[status], "content": content} for status in statuses
    }


def _object() -> dict[str, Any]:
    return {"application/json": {"schema": {"type": "object"}}}


def _request(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["model", name],
        "properties": {**_COMMON, name: schema},
        "additionalProperties": True,
    }


def _error() -> dict[str, Any]:
    text = {"type": ["string", "null"]}
    return {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["message", "type"],
                "properties": {
                    "message": {"type": "string"},
                    "type": {"type": "string"},
                    "param": text,
                    "code": {"type": ["string", "integer", "null"]},
                },
            }
        },
    }
