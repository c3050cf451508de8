"""The engines' own figures, told apart by pool and replica."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from boute.deployments.engine_metrics import merged

TEXT = """# HELP vllm:running Requests, running.
# TYPE vllm:running gauge
vllm:running{engine="0",model_name="m"} 3.0
# HELP up_total Times.
# TYPE up_total counter
up_total 1.0
not a sample
"""


def test_each_replica_s_samples_have_its_labels_and_families_stay_together() -> None:
    text = merged({"a": [TEXT, TEXT], "b": [TEXT]})
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert set(families) == {"vllm:running", "up"}
    running = families["vllm:running"].samples
    assert [(s.labels["pool"], s.labels["replica"], s.value) for s in running] == [
        ("a", "0", 3.0),
        ("a", "1", 3.0),
        ("b", "0", 3.0),
    ]
    assert all(sample.labels["engine"] == "0" for sample in running)
    assert text.count("# TYPE up_total") == 1


def test_nothing_said_is_an_empty_page() -> None:
    assert merged({}) == merged({"a": [""]}) == ""
