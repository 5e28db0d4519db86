-- Which outdated documents answers were given from, in which weeks, and how often.
select
    system,
    week,
    document,
    count(distinct event_id) as stale_answers,
    count(distinct chunk_id) as stale_chunks
from rag.stale_answers
group by system, week, document
order by system, week, stale_answers desc, document;
