"""Which numbers are missing or came twice among the calls of sources that number them, by day.

A source counts on by one from call to call, so a number that nobody has is a call that never reached the log.
What comes after its last call cannot be missed by this; silence and the provider's invoice tell that.
"""

import polars as pl

from aiops_pipelines.resources.warehouse import Warehouse

SOURCE_DAYS = """
    with numbered as (
        select system, coalesce(source_id, 'unknown') as source_id, source_seq,
            min(occurred_at)::date as day, count(*) as times
        from inference_log.inferences
        where system = ? and source_seq is not null
        group by all
    ),
    followed as (
        select *, lag(source_seq) over (partition by source_id order by source_seq) as before from numbered
    )
    select system, source_id, day, sum(times)::bigint as calls, min(source_seq) as first_seq,
        max(source_seq) as last_seq, coalesce(sum(source_seq - before - 1), 0)::bigint as missing,
        sum(times - 1)::bigint as repeats
    from followed
    group by system, source_id, day
    order by source_id, day
"""


def source_days(warehouse: Warehouse, system: str) -> pl.DataFrame:
    """Return inference_log.source_days of a system; empty where no call has a number."""
    return warehouse.read(SOURCE_DAYS, [system])
