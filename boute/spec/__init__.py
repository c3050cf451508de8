"""What is asked: the contents of boute.yaml, checked, with every default filled in."""

from boute.spec.load import load_spec
from boute.spec.model import (
    Engine,
    Generator,
    GpuSupply,
    ModelChoice,
    Quality,
    Search,
    Spec,
    Targets,
    WorkloadSource,
)

__all__ = [
    "Engine",
    "Generator",
    "GpuSupply",
    "ModelChoice",
    "Quality",
    "Search",
    "Spec",
    "Targets",
    "WorkloadSource",
    "load_spec",
]
