"""Fits the coefficients of the step-time model on measured kernels and writes them down.

    python -m benchmarks.fit_step_coefficients [--data ../shared/data] [--out profiles/...yaml]

Only kernels are read here, never an end-to-end run; the errors that end-to-end runs show are
carried over from the file that is there (see check_step_errors). Each fit is a robust least
squares on the logarithm of the time, so that small and large kernels count alike.

Sources: AIConfigurator (GEMM, attention, all-reduce), Vidur (linear layers of the A40), Helix
(milliseconds per layer of Llama-2-70B), LLMServingSim (layers of the RTX 4090), all under the
folder of measured public data.
"""

from __future__ import annotations

import argparse
import datetime
from pathlib import Path

import numpy as np

from benchmarks.kernel_fits import (
    AICONFIGURATOR,
    HELIX,
    Figures,
    Fit,
    fit_aiconfigurator,
    fit_helix,
    fit_llmservingsim,
    fit_vidur,
)
from boute.documents import dump_yaml
from boute.files import write_text
from boute.performance.coefficients import coefficients_path
from boute.profiles.catalog import load_gpu

# GPU types without kernels and with end-to-end rows: the default, with an error of their own.
UNFITTED = ("a10g", "mi300x")
# What no kernel file holds: the host's share of a step of vLLM V1 and of a sequence in it.
STEP_US = 400.0
SEQUENCE_US = 5.0
MEDIAN_SOURCE = "median of the fitted GPU types"
UNMEASURED_ERROR = {"tpot_error": 0.3, "ttft_error": 0.5, "error_source": "not checked yet"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=coefficients_path())
    options = parser.parse_args()
    fitted = {name: fit_aiconfigurator(name, options.data) for name in AICONFIGURATOR}
    fitted["rtx-4090"] = fit_llmservingsim("rtx-4090", options.data)
    fitted["a40"] = fit_vidur("a40", options.data)
    fitted |= {name: fit_helix(name, options.data) for name in HELIX}
    write_text(options.out, dump_yaml(as_table(fitted, options.out)))
    for name, found in fitted.items():
        print(name, {key: rounded(value) for key, value in found.figures.items()}, found.links)


def as_table(fitted: dict[str, Fit], old: Path) -> dict[str, object]:
    """The file's contents: what a GPU type lacks is the median of those that have it."""
    names = ("gemm", "fp8_gemm", "attention", "memory", "kv", "layer_us")
    known = {
        name: [f.figures[name] for f in fitted.values() if name in f.figures] for name in names
    }
    median = {name: rounded(float(np.median(values))) for name, values in known.items()}
    pcie = {name for name in fitted if load_gpu(name, Path()).interconnect.topology == "pcie"}
    links = {
        kind: median_links([f.links for name, f in fitted.items() if (name in pcie) == kind])
        for kind in (False, True)
    }
    host = {"step_us": STEP_US, "sequence_us": SEQUENCE_US}
    errors = old_errors(old)
    gpus = {
        name: {
            **completed(found.figures, median),
            "links": {k: rounded(v) for k, v in found.links.items()} or dict(links[name in pcie]),
            **host,
            "source": found.source + "; the rest as default",
            **errors.get(name, UNMEASURED_ERROR),
        }
        for name, found in sorted(fitted.items())
    }
    for name in UNFITTED:
        meets_over_pcie = load_gpu(name, Path()).interconnect.topology == "pcie"
        gpus[name] = {
            **median,
            "links": dict(links[meets_over_pcie]),
            **host,
            "source": MEDIAN_SOURCE,
            **errors.get(name, UNMEASURED_ERROR),
        }
    default = {
        **median,
        "links": dict(links[False]),
        **host,
        "source": MEDIAN_SOURCE,
        **errors.get("default", UNMEASURED_ERROR),
    }
    return {
        "fitted_on": str(datetime.date.today()),
        "pcie_links": links[True],
        "default": default,
        "gpus": gpus,
    }


def completed(figures: Figures, median: Figures) -> Figures:
    """Figures with the medians for what is missing.

    The other tensor rates are in proportion to `gemm`: what holds one back, power most of all,
    holds back the others.
    """
    scale = figures["gemm"] / median["gemm"]
    scaled = {key: median[key] * scale for key in ("fp8_gemm", "attention")}
    return {key: rounded(value) for key, value in {**median, **scaled, **figures}.items()}


def median_links(links: list[dict[int, float]]) -> dict[int, float]:
    """Median by group size over the GPU types that have one."""
    known = {size: [x[size] for x in links if size in x] for size in (2, 4, 8)}
    return {size: rounded(float(np.median(values))) for size, values in known.items()}


def old_errors(path: Path) -> dict[str, dict[str, float | str]]:
    """The stated errors of a file that is there already, by GPU type."""
    import yaml

    if not path.exists():
        return {}
    table = yaml.safe_load(path.read_text(encoding="utf-8"))
    records = {**table["gpus"], "default": table["default"]}
    return {
        name: {key: record[key] for key in UNMEASURED_ERROR} for name, record in records.items()
    }


def rounded(value: float) -> float:
    return float(f"{value:.3g}")


if __name__ == "__main__":
    main()
