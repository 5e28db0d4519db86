"""An AI system under operation: its YAML file, typed and checked.

What a system is and which limits it has lives here; what is done about them lives in the pillars.
"""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import AfterValidator, Field, ValidationError, field_validator

from aiops_pipelines.compliance.owasp import OWASP_2025
from aiops_pipelines.compliance.witness_settings import Witnesses
from aiops_pipelines.costs.price_settings import ContractPrice
from aiops_pipelines.incidents.settings import BusinessHours, Notification, Regime
from aiops_pipelines.inference_log.log_settings import Logs
from aiops_pipelines.mendable import Mendable, about
from aiops_pipelines.mistakes import mistakes
from aiops_pipelines.monitoring.judge_settings import JudgeSettings
from aiops_pipelines.part import Part
from aiops_pipelines.rag.index_settings import Corpus, Index
from aiops_pipelines.rag.store_settings import Publish

Profile = Literal["light", "standard", "regulated"]


class SystemFileError(Mendable, ValueError):
    """A system's YAML file cannot be used; the message says what to change."""


def _aware(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    except OverflowError as error:
        raise ValueError(f"{value} has no moment in UTC; give a year from 1 to 9999") from error


UtcDatetime = Annotated[datetime, AfterValidator(_aware)]


class Baseline(Part):
    """How the frozen baseline is taken."""

    weeks: int = Field(default=4, ge=1, le=13)
    minimum_rows: int = Field(default=200, ge=1)
    guardrails_from: dict[str, date] = Field(default_factory=dict)
    """Guardrails that were changed or taken out on purpose, and when; what they did before is past."""


class Limits(Part):
    """Limits that turn numbers into incidents."""

    margin: float = Field(default=0.02, ge=0, lt=0.5)
    """Relative drop in quality that is tolerated (non-inferiority margin)."""
    drop_that_matters: float = Field(default=0.05, gt=0, lt=1)
    """A week is OK only if a drop of this size would have been seen with 80 % power."""
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    """Chance per stable week of any false alarm, over all metrics together."""
    stale_share: float = Field(default=0.02, ge=0, le=1)
    error_rate: float = Field(default=0.05, ge=0, le=1)
    availability_slo: float = Field(default=0.99, gt=0, lt=1)
    """Share of calls that are to succeed over 30 days; burn rates of systems with much traffic rest on it."""
    latency_p95_ms: int = Field(default=10_000, gt=0)
    weekly_spend_growth: float = Field(default=0.25, gt=0)
    """Relative growth in a week's spend against the baseline weeks that opens an incident."""
    spend_anomaly: float = Field(default=0.5, gt=0)
    """How far above its usual cost unusual hours must be, relative, before they open an incident."""
    monthly_budget_usd: Decimal | None = Field(default=None, gt=0)
    daily_budget_usd: Decimal | None = Field(default=None, gt=0)
    endpoint_budgets_usd: dict[str, Annotated[Decimal, Field(gt=0)]] = Field(default_factory=dict)
    """Budget of a calendar month by endpoint."""
    invoice_difference: float = Field(default=0.02, gt=0)
    """Share of a provider's bill that the logged calls may leave unexplained, or exceed it by."""
    guardrail_blocks_per_day: int = Field(default=10, ge=1)
    adversarial_limits: dict[str, Annotated[float, Field(ge=0, lt=1)]] = Field(default_factory=dict)
    """Share of the attacks of a category (LLM01 to LLM10) that may give way in a week; none where unnamed."""
    missing_calls_per_day: int = Field(default=0, ge=0)
    """Numbers of sources that may be missing, or come twice, in a day."""
    silent_hours: int = Field(default=24, ge=1)
    """Hours without a single call after which missing data is a signal."""

    @field_validator("adversarial_limits")
    @classmethod
    def _categories(cls, value: dict[str, float]) -> dict[str, float]:
        if unknown := sorted(value.keys() - OWASP_2025.keys()):
            raise ValueError(f"there is no category {unknown[0]}; they are {', '.join(OWASP_2025)}")
        return value


class Retention(Part):
    """How long text and evidence are kept."""

    text_days: int = Field(default=180, ge=1)
    audit_days: int = Field(default=2192, ge=184)
    """Six years (2,191 or 2,192 days), as HIPAA and the SEC ask; never below six months (181 to 184), the
    floor of AI Act articles 19(1) and 26(6)."""


class System(Part):
    """One AI system under operation.

    `as_of` fixes the clock of a recorded story: nothing is expected after it. A live system leaves it out.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")
    title: str
    owner: str = "unassigned"
    profile: Profile = "standard"
    as_of: UtcDatetime | None = None
    corpus: Corpus | None = None
    index: Index = Index()
    publish: Publish | None = None
    inference_log: Logs
    known_queries: Path | None = None
    judge: JudgeSettings | None = None
    """A model that judges answers; without one they are compared by their words alone."""
    baseline: Baseline = Baseline()
    limits: Limits = Limits()
    prices: tuple[ContractPrice, ...] = ()
    retention: Retention = Retention()
    witnesses: Witnesses = Witnesses()
    notifications: tuple[Notification, ...] = (Notification(),)
    business_hours: BusinessHours = BusinessHours()
    regimes: tuple[Regime, ...] = ()
    """Law that asks for notices of the system's incidents; its days are those of business_hours."""

    @field_validator("profile", mode="before")
    @classmethod
    def _lower(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    @field_validator("prices")
    @classmethod
    def _one_price_a_day(cls, prices: tuple[ContractPrice, ...]) -> tuple[ContractPrice, ...]:
        named = Counter((price.model.lower(), price.valid_from, price.service_tier) for price in prices)
        for (model, day, tier), times in named.items():
            if times > 1:
                in_tier = f" in the tier {tier}" if tier else ""
                raise ValueError(f"{model} has {times} prices{in_tier} from {day} on; keep one of them")
        return prices

    def now(self, clock: datetime) -> datetime:
        """Return the system's present: the end of its recorded story, or the clock (UTC-aware)."""
        return self.as_of or clock

    def rooted(self, root: Path) -> Self:
        """Return the system with its relative folders taken from `root`."""
        corpus = self.corpus and self.corpus.rooted(root)
        logs = self.inference_log.model_copy(update={"folder": root / self.inference_log.folder})
        queries = self.known_queries and root / self.known_queries
        publish = self.publish and self.publish.rooted(root, self.name)
        rooted = {"corpus": corpus, "inference_log": logs, "known_queries": queries, "publish": publish}
        return self.model_copy(update=rooted | {"witnesses": self.witnesses.rooted(root)})


def load_system(file: Path, root: Path) -> System:
    """Read one system file; relative paths in it start at `root`.

    Raises:
        SystemFileError: the file is not YAML or breaks the schema; one line per mistake.
    """
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SystemFileError(about(OSError(error.errno, error.strerror, file.name))) from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:  # 2026-13-01 is a ValueError
        raise SystemFileError(f"{file.name} cannot be read as YAML: {error}") from error
    if not isinstance(content, dict):
        raise SystemFileError(f"{file.name} holds no keys; `aiops init` writes a commented example.")
    try:
        system = System.model_validate(content)
    except ValidationError as error:
        raise SystemFileError(f"{file.name}: " + "; ".join(mistakes(error, content, System))) from error
    if file.name != f"{system.name}.yaml":
        raise SystemFileError(
            f"{file.name}: name is {system.name!r}, so the file must be {system.name}.yaml."
        )
    return system.rooted(root)


def load_systems(folder: Path, root: Path) -> tuple[dict[str, System], dict[str, str]]:
    """Return the usable systems by name, and what is wrong with the other files by name.

    Raises:
        OSError: the folder cannot be listed; without one there are no systems.
    """
    systems, mistakes = {}, {}
    listed = folder.iterdir() if folder.exists() else ()
    for file in sorted(file for file in listed if file.name.endswith((".yaml", ".yml"))):
        try:
            systems[file.stem] = load_system(file, root)
        except SystemFileError as error:
            mistakes[file.stem] = str(error)
    return systems, mistakes


def monday(moment: datetime | date) -> date:
    """Return the Monday of the week, in UTC, a moment lies in: `monday(date(2026, 6, 3))` is 2026-06-01."""
    day = _aware(moment).date() if isinstance(moment, datetime) else moment
    return day - timedelta(days=day.weekday())
