"""What a system's file says about prices: contracts, and what machines of one's own cost.

How calls are priced with them is known by `prices`.
"""

from datetime import date
from decimal import Decimal
from typing import Self

from pydantic import Field, field_validator, model_validator

from aiops_pipelines.part import Part


class ContractPrice(Part):
    """A price of the user's own from a date on: USD per million tokens, or what a machine of one's own costs.

    A model on machines of one's own has one price for every token: USD per GPU hour over the tokens, read and
    written, that a GPU hour really serves, idle time included. 2.40 USD and 6,000,000 tokens are 0.40 USD per
    million.
    """

    model: str = Field(min_length=1)
    valid_from: date
    service_tier: str | None = None
    """batch, flex, priority or what else the provider calls it; left out for the standard tier."""
    input: Decimal | None = Field(default=None, ge=0)
    cache_read: Decimal | None = Field(default=None, ge=0)
    cache_write: Decimal | None = Field(default=None, ge=0)
    cache_write_1h: Decimal | None = Field(default=None, ge=0)
    output: Decimal | None = Field(default=None, ge=0)
    gpu_hour_usd: Decimal | None = Field(default=None, ge=0)
    tokens_per_gpu_hour: int | None = Field(default=None, gt=0)
    entered_by: str = ""

    @field_validator("service_tier")
    @classmethod
    def _as_logged(cls, value: str | None) -> str | None:
        """Name a tier as calls do, or a price for `standard` or `Batch` would hold for none."""
        from aiops_pipelines.inference_log.record import service_tier

        return service_tier("service_tier", value) if value else None

    @model_validator(mode="after")
    def _one_price(self) -> Self:
        per_token = (self.input, self.output)
        hosted = (self.gpu_hour_usd, self.tokens_per_gpu_hour)
        cache = (self.cache_read, self.cache_write, self.cache_write_1h)
        sold = None not in per_token and hosted == (None, None)
        own = None not in hosted and (*per_token, *cache) == (None,) * 5
        if not sold and not own:
            raise ValueError("give input and output, or gpu_hour_usd and tokens_per_gpu_hour")
        return self
