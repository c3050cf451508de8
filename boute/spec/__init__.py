"""What is asked: the contents of boute.yaml, checked, with every default filled in."""

from boute.spec.family import ModelChoice
from boute.spec.load import load_spec
from boute.spec.model import Engine, GpuSupply, Search, Spec
from boute.spec.quality import Quality
from boute.spec.targets import Targets
from boute.spec.workload import Generator, WorkloadSource

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
