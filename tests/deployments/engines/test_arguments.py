"""What vLLM is told."""

from __future__ import annotations

import pytest

from boute.deployments.engines.arguments import command_line, engine_env, vllm_arguments
from boute.deployments.engines.vllm import parse_arguments
from boute.errors import PlanError
from boute.spec.family import ServedBy
from boute.spec.model import Engine


def test_a_gpu_replica_is_told_all_that_the_plan_decided(settings_of):
    settings = settings_of(
        "vllm",
        weights_from="meta-llama/Llama-3.1-8B-Instruct",
        vllm=Engine(gpu_memory_utilization=0.85, max_num_seqs=128, block_size=32),
        weights="fp8",
        kv_cache="fp8",
        device="gpu",
        tensor_parallel=2,
        pipeline_parallel=2,
        max_model_len=4096,
    )
    assert vllm_arguments(settings) == {
        "model": "meta-llama/Llama-3.1-8B-Instruct",
        "served_model_name": ["tiny"],
        "tensor_parallel_size": 2,
        "pipeline_parallel_size": 2,
        "max_num_seqs": 128,
        "max_num_batched_tokens": 8192,
        "block_size": 32,
        "max_model_len": 4096,
        "dtype": "bfloat16",
        "quantization": "fp8",
        "kv_cache_dtype": "fp8",
        "distributed_executor_backend": "mp",
        "gpu_memory_utilization": 0.85,
    }
    assert engine_env(settings) == {"VLLM_NO_USAGE_STATS": "1"}


def test_a_cpu_replica_keeps_to_one_core_and_does_not_compile(settings_of):
    settings = settings_of("vllm", weights_from="/models/tiny")
    arguments = vllm_arguments(settings)
    assert arguments["enforce_eager"] is True
    assert arguments["kv_cache_memory_bytes"] == 128 * 2**20
    assert arguments["distributed_executor_backend"] == "uni"
    assert arguments["async_scheduling"] is False
    assert "gpu_memory_utilization" not in arguments
    assert "worker_cls" not in arguments
    environment = engine_env(settings)
    assert environment["OMP_NUM_THREADS"] == "1"
    assert environment["HF_HUB_OFFLINE"] == "1"


@pytest.mark.parametrize(
    ("device", "said", "passed"),
    [
        ("gpu", None, None),
        ("gpu", False, False),
        ("gpu", True, True),
        ("cpu", None, False),
        ("cpu", False, False),
        ("cpu", True, True),
    ],
)
def test_vllm_is_told_to_schedule_ahead_where_the_spec_says(settings_of, device, said, passed):
    engine = Engine(async_scheduling=said, block_size=32)
    settings = settings_of("vllm", weights_from="m", vllm=engine)
    arguments = vllm_arguments(settings.model_copy(update={"device": device}))
    assert arguments.get("async_scheduling") is passed


def test_a_slot_of_a_core_is_held_to_it_by_its_worker(settings_of):
    arguments = vllm_arguments(settings_of("vllm", weights_from="/models/tiny", cores=0.25))
    assert arguments["worker_cls"] == "boute.deployments.engines.slot.SlotWorker"
    assert arguments["additional_config"] == {"cores": 0.25}


def test_four_bits_are_left_to_the_checkpoint(settings_of):
    arguments = vllm_arguments(settings_of("vllm", weights_from="m", weights="int4"))
    assert arguments["dtype"] == "auto"
    assert "quantization" not in arguments


def test_no_more_sequences_than_tokens_in_a_step(settings_of):
    engine = Engine(max_num_seqs=256, max_num_batched_tokens=64, block_size=32)
    assert vllm_arguments(settings_of("vllm", weights_from="m", vllm=engine))["max_num_seqs"] == 64


@pytest.mark.parametrize("block_size", [8, 16])
def test_blocks_too_small_for_attention_on_cpus_are_refused(settings_of, block_size):
    settings = settings_of("vllm", weights_from="m", vllm=Engine(block_size=block_size))
    with pytest.raises(PlanError, match="blocks of 32"):
        vllm_arguments(settings)


def test_what_the_user_says_wins(settings_of):
    served_by = ServedBy(
        args={"distributed_executor_backend": "ray", "block_size": None, "seed": 7},
        env={"OMP_NUM_THREADS": "2", "OTHER": "x"},
    )
    settings = settings_of("vllm", weights_from="m", served_by=served_by)
    arguments = vllm_arguments(settings)
    assert arguments["distributed_executor_backend"] == "ray"
    assert arguments["seed"] == 7
    assert "block_size" not in arguments
    assert engine_env(settings)["OMP_NUM_THREADS"] == "2"
    assert engine_env(settings)["OTHER"] == "x"


@pytest.mark.parametrize("engine", ["openai", "simulated"])
def test_engines_without_vllm_need_no_environment(settings_of, engine):
    assert engine_env(settings_of(engine)) == {}


def test_words_of_the_command_line():
    arguments = {
        "max_num_seqs": 8,
        "enforce_eager": True,
        "enable_prefix_caching": False,
        "served_model_name": ["a", "b"],
        "model": "-m",
        "compilation_config": {"level": 0},
    }
    assert command_line(arguments) == [
        "--max-num-seqs=8",
        "--enforce-eager",
        "--no-enable-prefix-caching",
        "--served-model-name",
        "a",
        "b",
        "--model=-m",
        '--compilation-config={"level": 0}',
    ]


@pytest.mark.vllm
@pytest.mark.filterwarnings("ignore")
def test_vllm_s_parser_takes_them(settings_of):
    served_by = ServedBy(
        args={
            "enable_auto_tool_choice": True,
            "tool_call_parser": "hermes",
            "enable_prefix_caching": False,
            "compilation_config": {"cudagraph_capture_sizes": [1, 2]},
        }
    )
    args = parse_arguments(settings_of("vllm", weights_from="/models/tiny", served_by=served_by))
    assert args.model == "/models/tiny"
    assert args.served_model_name == ["tiny"]
    assert args.kv_cache_memory_bytes == 128 * 2**20
    assert (args.enforce_eager, args.enable_prefix_caching) == (True, False)
    assert args.tool_call_parser == "hermes"
    assert args.compilation_config.cudagraph_capture_sizes == [1, 2]


@pytest.mark.vllm
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "args",
    [
        {"no_such_argument": 1},
        {"max_num_seqs": "many"},
        {"enable_auto_tool_choice": True},
        {"chat_template": "/no/such/file.jinja"},
    ],
)
def test_what_vllm_refuses_is_the_plan_s_fault(settings_of, args):
    settings = settings_of("vllm", weights_from="/models/tiny", served_by=ServedBy(args=args))
    with pytest.raises(PlanError, match=r"models\.tiny\.served_by\.args"):
        parse_arguments(settings)
