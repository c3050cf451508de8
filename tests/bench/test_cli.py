"""`boute bench` as a user meets it, against a real server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.testing import CliRunner, Result

from boute.bench.record import read_records
from boute.cli.bench import bench
from boute.errors import InputError

PLAN = Path(__file__).parents[1] / "plan" / "example.yaml"

app = typer.Typer()
app.command()(bench)


def run(*arguments: object) -> Result:
    texts = [str(argument) for argument in arguments]
    return CliRunner().invoke(app, texts, catch_exceptions=False)


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "t.jsonl"
    prompts = ["say 4", "say it is 5", "hard", "refuse"]
    rows = [
        {"arrival_s": i * 0.05, "input_tokens": 4, "output_tokens": 5, "prompt": text, "answer": 4}
        for i, text in enumerate(prompts)
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


@pytest.fixture
def plan(tmp_path: Path, small_spec: Any) -> Path:
    """The example with data that is there."""
    data = yaml.safe_load(PLAN.read_text())
    data["spec"]["quality"] = {"table": "llama-3.1"}
    data["spec"]["models"] = [{"name": "llama-3.1-8b"}, {"name": "llama-3.1-70b"}]
    data["spec"]["workload"]["generator"] |= {"rate_per_s": 20.0, "duration_s": 1.0}
    for length in ("input_tokens", "output_tokens"):
        data["spec"]["workload"]["generator"][length] |= {"median": 5.0, "maximum": 9}
    data["models"] = data["models"][1:]
    data["pools"] = data["pools"][1:]
    data["routing"] |= {
        "models": ["llama-3.1-8b", "llama-3.1-70b"],
        "fractions": [0.8, 0.2],
        "thresholds": [0.8],
    }
    path = tmp_path / "plan.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


def test_a_replay_prints_json_and_writes_rows(server: Any, trace: Path, tmp_path: Path) -> None:
    out = tmp_path / "rows.jsonl"
    done = run(
        server.url, "--trace", trace, "--json", "--detailed", "--out", out,
        "--check", "last-word", "--goodput", "ttft:60000", "--goodput", "e2el:60000",
    )  # fmt: skip
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert (found["completed"], found["failed"], found["num_prompts"]) == (3, 1, 4)
    assert found["model_id"] == "boute"
    assert found["failures"] == {"HTTP 429": 1}
    assert found["slo_attainment"] == 0.75
    assert found["quality"]["mean"] == pytest.approx(1 / 3)
    assert found["model_shares"] == pytest.approx({"large": 1 / 3, "small": 2 / 3})
    assert len(found["ttfts"]) == 4
    assert "comparison" not in found
    assert [record.reason for record in read_records(out)] == ["", "", "", "HTTP 429"]
    assert "4 requests of t.jsonl in " in done.stderr
    assert f"wrote {out}" in done.stderr


def test_a_replay_prints_tables(server: Any, trace: Path) -> None:
    done = run(server.url, "--trace", trace, "--goodput", "e2el:60000", "--check", "exact")
    for words in ("3 of 4 requests answered", "Time to first token", "HTTP 429", "too many",
                  "75.0% of all requests", "quality 0.333", "large", "client late by"):  # fmt: skip
        assert words in done.stdout


def test_a_plan_is_held_against_the_same_requests(server: Any, plan: Path) -> None:
    done = run(server.url, "--plan", plan, "--json", "--rate-scale", 2, "--max-requests", 12)
    rows = {row["metric"]: row for row in json.loads(done.stdout)["comparison"]}
    assert {"ttft_p50_s", "tpot_p95_s", "e2e_p95_s", "goodput_per_s", "slo_attainment"} <= set(rows)
    assert {"share llama-3.1-8b", "share llama-3.1-70b", "output_tokens_per_s"} <= set(rows)
    assert "quality" not in rows
    assert rows["e2e_p95_s"]["error"] == pytest.approx(
        rows["e2e_p95_s"]["predicted"] / rows["e2e_p95_s"]["measured"] - 1
    )
    assert len(server.seen) == 12
    # The plan's router takes scores as given, so the requests say which queries they stand for.
    assert len({float(score) for score in server.scores}) > 1


def test_a_plan_with_another_trace_prints_both(server: Any, plan: Path, trace: Path) -> None:
    done = run(server.url, "--plan", plan, "--trace", trace, "--check", "exact")
    for words in ("Measured next to predicted", "P95 end-to-end latency", "points",
                  "Share of llama-3.1-8b", "Quality"):  # fmt: skip
        assert words in done.stdout


def test_requests_with_text_are_left_to_the_router(server: Any, plan: Path, trace: Path) -> None:
    run(server.url, "--plan", plan, "--trace", trace)
    assert set(server.scores) == {None}


def test_the_model_is_boute_or_the_first_that_is_served(server: Any, trace: Path) -> None:
    server.models = ["other", "small"]
    run(server.url, "--trace", trace, "--max-requests", 2)
    run(server.url, "--trace", trace, "--max-requests", 2, "--model", "boute-0.8")
    assert [body["model"] for body in server.seen] == ["other"] * 2 + ["boute-0.8"] * 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("", "--trace is missing"),
        ("--trace nowhere.csv", "nowhere.csv: there is no such file"),
        ("--trace {trace} --goodput ttft", "--goodput: 'ttft' is no limit"),
        ("--trace {trace} --goodput e2e:5", "--goodput: 'e2e:5' is no limit"),
        ("--trace {trace} --goodput ttft:nan", "is no limit"),
        ("--plan {plan} --goodput ttft:5", "the plan has targets of its own"),
        ("--trace {trace} --no-stream --goodput ttft:5", "--no-stream"),
        ("--trace {trace} --api-key-env BOUTE_NO_SUCH", "BOUTE_NO_SUCH is not set or empty"),
        ("--trace {trace} --duration nan", "options: duration_s"),
        ("--trace {trace} --max-requests 0", "options: max_requests"),
        ("--trace azure-code --max-requests 3 --check exact", "has no column answer"),
    ],
)
def test_wrong_options_are_told_in_one_line(
    server: Any, trace: Path, plan: Path, arguments: str, says: str
) -> None:
    with pytest.raises(InputError) as refused:
        run(server.url, *arguments.format(trace=trace, plan=plan).split())
    assert says in str(refused.value)
    assert server.seen == []


def test_a_server_that_answers_nothing_is_an_error(server: Any, tmp_path: Path) -> None:
    path, out = tmp_path / "t.csv", tmp_path / "rows.jsonl"
    path.write_text("time,input_tokens,output_tokens,prompt\n0,1,1,refuse\n0.1,1,1,refuse\n")
    with pytest.raises(InputError, match="answered none of 2 requests: HTTP 429: too many"):
        run(server.url, "--trace", path, "--out", out)
    assert len(read_records(out)) == 2
