"""Model calls that stand in their trace more than once: a framework logs the call that its client logs too.

Of model calls that lie inside each other the innermost is the request that was made and billed. An outer one
that counts nothing else is left out, and what it alone says of the call goes to the inner one. Inside means a
child, or for spans of two libraries that do not know each other: within its time, of its model and counts.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from aiops_pipelines.inference_log.otlp_frameworks import OPENED
from aiops_pipelines.inference_log.otlp_messages import conversation
from aiops_pipelines.inference_log.otlp_spans import Span
from aiops_pipelines.inference_log.record import RecordError
from aiops_pipelines.inference_log.tokens import Tokens

TokensOf = Callable[[Mapping[str, Any]], Tokens | None]
BETWEEN = ("chain", "span", "other span")
"""Spans that may lie between a call and its repetition; a tool or an agent asks a model for itself."""
HOPS = 64
_NAMES = ("gen_ai.request.model", "gen_ai.response.model", "llm.model_name")
_NUMBERED = re.compile(r"(llm\.(?:input|output)_messages|gen_ai\.(?:prompt|completion))\.\d")
"""Messages by number; those of two spans are not mixed."""
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


def outer_calls(
    spans: Mapping[str, Span], kinds: Mapping[str, str], calls: Sequence[str], tokens_of: TokensOf
) -> dict[str, str]:
    """Return for each call that lies in another one, or has the response of an earlier one, which that is."""
    found, answered = {}, dict[str, str]()
    for name in filter(None, calls):
        parent, hops = spans.get(spans[name].parent_id), 0
        while parent and kinds[parent.span_id] in BETWEEN and hops < HOPS:
            parent, hops = spans.get(parent.parent_id), hops + 1
        response = spans[name].first("gen_ai.response.id")
        if parent and parent.span_id not in ("", name) and kinds[parent.span_id] == kinds[name]:
            found[name] = parent.span_id
        elif isinstance(response, str) and response in answered:
            found[name] = answered[response]
        if isinstance(response, str):
            answered[response] = name
    made = [spans[name] for name in calls if name]
    found |= _opened(made, found)
    found |= _handed_over(made, found)
    return _around(made, found, tokens_of)


def _opened(calls: Iterable[Span], found: Mapping[str, str]) -> dict[str, str]:
    """Return for each end of a stream, which Logfire logs by itself, the call that opened the stream."""
    opened, ends = defaultdict[tuple[str, str, str], list[str]](list), {}
    for call in calls:
        if (asked := call.attributes.get("request_data")) is None or call.span_id in found:
            continue
        key = (call.parent_id, call.scope, str(asked))
        if call.attributes.get("logfire.span_type") != "log":
            opened[key].append(call.span_id)
        elif opened[key]:
            ends[call.span_id] = opened[key].pop(0)
    return ends


def _handed_over(calls: Iterable[Span], found: Mapping[str, str]) -> dict[str, str]:
    """Return for a client's call the one whose stream it is: LlamaIndex asks once the stream is read."""
    waiting, asked = list[Span](), dict[str, str]()
    holding = set(found.values())
    for call in calls:
        if OPENED in call.attributes:
            waiting += [call] if call.span_id not in holding else []
        elif waiting and call.span_id not in found:
            fits = (
                one for one in waiting if one.scope != call.scope and _alike(one, call) and _agree(one, call)
            )
            if opener := next(fits, None):
                asked[call.span_id] = opener.span_id
                waiting.remove(opener)
    return asked


def _around(calls: Sequence[Span], found: Mapping[str, str], tokens_of: TokensOf) -> dict[str, str]:
    """Return what was found, with calls of one library in those of another by time, model and counts."""
    if len({call.scope for call in calls}) < 2:
        return dict(found)
    timed = [call for call in calls if call.scope and call.start_ns is not None and call.end_ns is not None]
    timed.sort(key=lambda call: (call.start_ns or 0, -(call.end_ns or 0)))
    outward = _outward(timed)
    lying, holding = dict(found), set(found.values())
    for at, inner in enumerate(timed):
        if inner.span_id in found:
            continue
        for outer in reversed(timed[max(at - HOPS, 0) : at]):
            free = outer.span_id not in holding and not _within(outer.span_id, inner.span_id, lying)
            if free and (outer.scope, inner.scope) in outward and _holds(outer, inner, tokens_of):
                lying[inner.span_id] = outer.span_id
                holding.add(outer.span_id)
                break
    return lying


