"""AIConfigurator as a second source of predictions, on the same runs as ours.

Its estimate for a fixed concurrency is a formula over tables of measured kernels, of the newest
vLLM that it has for the system (github.com/ai-dynamo/aiconfigurator, 0.12.0). An optional extra:
`pip install 'boute[aiconfigurator]'`. With several pipeline stages it reports a throughput that
does not go with its latency, so such runs are left out.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import Any, Final

from boute.calibration.predict import Prediction
from boute.calibration.runs import Replay, Run
from boute.calibration.silicon import SYSTEMS
from boute.calibration.summary import METRICS, Check, Compared, errors_of
from boute.errors import InputError

__all__ = ["aiconfigurator", "beside_aiconfigurator"]

FORMATS: Final = {"bf16": "bfloat16", "fp8": "fp8"}


def beside_aiconfigurator(found: Check) -> dict[str, Any]:
    """Errors of both on the headline rows that AIConfigurator predicts too.

    `<metric>_boute` and `<metric>_aiconfigurator` are median absolute errors; the rest is that of
    `errors_of` for each. Raises InputError where it is not installed or predicts none of the rows.
    """
    ours, theirs = [], []
    reason = ""
    for row in found.headline:
        other = aiconfigurator(row.run)
        if isinstance(other, str):
            reason = other
            continue
        ours.append(row)
        theirs.append(Compared(row.run, other))
    if not ours:
        raise InputError(f"AIConfigurator predicts none of the rows: {reason}")
    errors = {"boute": errors_of(ours), "aiconfigurator": errors_of(theirs)}
    medians = {
        f"{metric}_{name}": values[f"{metric}_p50"]
        for metric in METRICS
        for name, values in errors.items()
    }
    return {"rows": len(ours), **medians, **errors}


def aiconfigurator(run: Run) -> Prediction | str:
    """Its TTFT and TPOT for a run at a fixed concurrency, or why it has none."""
    load = run.load
    if isinstance(load, Replay):
        return "predicts no logged arrivals"
    system = next((system for system, gpu in SYSTEMS.items() if gpu == run.gpu), None)
    if system is None or run.weights not in FORMATS or run.pp > 1:
        return f"has no {run.gpu} with {run.weights} weights and PP{run.pp}"
    problem = "no such model"
    for model in _names(run.model):
        try:
            found = _estimate()(
                model,
                system,
                mode="agg",
                backend_name=run.engine_name,
                isl=load.input_tokens,
                osl=load.output_tokens,
                batch_size=load.concurrency,
                tp_size=run.tp,
                gemm_quant_mode=FORMATS[run.weights],
                kvcache_quant_mode=FORMATS[run.kv_cache],
                fmha_quant_mode="bfloat16",
            )
        except InputError:
            raise
        # Whatever goes wrong in there is a reason why there is no prediction.
        except Exception as error:
            problem = str(error).split("\n", 1)[0]
            continue
        return Prediction(found.ttft / 1e3, found.tpot / 1e3, load=0.0)
    return problem


def _names(model: str) -> tuple[str, ...]:
    """The model as it is called, and as the configs in AIConfigurator's package call it."""
    owner, _, name = model.rpartition("/")
    return (f"{owner}/Meta-{name}", model) if owner == "meta-llama" else (model,)


@cache
def _estimate() -> Any:
    """Its function for one estimate, with its log switched off."""
    try:
        from aiconfigurator.cli.api import cli_estimate
    except ImportError:
        raise InputError(
            "AIConfigurator is not installed", mend="pip install 'boute[aiconfigurator]'"
        ) from None
    logging.getLogger("aiconfigurator").setLevel(logging.CRITICAL)
    logging.getLogger("aiconfigurator_core").setLevel(logging.CRITICAL)
    return cli_estimate
