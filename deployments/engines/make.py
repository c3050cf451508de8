"""From a plan's word to an engine. Nothing else is ever put in the place of what the plan names."""

from __future__ import annotations

from boute.deployments.engines.base import Engine
from boute.deployments.engines.settings import EngineSettings

__all__ = ["make_engine"]


def make_engine(settings: EngineSettings) -> Engine:
    """The engine that `settings.served_by` names, not started; only its libraries are imported."""
    match settings.served_by.engine:
        case "vllm":
            from boute.deployments.engines.vllm import VLLMEngine

            return VLLMEngine(settings)
        case "vllm-process":
            from boute.deployments.engines.process import ProcessEngine

            return ProcessEngine(settings)
        case "ray-llm":
            from boute.deployments.engines.ray_llm import RayLLMEngine

            return RayLLMEngine(settings)
        case "openai":
            from boute.deployments.engines.openai import OpenAIEngine

            return OpenAIEngine.of(settings)
        case "simulated":
            from boute.deployments.engines.simulated import SimulatedEngine

            return SimulatedEngine(settings)
