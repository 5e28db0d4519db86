"""Facts that stand under one of several names, found as `first` finds them."""

from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.inference_log.messages import WIDEST, Aliases, by_names, first

names = st.sampled_from("abcdefg")
aliases = st.dictionaries(st.sampled_from(("one", "two")), st.lists(names, unique=True).map(tuple))
spans = st.lists(st.dictionaries(names, st.sampled_from([None, "", 0, "x", 5])), max_size=8)


@given(aliases, spans)
def test_each_fact_is_the_first_one_that_is_there(wanted, many):
    facts = Aliases(**wanted)
    for values in many:
        assert facts.found(values) == {fact: first(values, *among) for fact, among in wanted.items()}


def test_names_are_looked_through_once_unless_there_are_too_many():
    looked = []
    count = by_names(lambda names: looked.append(names) or len(names))
    wide = dict.fromkeys(map(str, range(WIDEST + 1)))
    assert [count({"a": 1}), count({"a": 2}), count(wide), count(wide)] == [1, 1, WIDEST + 1, WIDEST + 1]
    assert [len(names) for names in looked] == [1, WIDEST + 1, WIDEST + 1]
