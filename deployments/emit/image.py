"""The container image: a Dockerfile on Ray's official image, for whoever has no image of their own.

boute comes from a wheel in `wheels/`, so that no registry has to have it.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

from boute.deployments.emit.bundle import Bundle
from boute.errors import PlanError

__all__ = ["default_image", "dockerfile", "ray_version"]

_TEXT: Final = """\
# Build the wheel first, in a checkout of boute: pip wheel --no-deps --wheel-dir wheels .
# Then, in this folder with wheels/ in it:       docker build -t {image} .
FROM rayproject/ray:{ray}-py311{variant}
COPY wheels/boute-{boute}-py3-none-any.whl /tmp/
RUN pip install --no-cache-dir "/tmp/boute-{boute}-py3-none-any.whl{extra}" \\
    && mkdir -p /home/ray/.cache/huggingface
"""


def default_image() -> str:
    """The name that the Dockerfile's image is given."""
    return f"boute:{version('boute')}"


def ray_version() -> str:
    """The Ray that is installed here, whose schema the files were made for."""
    return version("ray")


def dockerfile(bundle: Bundle) -> str:
    """A Dockerfile for the plan's engines; raise PlanError where Ray has no official image."""
    vendors = {
        bundle.cards[pool.gpu].vendor
        for pool in bundle.plan.pools
        if bundle.settings[pool.name].served_by.on_devices
    }
    for vendor, reason in (
        ("amd", "Ray has no official image for AMD GPUs"),
        ("cpu", "vLLM's CPU engine is built for the machine that it runs on"),
    ):
        if vendor in vendors:
            raise PlanError(f"{reason}, so none can be named", where="--image", mend="give one")
    return _TEXT.format(
        image=default_image(),
        ray=ray_version(),
        boute=version("boute"),
        variant="-gpu" if vendors else "",
        extra="[vllm]" if vendors else "",
    )
