"""`boute profile check` and `fit` as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

DATA = Path(__file__).parents[3] / "shared/data"
ROWS = """\
silicon_data_source,backend,backend_version,model_path,system,precision,mode,isl,osl,batch_size,\
tp_size,pp_size,silicon_ttft_ms,silicon_tpot_ms
source_file=2026-04-06.csv,vllm,,meta-llama/Llama-3.1-70B,h100_sxm,fp8,agg,1024,1024,16,4,1,121,13.2
source_file=2026-04-06.csv,trtllm,,meta-llama/Llama-3.1-70B,h100_sxm,fp8,agg,1024,128,4,4,1,80,12
source_file=2026-04-06.csv,vllm,,meta-llama/Llama-3.1-70B,tpu,fp8,agg,1024,1024,16,4,1,121,13.2
"""


@pytest.fixture
def rows(folder: Path) -> Path:
    path = folder / "rows.csv"
    path.write_text(ROWS)
    return path


def test_errors_are_printed_and_what_is_left_out_is_said(boute: Any, rows: Path) -> None:
    ran = boute("profile", "check", "--data", rows)
    assert ran.code == 0, ran.err
    assert ran.out.splitlines()[1].startswith("all of vllm")
    assert "apart: trtllm" in ran.out
    assert "worst rows:" in ran.out
    assert "left out 1: there is no GPU card for tpu" in ran.err


def test_json_has_errors_as_fractions_and_reasons(boute: Any, rows: Path) -> None:
    ran = boute("profile", "check", "--data", rows, "--json")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert found["rows"] == 1
    assert 0 < found["tpot_mape"] < 0.2
    assert 0 < found["ttft_mape"] < 0.3
    assert found["by_gpu"]["h100-sxm"]["rows"] == 1
    assert found["by_model"]["meta-llama/Llama-3.1-70B"]["rows"] == 1
    assert found["other_engines"]["trtllm"]["rows"] == 1
    assert [one["reason"] for one in found["skipped"]] == ["there is no GPU card for tpu"]


def test_a_report_has_every_value(boute: Any, rows: Path, folder: Path) -> None:
    ran = boute("profile", "check", "--data", rows, "--out", folder / "report.html")
    assert ran.code == 0, ran.err
    page = (folder / "report.html").read_text()
    assert "4 values" in page
    assert "Llama-3.1-70B, h100-sxm, trtllm" in page
    assert "src=" not in page.split("<script>", 1)[0]


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("a,b\n1,2\n", (), "no column 'backend'"),
        (ROWS.replace("h100_sxm", "tpu"), (), "nothing can be compared"),
        ("", (), "rows.csv"),
    ],
)
def test_a_wrong_file_is_one_line(
    boute: Any, rows: Path, content: str, options: tuple[str, ...], message: str
) -> None:
    rows.write_text(content)
    ran = boute("profile", "check", "--data", rows, *options)
    assert ran.code == 2
    assert message in ran.err
    assert len(ran.err.strip().splitlines()) == 1


def test_a_file_that_is_not_there_is_one_line(boute: Any, folder: Path) -> None:
    ran = boute("profile", "check", "--data", folder / "none.csv")
    assert ran.code == 2
    assert "none.csv" in ran.err


def test_without_data_there_is_nothing_to_fit(boute: Any, folder: Path) -> None:
    ran = boute("profile", "fit", folder, "--out", folder / "c.yaml")
    assert ran.code == 2
    assert "holds no measured kernels" in ran.err
    assert not (folder / "c.yaml").exists()
    ran = boute("profile", "fit", folder / "nowhere")
    assert ran.code == 2
    assert "is no folder" in ran.err


@pytest.mark.skipif(not DATA.exists(), reason="measured kernels are not here")
def test_a_fit_writes_sources_rows_and_residuals(boute: Any, folder: Path) -> None:
    ran = boute("profile", "fit", DATA, "--out", folder / "c.yaml")
    assert ran.code == 0, ran.err
    table = yaml.safe_load((folder / "c.yaml").read_text())
    assert table["gpus"]["h100-sxm"]["residuals"]["fp8"]["rows"] > 1000
    assert "AIConfigurator" in table["gpus"]["h100-sxm"]["residuals"]["fp8"]["source"]
    assert "h100-sxm" in ran.out
