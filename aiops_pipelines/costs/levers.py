"""The levers of spend, in the order in which they are shown; each is a file of its own."""

from aiops_pipelines.costs.context_pruning import context_pruning
from aiops_pipelines.costs.history_truncation import history_truncation
from aiops_pipelines.costs.lever import Lever
from aiops_pipelines.costs.output_length import output_length
from aiops_pipelines.costs.prompt_caching import prompt_caching
from aiops_pipelines.costs.prompt_compression import prompt_compression, unused_tools
from aiops_pipelines.costs.semantic_caching import semantic_caching
from aiops_pipelines.costs.tier_routing import tier_routing

LEVERS: tuple[Lever, ...] = (
    prompt_caching,
    prompt_compression,
    unused_tools,
    semantic_caching,
    context_pruning,
    history_truncation,
    output_length,
    tier_routing,
)
