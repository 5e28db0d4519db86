with source as (
    select * from {{ source('costs', 'call_costs') }}
),

derived as (
    select
        ---------- ids
        system,
        event_id,

        ---------- how it was priced
        price_status,
        price_source,

        ---------- USD
        cost_usd,
        cost_low_usd,
        cost_high_usd,
        cost_usd - coalesce(output_usd, 0) as input_usd,
        cache_read_usd,
        cache_write_usd,
        case when cost_usd is not null then coalesce(output_usd, 0) end as output_usd
    from source
)

select * from derived
