"""The OWASP Top 10 for LLM applications: ids of 2025, which attacks are filed under, and of 2026."""

from collections.abc import Mapping

OWASP_2025: Mapping[str, tuple[str, str]] = {
    "LLM01": ("prompt injection", "LLM01"),
    "LLM02": ("sensitive information disclosure", "LLM02"),
    "LLM03": ("supply chain", "LLM04"),
    "LLM04": ("data and model poisoning", "LLM05"),
    "LLM05": ("improper output handling", "LLM10"),
    "LLM06": ("excessive agency", "LLM03"),
    "LLM07": ("system prompt leakage", "LLM08"),
    "LLM08": ("vector and embedding weaknesses", "LLM09"),
    "LLM09": ("misinformation", "LLM07"),
    "LLM10": ("unbounded consumption", "LLM06"),
}
"""Id of 2025: what it is about, and the id of 2026 it is found under, where hidden context is wider than
leakage and consumption need not be unbounded."""


def owasp_name(category: str) -> str:
    """Name a category of 2025: LLM07:2025 system prompt leakage."""
    return f"{category}:2025 {OWASP_2025[category][0]}"
