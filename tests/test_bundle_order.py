"""Each half of the tests begins with the export of one bundle; what else needs a bundle comes at the end of a half."""

from __future__ import annotations

from tests.bundle_order import ordered

A, B = ("tiny_bundle",), ("tmp_path", "tiny_5b_bundle")


def test_each_half_begins_with_one_export_and_ends_with_what_needs_it() -> None:
    tests = [(), A, (), A, B, (), A, B, (), ()]
    assert ordered(tests) == [1, 0, 2, 5, 3, 4, 8, 9, 6, 7]


def test_the_first_half_of_an_odd_number_is_the_smaller_one() -> None:
    assert ordered([A, A, A, (), (), B, ()]) == [0, 3, 1, 5, 4, 6, 2]


def test_without_bundles_the_order_stays() -> None:
    assert ordered([()] * 5) == [0, 1, 2, 3, 4]


def test_tests_of_one_bundle_alone_all_run() -> None:
    assert sorted(ordered([A] * 5)) == list(range(5))
    assert ordered([B]) == [0]
    assert ordered([]) == []
