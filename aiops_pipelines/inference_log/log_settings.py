"""What a system's file says about its inference log: where it is, its format, and what stands where.

How each format is read is known by `formats`, what a mapping can name by `mapped`.
"""

from pathlib import Path
from typing import Literal, Self

from pydantic import model_validator

from aiops_pipelines.part import Part

LogFormat = Literal[
    "aiops_jsonl", "otlp_json", "openinference", "langfuse", "litellm", "mlflow", "opik", "braintrust",
    "weave", "helicone", "langsmith", "bedrock", "provider_http", "mapped",
]  # fmt: skip
Place = str | tuple[str, ...]
"""A field, or several of which the first with a value counts."""


class Logs(Part):
    """The folder inference logs land in, and their format."""

    folder: Path
    format: LogFormat = "aiops_jsonl"
    mapping: dict[str, Place | dict[str, Place]] | None = None
    """For the format `mapped`: column of the record to the field it stands in, or `=` and its value; `only`
    says what stands where in the rows that are calls."""

    @model_validator(mode="after")
    def _mapped(self) -> Self:
        from aiops_pipelines.inference_log.mapped import ONLY, REQUIRED, TARGETS

        if (self.format == "mapped") != (self.mapping is not None):
            raise ValueError("format: mapped needs a mapping, and only that format takes one")
        if unknown := sorted((self.mapping or {}).keys() - {*TARGETS, ONLY}):
            raise ValueError(f"mapping has no column {', '.join(unknown)}; there are {', '.join(TARGETS)}")
        if missing := [name for name in REQUIRED if self.mapping is not None and name not in self.mapping]:
            raise ValueError(f"mapping lacks {' and '.join(missing)}, without which no call can be stored")
        for name, place in (self.mapping or {}).items():
            if isinstance(place, dict) != (name == ONLY):
                should = "say what stands where in a call, as {type: llm}" if name == ONLY else "be a field"
                raise ValueError(f"mapping.{name} must {should}")
            nothing = [one for one, said in place.items() if said == ()] if isinstance(place, dict) else []
            if place in ((), {}) or nothing:
                raise ValueError(
                    f"mapping.{'.'.join([name, *nothing[:1]])} is empty; name something or leave it out"
                )
        return self
