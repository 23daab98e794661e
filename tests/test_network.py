"""LCN: sizes, strides and messages (S1)."""

import dataclasses
import pickle

import numpy as np
import pytest

import lcnlib
from lcnlib import LCN, ArchitectureError, InputError, random_filters


def test_sizes_by_hand():
    net = LCN((3, 2, 4), (2, 3, 5))
    assert net.cumulative_strides == ((1,), (2,), (6,))
    assert net.end_to_end_shape == (1 + 2 + 2 + 18,)
    assert net.end_to_end_stride == (30,)
    assert (net.ndim, net.depth, net.n_parameters, net.dimension) == (1, 3, 9, 7)


def test_sizes_by_hand_in_two_dimensions():
    net = LCN([(3, 2), (1, 4)], [(2, 1), (3, 3)])
    assert net.cumulative_strides == ((1, 1), (2, 1))
    assert net.end_to_end_shape == (3, 5)
    assert net.end_to_end_stride == (6, 3)
    assert net.dimension == 6 + 4 - 1


def test_spellings_of_one_architecture_are_equal_and_hash_alike():
    spellings = [
        LCN((3, 3), 2),
        LCN([(3,), (3,)], [2, 2]),
        LCN(np.array([3, 3]), np.array([[2], [2]])),
        LCN(((np.int64(3),), [3]), ((2,), 2)),
    ]
    assert len(set(spellings)) == 1
    assert spellings[0] != LCN((3, 3), (2, 1))
    assert LCN([(3, 3)], 2) == LCN([(3, 3)], [(2, 2)])


def test_frozen_and_picklable():
    net = LCN((3, 2), 2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        net.strides = 1
    assert pickle.loads(pickle.dumps(net)) == net
    assert eval(repr(net)) == net


@pytest.mark.parametrize(("error", "name", "value"), [
    (lcnlib.FlowError, "time", 2.0),
    (lcnlib.AmbiguousFactorizationError, "branches", [[[1.0], [2.0]], [[2.0], [1.0]]]),
])
def test_errors_say_only_their_words_and_keep_what_they_carry(error, name, value):
    """Whether it is given by place or by name, and after a way between two processes."""
    for one in (error("no way", value), error("no way", **{name: value})):
        for x in (one, pickle.loads(pickle.dumps(one))):
            assert str(x) == "no way" and getattr(x, name) == value
    assert str(error("no way")) == "no way"
    assert np.isnan(lcnlib.FlowError("no way").time)
    assert lcnlib.AmbiguousFactorizationError("no way").branches == []


def test_results_cannot_be_changed():
    """What a function has found stays as it is."""
    names = [getattr(lcnlib, name) for name in lcnlib.__all__]
    names += [getattr(part, name) for part in (lcnlib.fully_connected, lcnlib.shallow_relu)
              for name in part.__all__]
    results = [x for x in names if dataclasses.is_dataclass(x)]
    assert len(results) > 5 and all(x.__dataclass_params__.frozen for x in results)


@pytest.mark.parametrize(
    ("shapes", "strides", "words"),
    [
        ((), 1, "at least one"),
        (3, 1, r"\(3,\)"),
        ("33", 1, "filter_shapes"),
        ((3, 0), 1, r"filter_shapes\[1\]\[0\].*got 0"),
        ((3, -1), 1, "got -1"),
        ((3, 2.5), 1, "got 2.5"),
        ((3, True), 1, "got True"),
        (((3, 3), 3), 1, r"\[2, 1\]"),
        (((),), 1, "D >= 1"),
        ((3, 3), (2,), "2 entries.*got 1"),
        ((3, 3), (2, 0), r"strides\[1\]\[0\].*got 0"),
        ((3, 3), (2, (1, 1)), r"strides\[1\]"),
        ((3, 3), 1.5, "got 1.5"),
        (None, 1, "filter_shapes"),
    ],
)
def test_bad_architectures_say_what_is_wrong(shapes, strides, words):
    with pytest.raises(ArchitectureError, match=words):
        LCN(shapes, strides)


def test_random_filters():
    net = LCN([(2, 3), (1, 2)], 2)
    w = random_filters(net, 7, batch=(5, 4))
    assert [x.shape for x in w] == [(5, 4, 2, 3), (5, 4, 1, 2)]
    assert all(np.array_equal(a, b) for a, b in zip(w, random_filters(net, 7, batch=(5, 4))))
    assert random_filters(net, 7, batch=3)[0].shape == (3, 2, 3)
    rng = np.random.default_rng(7)
    assert np.array_equal(random_filters(net, rng, batch=(5, 4))[0], w[0])
    assert not np.array_equal(random_filters(net, rng)[0], random_filters(net, rng)[0])
    big = random_filters(LCN((100, 100)), 0, batch=100)
    assert abs(np.mean(big)) < 0.05 and abs(np.std(big) - 1) < 0.05  # 5 sigma of 20,000 samples


@pytest.mark.parametrize(("seed", "batch"), [("x", ()), (-1, ()), (0.5, ()), (0, -1), (0, 1.5)])
def test_random_filters_bad_input(seed, batch):
    with pytest.raises(InputError, match="expected"):
        random_filters(LCN((2, 2)), seed, batch)


def test_random_filters_need_an_architecture():
    with pytest.raises(InputError, match="net: expected an LCN, got tuple"):
        random_filters((2, 2), 0)
