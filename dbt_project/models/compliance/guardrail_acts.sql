with calls as (
    select
        system,
        week,
        guardrail_events
    from {{ ref('stg_inferences') }}
    where operation = 'chat' and is_production
),

weeks as (
    select
        system,
        unnest(generate_series(min(week), max(week), interval 7 days))::date as week
    from calls
    group by system
),

traffic as (
    select
        system,
        week,
        count(*) as calls
    from calls
    group by all
),

verdicts as (
    select
        system,
        week,
        unnest(guardrail_events) as verdict
    from calls
),

judged as (
    select
        system,
        week,
        coalesce(verdict.guardrail, 'unknown') as guardrail,
        coalesce(verdict.category, 'unknown') as category,
        lower(coalesce(verdict.action, 'unknown')) as action,
        action not in (
            'pass', 'passed', 'allow', 'allowed', 'success', 'succeeded', 'ok', 'safe', 'clean', 'none', 'no_action',
            'not_run', 'skip', 'skipped', 'error', 'failed', 'guardrail_failed_to_respond'
        ) as acted,
        regexp_matches(
            action, '^(block|deny|denied|reject|refuse|intervene|guardrail_intervene|filter|mask|redact|anonymi|sanitiz|replace)'
        ) as stopped
    from verdicts
),

counted as (
    select
        system,
        week,
        guardrail,
        category,
        count(*) filter (where acted) as acted,
        count(*) filter (where stopped) as stopped
    from judged
    group by all
),

guardrails as (
    select distinct
        system,
        guardrail,
        category
    from counted
)

select
    system,
    week,
    guardrail,
    category,
    coalesce(acted, 0) as acted,
    coalesce(stopped, 0) as stopped,
    coalesce(calls, 0) as calls
from weeks
inner join guardrails using (system)
left join traffic using (system, week)
left join counted using (system, week, guardrail, category)
