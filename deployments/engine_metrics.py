"""What all engines say of themselves, as one page for Prometheus.

Every replica has the same series, so each sample gets the labels `pool` and `replica` here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

__all__ = ["merged"]

_SAMPLE: Final = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ([-+0-9.eE]+|NaN|[-+]Inf)")
_ABOUT: Final = re.compile(r"# (?:HELP|TYPE) (\S+) ")


def merged(texts: Mapping[str, Sequence[str]]) -> str:
    """One text of the texts of each pool's replicas; what is no sample and no comment is dropped.

    Samples of one family stay together, as the format asks: `# HELP` and `# TYPE` once, then those
    of all replicas.
    """
    families: dict[str, dict[str, None]] = {}
    for pool, replicas in texts.items():
        for number, text in enumerate(replicas):
            labels = f'pool="{pool}",replica="{number}"'
            family: dict[str, None] = {}
            for line in text.splitlines():
                if about := _ABOUT.match(line):
                    family = families.setdefault(about[1], {})
                    family[line] = None
                elif sample := _SAMPLE.fullmatch(line):
                    own = f"{labels},{sample[2]}" if sample[2] else labels
                    family[f"{sample[1]}{{{own}}} {sample[3]}"] = None
    return "".join(f"{line}\n" for lines in families.values() for line in lines)
