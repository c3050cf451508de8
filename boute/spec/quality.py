"""Where a spec's answer quality comes from, and how queries are told apart."""

from __future__ import annotations

from operator import not_
from typing import Literal

from pydantic import Field, model_validator

from boute.documents import Document
from boute.spec.fields import FileName, Name, Positive

__all__ = ["Policy", "Quality", "RouterChoice"]

Policy = Literal["thresholds", "utility", "cascade"]


class RouterChoice(Document):
    """The router of the plans: of a kind, trained on the table, or one that is trained already.

    A `folder` (`boute router train`) knows the models of the spec, cheapest first. Plans are then
    judged on rows of the table that it was not trained on.
    """

    kind: Literal["lexical", "boosted", "neighbours", "factorisation", "embedding"] = "lexical"
    embedding: FileName | None = Field(
        default=None, description="folder of an embedding model, for every kind but lexical"
    )
    folder: FileName | None = Field(default=None, description="folder of a trained router")

    @model_validator(mode="after")
    def _one_router(self) -> RouterChoice:
        if self.folder is not None and self.model_fields_set & {"kind", "embedding"}:
            raise ValueError("a folder holds a router of its own kind: give either")
        return self


class Quality(Document):
    """Where answer quality comes from: a table with a row a query, or a preset by name.

    `columns` says which column holds what when the defaults do not fit: `quality` and
    `output_tokens` map a model's name in this spec to a column. `output_unit: chars` divides by
    `chars_per_token`. With `output_length: scaled` (the default) a request keeps the output length
    of its trace, times how much longer than the family's mean the model answers that query; with
    `table` the table's own lengths are used. `policy` is how plans route; `confidence` maps a
    model's name to the column that holds, in [0, 1], how sure it was of its own answer.
    """

    table: FileName = Field(description="a CSV, Parquet or JSONL file, or the name of a preset")
    query: str | None = Field(default=None, description="column of the query text")
    score: str | None = Field(default=None, description="column of a score, higher is harder")
    features: list[str] = Field(default_factory=list, description="columns of numeric features")
    quality: dict[Name, str] = Field(default_factory=dict, description="model to column")
    output_tokens: dict[Name, str] = Field(default_factory=dict, description="model to column")
    lengths: FileName | None = Field(default=None, description="a second file with output lengths")
    texts: FileName | None = Field(default=None, description="a second file with query texts")
    key: list[str] = Field(default_factory=list, description="columns that join the files")
    output_unit: Literal["tokens", "chars"] = "tokens"
    chars_per_token: Positive = 4.0
    output_length: Literal["scaled", "table"] = "scaled"
    router: RouterChoice = RouterChoice()
    # Without what is new and says nothing, specs of thresholds have the hash that they had.
    policy: Policy = Field("thresholds", exclude_if="thresholds".__eq__)
    confidence: dict[Name, str] = Field(
        default_factory=dict, description="model to column", exclude_if=not_
    )
