"""Planning again after a change of rate, as a user does it: whole commands under a time limit.

    python -m benchmarks.replan [SPEC ...] [--limit 8] [--rate 1.2] [--seeds 3]

A study of each spec is made without a limit. Then its rate changes, and `boute optimize` runs with
the limit, with `--from` that study and without, in turns. What is told is the time of the whole
command, start of Python and reports included, the plans that it simulated, and the hypervolume.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from boute.spec.load import load_spec, rebase_spec
from boute.world import changed_spec

ROOT: Final = Path(__file__).resolve().parent.parent
EXAMPLES: Final = [ROOT / "examples" / name / "boute.yaml" for name in ("quickstart", "azure")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("specs", nargs="*", type=Path, default=EXAMPLES)
    parser.add_argument("--limit", type=float, default=8.0, help="seconds")
    parser.add_argument("--rate", type=float, default=1.2, help="times the old rate")
    parser.add_argument("--seeds", type=int, default=3)
    told = parser.parse_args()
    # The kernels of the simulator are compiled here, and not in the first command's time.
    subprocess.run([sys.executable, "-m", "boute.warm"], cwd=ROOT, check=True)
    for spec in told.specs:
        compare(spec, told.limit, told.rate, told.seeds)


def compare(file: Path, limit_s: float, rate: float, seeds: int) -> None:
    """Print a line a search, and one with the medians, of a spec."""
    name = file.resolve().parent.name
    spec = load_spec(file)
    with tempfile.TemporaryDirectory() as folder:
        new = Path(folder) / "boute.yaml"
        changed = rebase_spec(changed_spec(spec, rate_scale=rate), file.parent, new.parent)
        new.write_text(json.dumps(changed.model_dump(mode="json", exclude_unset=True)))
        _tell(name, "old", _optimize(file, Path(folder) / "old"))
        limit = ["--time-limit", f"{limit_s:g}"]
        warm = [*limit, "--from", str(Path(folder) / "old" / "study.db")]
        found: dict[str, list[dict[str, Any]]] = {"warm": [], "cold": []}
        for seed in range(seeds):
            for kind, options in (("warm", warm), ("cold", limit)):
                out = Path(folder) / f"{kind}-{seed}"
                found[kind].append(_optimize(new, out, *options, "--seed", str(seed)))
                _tell(name, kind, found[kind][-1])
    for kind, each in found.items():
        keys = ("command_s", "evaluations", "hypervolume")
        _tell(
            name, f"{kind}, median", {key: statistics.median(e[key] for e in each) for key in keys}
        )


def _optimize(spec: Path, out: Path, *options: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "boute", "optimize", str(spec), "--out", str(out), "--json"]
    started = time.monotonic()
    done = subprocess.run([*command, *options], cwd=ROOT, check=True, stdout=subprocess.PIPE)
    seconds = time.monotonic() - started
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary | {"command_s": seconds}


def _tell(name: str, kind: str, found: dict[str, Any]) -> None:
    print(
        f"{name:12} {kind:13} {found['command_s']:6.1f} s  {found['evaluations']:3.0f} plans  "
        f"hypervolume {found['hypervolume']:.4f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
