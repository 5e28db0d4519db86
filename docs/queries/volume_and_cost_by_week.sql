-- How many calls a week, how fast, and what they cost; a cost is null while nothing of the week has a price.
with spend as (
    select
        system,
        week,
        sum(cost_usd) as cost_usd
    from costs.weekly_spend
    group by system, week
)

select
    system,
    week,
    calls,
    errors,
    round(latency_p95_ms) as latency_p95_ms,
    round(cost_usd, 4) as cost_usd,
    round(1000 * cost_usd / nullif(calls, 0), 4) as cost_usd_per_1000_calls
from monitoring.weekly_traffic
left join spend using (system, week)
order by system, week;
