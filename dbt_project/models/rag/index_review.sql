with indexes as (
    select * from {{ source('rag', 'index_versions') }}
    qualify row_number() over (partition by system, index_version order by valid_from desc) = 1
),

index_chunks as (
    select distinct
        system,
        index_version,
        chunk_id
    from {{ source('rag', 'index_chunks') }}
),

retrievals as (
    select
        system,
        index_version,
        retrieved
    from {{ ref('stg_inferences') }}
    where retrieved is not null and index_version is not null
),

answers as (
    select
        system,
        index_version,
        count(*) as answers
    from retrievals
    group by all
),

used as (
    select distinct
        system,
        index_version,
        unnest(retrieved).chunk_id as chunk_id,
        true as was_retrieved
    from retrievals
),

chunks as (
    select
        system,
        index_version,
        count(*) as chunks,
        avg(len(regexp_extract_all(text, '\S+'))) as words_per_chunk,
        count(*) filter (where was_retrieved is null) as not_retrieved
    from index_chunks
    left join {{ source('rag', 'chunks') }} using (system, chunk_id)
    left join used using (system, index_version, chunk_id)
    group by all
),

quality as (
    select
        system,
        index_version,
        max_by(mean, valid_from) filter (where ranker = 'dense') as dense_ndcg_at_10,
        max_by(mean, valid_from) filter (where ranker = 'bm25') as bm25_ndcg_at_10,
        max_by(mean, valid_from) filter (where ranker = 'fusion') as fusion_ndcg_at_10
    from {{ source('rag', 'retrieval_quality') }}
    where metric = 'ndcg_at_10'
    group by all
),

fused as (
    select
        system,
        index_version,
        max_by(verdict, valid_from) as fusion_verdict,
        max_by(difference, valid_from) as fusion_gain,
        max_by(low, valid_from) as fusion_gain_low,
        max_by(high, valid_from) as fusion_gain_high
    from {{ source('rag', 'retrieval_comparisons') }}
    where ranker = 'fusion' and against = 'dense'
    group by all
)

select
    system,
    index_version,
    valid_from,
    embedding_version,

    coalesce(chunks.chunks, 0) as chunks,
    words_per_chunk,

    coalesce(answers, 0) as answers,
    case when answers > 0 then not_retrieved end as chunks_never_retrieved,
    chunks_never_retrieved / chunks.chunks as never_retrieved_share,

    dense_ndcg_at_10,
    bm25_ndcg_at_10,
    dense_ndcg_at_10 - bm25_ndcg_at_10 as dense_gain,
    fusion_ndcg_at_10,
    fusion_gain,
    fusion_gain_low,
    fusion_gain_high,
    fusion_verdict
from indexes
left join chunks using (system, index_version)
left join answers using (system, index_version)
left join quality using (system, index_version)
left join fused using (system, index_version)
