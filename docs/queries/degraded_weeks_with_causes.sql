-- Every verdict DEGRADED with its drop, the interval around it and the likeliest cause, where one was found.
select
    drift_verdicts.system,
    drift_verdicts.week,
    drift_verdicts.sample,
    drift_verdicts.metric,
    round(100 * drift_verdicts."drop", 1) as drop_percent,
    round(100 * drift_verdicts.drop_low, 1) as drop_percent_from,
    round(100 * drift_verdicts.drop_high, 1) as drop_percent_to,
    drift_causes.cause as likeliest_cause,
    drift_causes.evidence
from drift.drift_verdicts
left join drift.drift_causes
    on
        drift_verdicts.system = drift_causes.system
        and drift_verdicts.week = drift_causes.week
        and drift_causes.rank = 1
where drift_verdicts.verdict = 'DEGRADED'
order by all;
