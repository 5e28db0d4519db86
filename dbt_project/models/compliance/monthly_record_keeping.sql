with audited as (
    select distinct
        system,
        event_id
    from {{ source('compliance', 'audit_log') }}
    where kind = 'inference'
),

inferences as (
    select
        system,
        month,
        count(*) as inferences,
        count(model_served) as with_model,
        count(prompt_version) as with_prompt_version,
        count(index_version) as with_index_version,
        count(audited.event_id) as inferences_audited
    from {{ ref('stg_inferences') }} as calls
    left join audited using (system, event_id)
    group by system, month
),

entries as (
    select
        system,
        date_trunc('month', occurred_at)::date as month,
        count(*) as audit_entries
    from {{ source('compliance', 'audit_log') }}
    group by all
),

set_aside as (
    select
        system,
        date_trunc('month', quarantined_at)::date as month,
        count(*) as quarantined
    from {{ source('inference_log', 'quarantine') }}
    group by all
)

select
    system,
    month,
    coalesce(inferences, 0) as inferences,
    coalesce(with_model, 0) as with_model,
    coalesce(with_prompt_version, 0) as with_prompt_version,
    coalesce(with_index_version, 0) as with_index_version,
    coalesce(inferences_audited, 0) as inferences_audited,
    coalesce(audit_entries, 0) as audit_entries,
    coalesce(quarantined, 0) as quarantined
from inferences
full join entries using (system, month)
full join set_aside using (system, month)
