from aiops_pipelines.rag.letters import letters, shared, union


def test_places_count_what_is_not_white_space():
    assert letters(" a b\n\tc ") == "abc"


def test_spans_are_joined_and_shared():
    assert union([(8, 9), (2, 6), (0, 4), (3, 3)]) == [(0, 6), (8, 9)]
    assert shared([(0, 6)], [(4, 8)]) == 2
    assert shared([(0, 2), (1, 4)], [(0, 1), (3, 9), (3, 5)]) == 2
    assert shared([], [(0, 4)]) == 0
