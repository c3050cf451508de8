"""What RouteLLM's authors publish, to stand beside what is measured here.

Ong et al., RouteLLM: Learning to Route LLMs with Preference Data, arXiv 2406.18665v4 (ICLR 2025),
Mixtral-8x7B against GPT-4. Only figures that were seen quoted are here. The rows of the single
routers (matrix factorisation, BERT) for MMLU and GSM8K were not to be had when this was written.
"""

from __future__ import annotations

from typing import NamedTuple


class Published(NamedTuple):
    """A figure of the paper. Shares are of calls to GPT-4, in [0, 1]; None is not known."""

    benchmark: str
    router: str
    trained_on: str
    apgr: float | None
    cpt_50: float | None
    cpt_80: float | None
    place: str


PUBLISHED = (
    Published(
        "MMLU",
        "best of four a column",
        "Arena and MMLU's validation labels",
        0.603,
        0.354,
        0.703,
        "table of MMLU, best value of each column",
    ),
    Published(
        "MMLU",
        "any of four",
        "Arena alone",
        None,
        None,
        None,
        "in words: close to random",
    ),
    # Savings over random at equal quality: 1.41x and 1.14x, so 0.5 / 1.41 and 0.8 / 1.14.
    Published("MMLU", "best", "Arena and labels", None, 0.50 / 1.41, 0.80 / 1.14, "table 6"),
    # 1.49x and 1.27x.
    Published(
        "GSM8K", "best", "Arena and GPT-4's judgements", None, 0.50 / 1.49, 0.80 / 1.27, "table 6"
    ),
    Published(
        "MT Bench",
        "matrix factorisation",
        "Arena and GPT-4's judgements",
        0.802,
        0.134,
        0.3131,
        "table of MT Bench",
    ),
)
