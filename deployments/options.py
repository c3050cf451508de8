"""serve.yaml: how the ingress behaves. All of it has defaults; a plan alone is enough to serve.

Keys are not in here and not in plans: they come from a file of hashes or from the environment.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from boute.documents import Document

__all__ = ["Autoscaling", "KeyLimits", "Limits", "ServingOptions"]

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class Limits(Document):
    """What one ingress replica takes at most; beyond it clients get 413, or 429 with Retry-After.

    `max_prompt_chars` counts characters of all messages, because the ingress has no tokenizer: the
    engine itself refuses what is longer than its context. `deadline_s` bounds a whole request, and
    `first_byte_s` how long one pool may take to begin a stream before another is tried.
    """

    max_body_bytes: Count = 4 * 2**20
    max_prompt_chars: Count = 1_000_000
    max_concurrency: Count = 1024
    deadline_s: Positive = 600.0
    first_byte_s: Positive = 120.0
    drain_s: Positive = 30.0


class KeyLimits(Document):
    """What one key may do on one ingress replica; no limit where nothing is given.

    `quality` is the setting of the dial that the key's requests for `boute` get.
    """

    requests_per_minute: Count | None = None
    max_concurrency: Count | None = None
    models: list[str] | None = Field(default=None, description="models that the key may name")
    quality: Annotated[float, Field(ge=0, le=1)] | None = None


class Autoscaling(Document):
    """Replicas of a pool move between the plan's number times these bounds."""

    min_replicas: Count = 1
    max_replicas: Count
    target_ongoing_requests: Positive = 16.0


class ServingOptions(Document):
    """How the ingress behaves.

    `keys_file` holds hashes and limits (see `boute keys`); without it and without BOUTE_API_KEYS
    the server is open. `haproxy` is Ray Serve's HAProxy mode: `auto` uses it where it is installed.
    `access_log` is a file of one JSON object a request, a trace that `boute optimize` can read;
    prompts are in it only with `log_prompts`.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    limits: Limits = Limits()
    keys_file: str | None = None
    haproxy: Literal["auto", "on", "off"] = "auto"
    ingress_replicas: Count = 1
    max_ongoing_requests: Count = Field(default=256, description="of one replica of a pool")
    autoscaling: dict[str, Autoscaling] = Field(default_factory=dict, description="by pool")
    access_log: str | None = None
    log_prompts: bool = False
    opentelemetry: bool = Field(default=False, description="spans to OTEL_EXPORTER_OTLP_ENDPOINT")
