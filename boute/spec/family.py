"""The family of a spec: which models, in which number formats, and what answers for each."""

from __future__ import annotations

import re
from typing import Any, Final, Literal

from pydantic import Field, model_validator

from boute.documents import Document
from boute.spec.fields import FileName, KvCache, Name, Weights

__all__ = ["ModelChoice", "ServedBy"]

_SECRET: Final = re.compile(r"secret|password|_token$|^token$|api[_-]?key", re.IGNORECASE)


class ServedBy(Document):
    """What answers for a model. A plan names it, and nothing else is used in its place.

    `vllm` runs in the replica; `vllm-process` is vLLM's own server as a child of the replica, from
    another environment if `python` names its interpreter; `ray-llm` is the server of Ray Serve LLM;
    `openai` passes on to an endpoint that is there already; `simulated` answers at the pace of the
    performance model and has no GPU. `args` go to vLLM as they are.
    """

    engine: Literal["vllm", "vllm-process", "ray-llm", "openai", "simulated"] = "vllm"
    folder: FileName | None = Field(
        default=None, description="weights in a Hugging Face folder, if not by huggingface_id"
    )
    args: dict[str, Any] = Field(default_factory=dict, description="further arguments of vLLM")
    env: dict[str, str] = Field(default_factory=dict, description="environment of the engine")
    python: str | None = Field(default=None, description="interpreter of vllm-process")
    base_url: str | None = Field(default=None, description="of openai, with /v1")
    model: str | None = Field(default=None, description="name of the model at the endpoint")
    api_key_env: str | None = Field(default=None, description="variable with the endpoint's key")

    @property
    def on_devices(self) -> bool:
        """Whether the engine loads weights and runs on the pool's GPUs."""
        return self.engine in ("vllm", "vllm-process", "ray-llm")

    @model_validator(mode="after")
    def _belongs_together(self) -> ServedBy:
        if (self.engine == "openai") != (self.base_url is not None):
            raise ValueError("engine openai and base_url go together")
        if self.base_url is not None and not self.base_url.startswith(("http://", "https://")):
            raise ValueError("base_url should begin with http:// or https://")
        if self.engine != "openai" and (self.model or self.api_key_env):
            raise ValueError("model and api_key_env are of engine openai")
        if self.engine != "vllm-process" and self.python is not None:
            raise ValueError("python is of engine vllm-process")
        for name in [*self.env, *self.args]:
            if _SECRET.search(name):
                raise ValueError(f"{name} should be set where the server runs, not in a file")
        return self


class ModelChoice(Document):
    """One member of the family: a card by name (or a file of one's own) and how it is served."""

    name: Name
    card: FileName | None = Field(default=None, description="name or file of the model card")
    weights: Weights = Field(default="bf16", description="number format of the weights")
    kv_cache: KvCache = Field(default="bf16", description="format of the KV cache")
    served_by: ServedBy = ServedBy()
