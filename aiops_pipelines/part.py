"""Base of what files of ours are read into, settings of a system above all."""

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """Unknown keys are errors, for a misspelt setting would be none; values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)
