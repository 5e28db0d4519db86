"""Model calls that stand in their trace more than once: a framework logs the call that its client logs too.

Of model calls that lie inside each other the innermost is the request that was made and billed. An outer one
that counts nothing else is left out, and what it alone says of the call goes to the inner one.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from aiops_pipelines.inference_log.otlp_spans import Span
from aiops_pipelines.inference_log.record import RecordError
from aiops_pipelines.inference_log.tokens import Tokens

TokensOf = Callable[[Mapping[str, Any]], Tokens | None]
BETWEEN = ("chain", "span", "other span")
"""Spans that may lie between a call and its repetition; a tool or an agent asks a model for itself."""
HOPS = 64
_ITS_OWN = re.compile(r"usage|token|cost|^error\.")
"""Attributes that are not handed on: counts, maybe in another dialect, and how the outer span ended."""


def made_calls(calls: Mapping[str, Span], outer_of: Mapping[str, str], tokens_of: TokensOf) -> list[Span]:
    """Return the calls that were made, each once.

    Args:
        calls: the model calls of a trace by span id.
        outer_of: for the span id of a call that of the call it lies in.
        tokens_of: reads the usage out of a span's attributes.
    """
    inside, made = Counter(outer_of.values()), defaultdict[str, list[Span]](list)
    ready, settled = [name for name in calls if not inside[name]], []
    for name in ready:  # from the innermost outwards: it grows while it is walked
        standing = _standing(calls[name], made.pop(name, []), tokens_of)
        outer = outer_of.get(name)
        if outer is None:
            settled += standing
            continue
        made[outer] += standing
        inside[outer] -= 1
        if not inside[outer]:
            ready.append(outer)
    circular = [calls[name] for name in calls.keys() - set(ready)]
    return [*settled, *circular, *(span for spans in made.values() for span in spans)]


def outer_calls(spans: Mapping[str, Span], kinds: Mapping[str, str], calls: Iterable[str]) -> dict[str, str]:
    """Return for each call that lies in another one, or has the response of an earlier one, which that is."""
    found, answered = {}, dict[str, str]()
    for name in filter(None, calls):
        parent, hops = spans.get(spans[name].parent_id), 0
        while parent and kinds[parent.span_id] in BETWEEN and hops < HOPS:
            parent, hops = spans.get(parent.parent_id), hops + 1
        response = spans[name].first("gen_ai.response.id")
        if parent and parent.span_id not in ("", name) and kinds[parent.span_id] == "model call":
            found[name] = parent.span_id
        elif isinstance(response, str) and response in answered:
            found[name] = answered[response]
        if isinstance(response, str):
            answered[response] = name
    return found


def _standing(outer: Span, inner: list[Span], tokens_of: TokensOf) -> list[Span]:
    """Return which of a call and the calls inside it were made."""
    if not inner:
        return [outer]
    own = _counts(outer, tokens_of)
    counted = [tokens for span in inner if (tokens := _counts(span, tokens_of))]
    if own is None or (counted and _same(own, counted)):
        answered = [span for span in inner if not span.failed]
        if len(answered) == 1:
            return [_completed(span, outer) if span is answered[0] else span for span in inner]
        return inner
    return [outer, *(span for span in inner if counted or span.failed)]


def _counts(span: Span, tokens_of: TokensOf) -> Tokens | None:
    try:
        return tokens_of(span.attributes)
    except RecordError:
        return None


def _same(own: Tokens, counted: list[Tokens]) -> bool:
    """Return whether a call counts what one inside it does, or all of them: cached tokens may be left out."""
    whole = [(tokens.input, tokens.output, tokens.input_uncached) for tokens in counted]
    for given, said, uncached in (*whole, tuple(map(sum, zip(*whole, strict=True)))):
        if said == own.output and {given, uncached} & {own.input, own.input_uncached}:
            return True
    return False


def _completed(span: Span, outer: Span) -> Span:
    handed = {name: value for name, value in outer.attributes.items() if not _ITS_OWN.search(name)}
    return replace(span, attributes={**handed, **span.attributes})