def _outward(timed: Sequence[Span]) -> set[tuple[str, str]]:
    """Return pairs of libraries of which the first calls the second: it is more often around in time.

    Of calls at the same time one of the inner library may hold one of the outer by chance.
    """
    around = Counter(
        (outer.scope, inner.scope)
        for at, inner in enumerate(timed)
        for outer in timed[max(at - HOPS, 0) : at]
        if outer.scope != inner.scope and (outer.end_ns or 0) >= (inner.end_ns or 0)
    )
    return {(one, other) for one, other in around if around[one, other] > around[other, one]}


def _within(name: str, other: str, outer_of: Mapping[str, str]) -> bool:
    """Say whether a call lies in another, over any number of calls between."""
    for _ in range(HOPS):
        if name == other:
            return True
        if (outer := outer_of.get(name)) is None:
            return False
        name = outer
    return True


def _holds(outer: Span, inner: Span, tokens_of: TokensOf) -> bool:
    if (outer.end_ns or 0) < (inner.end_ns or 0) or not _alike(outer, inner):
        return False
    own, counted = _counts(outer, tokens_of), _counts(inner, tokens_of)
    if own is None or counted is None:
        same = own is counted and outer.failed and inner.failed
    else:
        same = _same(own, [counted])
    return same and _agree(outer, inner)


def _agree(one: Span, other: Span) -> bool:
    """Say whether two calls name no different responses and ask nothing different, where both say so."""
    said = [(call.first("gen_ai.response.id"), conversation(call).query) for call in (one, other)]
    return all(mine is None or its is None or mine == its for mine, its in zip(*said, strict=True))


def _alike(one: Span, other: Span) -> bool:
    """Say whether two calls may be of one model: gpt-4o may be answered by gpt-4o-2024-08-06."""
    asked, made = ([str(name) for at in _NAMES if (name := call.attributes.get(at))] for call in (one, other))
    fits = (first.startswith(second) or second.startswith(first) for first in asked for second in made)
    return not asked or not made or any(fits)


def one_response(one: Span, other: Span) -> bool:
    """Say whether two libraries logged the same response of a provider, one within the time of the other.

    A server for tests gives the same id to all; then the times are those of calls apart, or made up alike.
    """
    response, scopes = one.first("gen_ai.response.id"), {one.scope, other.scope}
    if not isinstance(response, str) or response != other.first("gen_ai.response.id"):
        return False
    first, second = ((call.start_ns or 0, call.end_ns or 0) for call in (one, other))
    within = first[0] <= second[0] <= second[1] <= first[1] or second[0] <= first[0] <= first[1] <= second[1]
    return len(scopes) == 2 and "" not in scopes and first != second and within and _alike(one, other)


def _standing(outer: Span, inner: list[Span], tokens_of: TokensOf) -> list[Span]:
    """Return which of a call and the calls inside it were made."""
    if not inner:
        return [outer]
    own = _counts(outer, tokens_of)
    counted = [tokens for span in inner if (tokens := _counts(span, tokens_of))]
    known = any(one_response(outer, span) for span in inner)
    if own is None or known or (counted and _same(own, counted)):
        answered = [span for span in inner if not span.failed] or inner
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
    numbered = {match[1] for name in span.attributes if (match := _NUMBERED.match(name))}
    handed = {
        name: value
        for name, value in outer.attributes.items()
        if not _ITS_OWN.search(name) and not ((match := _NUMBERED.match(name)) and match[1] in numbered)
    }
    return replace(span, attributes={**handed, **span.attributes})
