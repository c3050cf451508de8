"""The tiny family is made from end to end with a few steps, and everything made can be read."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boute.profiles.catalog import load_model
from boute.profiles.model import model_card_from_config
from boute.routing.table import load_quality_table
from boute.spec.family import ModelChoice
from boute.spec.quality import Quality
from boute.workload.readers import read_trace

# transformers comes with vLLM.
pytestmark = pytest.mark.vllm

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples/tiny"
NAMES = ("small", "medium", "large")
LAYERS = (2, 6, 16)
MODULES = ("task", "model")

VLLM = """
import json, sys
from vllm import LLM, SamplingParams
engine = LLM(
    sys.argv[1], dtype="bfloat16", max_model_len=256, max_num_seqs=4, enforce_eager=True,
    distributed_executor_backend="uni", kv_cache_memory_bytes=128 << 20, async_scheduling=False,
    worker_cls="boute.deployments.engines.slot.SlotWorker", additional_config={"cores": 0.5},
)
chat = [{"role": "user", "content": sys.argv[2]}]
reply = engine.chat(chat, SamplingParams(temperature=0, max_tokens=20), use_tqdm=False)[0]
made = {"prompt": reply.prompt_token_ids, "text": reply.outputs[0].text}
print("made:" + json.dumps(made | {"tokens": len(reply.outputs[0].token_ids)}))
"""


@pytest.fixture(scope="module")
def tiny() -> Iterator[SimpleNamespace]:
    """The modules beside the script, as the script imports them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        modules: dict[str, ModuleType] = {name: __import__(name) for name in MODULES}
        yield SimpleNamespace(**modules)
    for name in MODULES:
        sys.modules.pop(name)


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `train.py --quick` makes."""
    out = tmp_path_factory.mktemp("tiny")
    command = [sys.executable, str(FOLDER / "train.py"), "--out", str(out), "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "entries" in done.stdout
    return out


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_ledger_is_added_up_entry_by_entry(tiny: SimpleNamespace) -> None:
    @given(st.integers(0, 2**32), st.sampled_from(tiny.task.DIFFICULTIES))
    def check(seed: int, difficulty: int) -> None:
        problem = tiny.task.draw(difficulty, np.random.default_rng(seed))
        entries, steps = problem.query.split(" "), problem.working.split(" ")
        assert len(entries) == difficulty == problem.difficulty
        total = 0
        for entry, step in zip(entries, steps, strict=True):
            total += int(entry[1:])
            assert step == f"{entry}={total:02d}"
            assert 0 <= total <= 99
        assert int(problem.answer) == total

    check()


def test_what_is_measured_is_not_trained_on(tiny: SimpleNamespace) -> None:
    rng = np.random.default_rng(0)
    measured = tiny.task.unseen(300, rng)
    further = tiny.task.unseen(300, rng, other_than=measured)
    learnt = {tiny.task.training_problem(rng).query for _ in range(20_000)}
    assert len({problem.query for problem in (*measured, *further)}) == 600
    assert not learnt & {problem.query for problem in (*measured, *further)}
    again = tiny.task.unseen(300, np.random.default_rng(0))
    assert again == measured


def test_a_grown_model_computes_what_it_did(tiny: SimpleNamespace) -> None:
    import torch

    torch.manual_seed(0)
    shallow = tiny.model.new_model(2).eval()
    deep = tiny.model.grow(shallow, 5).eval()
    ids = torch.tensor([tiny.model.prompt_ids("a+7 b+8 c-5")])
    assert len(deep.model.layers) == 5
    torch.testing.assert_close(deep(ids).logits, shallow(ids).logits)


def test_boute_reads_the_table_the_trace_and_the_cards(family: Path) -> None:
    choices = [ModelChoice(name=name) for name in NAMES]
    table = load_quality_table(Quality(table="quality.csv"), choices, family)
    assert table.models == NAMES
    assert table.text is not None
    assert table.lengths_known
    trace = read_trace(family / "trace.csv")
    assert len(trace) == len(rows_of(family / "trace.csv"))
    for name, layers in zip(NAMES, LAYERS, strict=True):
        card = load_model(f"models/{name}/card.yaml", family)
        config = json.loads((family / f"models/{name}/config.json").read_text(encoding="utf-8"))
        assert card == model_card_from_config(config, name=name, where="config.json")
        assert card.num_hidden_layers == layers


def test_a_row_names_a_query_its_answer_and_its_lengths(
    family: Path, tiny: SimpleNamespace
) -> None:
    quality, trace = rows_of(family / "quality.csv"), rows_of(family / "trace.csv")
    for row in (*quality, *trace):
        assert int(row["answer"]) == sum(int(entry[1:]) for entry in row["query"].split(" "))
        assert int(row["input_tokens"]) == len(tiny.model.prompt_ids(row["query"]))
    for row in quality:
        assert int(row["difficulty"]) == len(row["query"].split(" "))
        assert {row[f"quality_{name}"] for name in NAMES} <= {"0", "1"}
        assert all(0 < float(row[f"confidence_{name}"]) <= 1 for name in NAMES)
    assert not {row["query"] for row in quality} & {row["query"] for row in trace}


def test_transformers_loads_a_folder_and_its_chat_template(
    family: Path, tiny: SimpleNamespace
) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = family / "models/medium"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    chat = [{"role": "user", "content": "a+7 b-5"}]
    encoded = tokenizer.apply_chat_template(chat, return_dict=True)
    assert encoded["input_ids"] == tiny.model.prompt_ids("a+7 b-5")
    working = tiny.model.ids_of("a+7=07 b-5=02")
    assert tokenizer.decode(working) == "a+7=07 b-5=02"
    assert tokenizer.unk_token_id in tokenizer("What?")["input_ids"]
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.dtype == torch.bfloat16
    assert torch.isfinite(model(torch.tensor([encoded["input_ids"]])).logits).all()


def test_vllm_answers_with_a_folder_on_a_slot(family: Path, tiny: SimpleNamespace) -> None:
    settings = {
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "OMP_NUM_THREADS": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    }
    done = subprocess.run(
        [sys.executable, "-c", VLLM, str(family / "models/small"), "a+7 b-5"],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout.rsplit("made:", 1)[1])
    assert made["prompt"] == tiny.model.prompt_ids("a+7 b-5")
    assert 1 <= made["tokens"] <= 20
