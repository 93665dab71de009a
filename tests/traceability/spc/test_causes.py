from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control
from scipy.stats.contingency import odds_ratio
from statsmodels.stats.contingency_tables import StratifiedTable
from statsmodels.stats.multitest import multipletests

from traceability.errors import CountImpossible, InspectorBlind, ParameterOutOfRange, ProofStale, TooFewValues
from traceability.spc.causes import (
    adjusted,
    associated_with,
    association,
    change_point,
    change_points,
    cochran_armitage,
    events_near,
    mantel_haenszel,
    permutation_test,
    shallow_tree,
    two_by_two,
)
from traceability.spc.inspector import (
    Proof,
    accuracy_from_review,
    corrected_chart,
    outcome,
    parts_for_interval,
    require_fresh,
    score_drift,
    stability_index,
    true_share,
    who_moved,
    with_review,
)
from traceability.spc.maps import clustering, heat_map, periodic_mark, strip_bins, zone_shares

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def test_an_odds_ratio_has_an_interval_even_where_a_cell_is_empty():
    found = two_by_two([[0, 50], [8, 42]])
    assert found.odds_ratio == 0
    assert 0 < found.interval[0] < found.interval[1]
    assert found.fisher_interval[0] == 0


def test_a_table_with_an_empty_row_says_nothing():
    with pytest.raises(TooFewValues):
        two_by_two([[0, 0], [3, 5]])
    with pytest.raises(CountImpossible):
        two_by_two([[-1, 2], [3, 5]])


def test_within_strata_the_difference_between_machines_may_turn_round():
    # Machine A runs the difficult material: better within each, worse overall.
    easy, hard = [[2, 98], [30, 870]], [[180, 720], [25, 75]]
    found = mantel_haenszel([easy, hard])
    judged = StratifiedTable([np.array(easy), np.array(hard)])
    assert found.crude_odds_ratio > 1 > found.common_odds_ratio
    assert found.common_odds_ratio == pytest.approx(judged.oddsratio_pooled)
    assert found.interval == pytest.approx(judged.oddsratio_pooled_confint())
    assert found.chi2_corrected == pytest.approx(judged.test_null_odds(correction=True).statistic)
    assert found.homogeneity_chi2 == pytest.approx(judged.test_equal_odds().statistic, rel=1e-6)
    assert found.tarone_chi2 == pytest.approx(judged.test_equal_odds(adjust=True).statistic, rel=1e-6)


def test_adjusted_p_values_are_those_of_statsmodels_and_scipy():
    p = np.random.default_rng(1).uniform(0, 0.2, 12)
    assert adjusted(p) == pytest.approx(false_discovery_control(p))
    assert adjusted(p, method="by") == pytest.approx(false_discovery_control(p, method="by"))
    assert adjusted(p, method="holm") == pytest.approx(multipletests(p, method="holm")[1])


def test_a_sampled_permutation_is_close_to_the_exact_one_and_never_zero():
    a, b = [12.1, 11.8, 12.6, 12.9], [11.2, 11.5, 11.9, 11.1, 11.6]
    exact, sampled = permutation_test(a, b), permutation_test(a, b, most=10)
    assert exact.is_exact
    assert not sampled.is_exact
    assert sampled.p_two_sided == pytest.approx(exact.p_two_sided, abs=0.01)
    assert permutation_test([9.0] * 20 + [9.1], [0.0] * 20 + [0.1], samples=100).p_two_sided == pytest.approx(
        1 / 101
    )


def test_the_machine_that_makes_the_defects_is_found_among_many_that_do_not():
    random = np.random.default_rng(2)
    machine = random.choice(["A", "B", "C"], 900)
    shift = random.choice(["day", "night"], 900)
    bad = random.random(900) < np.where(machine == "B", 0.15, 0.03)
    found = associated_with(bad, {"machine": machine.tolist(), "shift": shift.tolist()})
    assert found[0].name == "machine=B"
    assert found[0].is_shown
    assert found[0].interval[0] > 1
    assert not any(one.is_shown for one in found if one.name.startswith("shift"))


def test_a_shallow_tree_finds_the_setting_at_which_defects_begin():
    random = np.random.default_rng(3)
    speed, heat = random.uniform(1, 5, 800), random.uniform(20, 40, 800)
    bad = random.random(800) < np.where(speed > 3.5, 0.3, 0.02)
    tree = shallow_tree(bad, {"speed": speed, "heat": heat})
    assert tree.split == "speed"
    assert float(tree.branches[1].rule.split()[-1]) == pytest.approx(3.5, abs=0.15)
    assert shallow_tree(random.random(800) < 0.1, {"speed": speed, "heat": heat}).split is None


def test_a_rising_share_is_a_trend_and_an_even_one_is_none():
    assert cochran_armitage([5, 10, 20], [100, 100, 100]).p < 0.01
    assert cochran_armitage([10, 10, 10], [100, 100, 100]).p == pytest.approx(1)
    with pytest.raises(ParameterOutOfRange):
        cochran_armitage([0, 0], [10, 10])


def test_the_residuals_point_at_the_cell():
    found = association([[40, 10], [10, 40]])
    assert found.residuals[0, 0] == pytest.approx(6)
    assert found.cramers_v == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("kind", "values", "n"),
    [
        ("mean", [10.0, 10.2, 9.9, 10.1, 12.0, 12.1, 11.9, 12.2], None),
        ("poisson", [3, 4, 2, 3, 15, 14, 16, 15], None),
        ("binomial", [3, 4, 2, 3, 15, 14, 16, 15], [100] * 8),
    ],
)
def test_a_change_is_found_where_it_is(kind, values, n):
    found = change_point(values, n, kind=kind)
    assert found.before == 4
    assert found.p < 0.1
    assert found.level_after > found.level_before


def test_two_changes_are_two_and_noise_has_none():
    random = np.random.default_rng(4)
    x = np.concatenate([random.normal(level, 1, 30) for level in (0, 5, 1)])
    assert [change.before for change in change_points(x)] == [30, 60]
    assert change_points(random.normal(size=60)) == ()


def test_what_happened_just_before_a_change_is_its_first_suspect():
    change = change_point([1.0, 1.1, 0.9, 1.0, 5.0, 5.1, 4.9, 5.0])
    near = events_near(change, [(5, "lamp"), (3, "model 1.2.0"), (20, "shift")], within_points=3)
    assert [one.name for one in near] == ["model 1.2.0", "lamp"]
    assert near[0].lag == -1


def test_the_zone_shares_make_up_the_whole_and_rates_tell_small_zones_from_large():
    found = zone_shares(["edge", "middle"], [20, 20], [1.0, 9.0])
    assert sum(one.share for one in found) == pytest.approx(1)
    assert found[0].relative == pytest.approx(5)
    with pytest.raises(CountImpossible):
        zone_shares(["edge"], [3], [0.0])


def test_a_heap_of_defects_is_no_chance_and_scattered_ones_are():
    random = np.random.default_rng(5)
    heap = np.clip(random.normal(0.5, 0.05, (80, 2)), 0, 1)
    assert clustering(heap).p < 1e-6
    assert clustering(heap).clark_evans < 0.6
    assert clustering(random.random((80, 2))).p > 0.01


def test_a_heat_map_counts_every_defect_once():
    random = np.random.default_rng(6)
    x, y = random.random(50), random.random(50)
    assert heat_map(x, y, extent=(0, 0, 1, 1), bins=(4, 5)).sum() == 50
    bins = strip_bins(x * 1000, y * 100, ["pit"] * 20 + ["crack"] * 30, bins=(10, 4), extent_mm=(1000, 100))
    assert bins.kinds == ("crack", "pit")
    assert bins.counts.sum(axis=(1, 2)).tolist() == [30, 20]


@pytest.mark.parametrize("period", [1885.0, 2513.3])
def test_a_roll_mark_among_other_defects_gives_its_roll(period: float):
    random = np.random.default_rng(7)
    turns = np.arange(40)[random.random(40) < 0.8]
    marks = 130 + turns * period + random.normal(0, 4, turns.size)
    others = random.uniform(0, 40 * period, 60)
    rolls = {"work roll 3": 600.0, "back-up roll 2": 800.0}
    found = periodic_mark(np.concatenate([marks, others]), shortest=500, longest=4000, rolls=rolls)
    assert found.period == pytest.approx(period, rel=1e-3)
    assert found.roll == ("work roll 3" if period < 2000 else "back-up roll 2")
    assert found.p < 0.001


def test_defects_at_random_show_no_roll_mark():
    places = np.random.default_rng(8).uniform(0, 80_000, 60)
    assert periodic_mark(places, shortest=500, longest=4000).p > 0.01


def test_a_change_of_model_alone_is_no_change_of_the_process():
    random = np.random.default_rng(9)
    n, se, sp = 4000, [0.95] * 20 + [0.95] * 20, [0.99] * 20 + [0.98] * 20
    share = 0.02
    rejects = [random.binomial(n, share * s + (1 - share) * (1 - t)) for s, t in zip(se, sp, strict=True)]
    found = corrected_chart(rejects, [n] * 40, sensitivity=se, specificity=sp)
    assert {signal.rule for signal in found.plain.signals} >= {"run_of_9"}
    assert not any(signal.rule == "run_of_9" for signal in found.chart.signals)
    assert found.chart.centre[0] == pytest.approx(share, rel=0.1)


def test_fewer_rejects_than_good_parts_alone_would_give_are_cut_at_none_and_said():
    found = true_share(12, 2000, sensitivity=0.94, specificity=0.99)
    assert found.value == 0
    assert found.is_truncated
    assert found.untruncated < 0


def test_an_inspector_who_guesses_cannot_be_corrected_for():
    with pytest.raises(InspectorBlind):
        true_share(50, 100, sensitivity=0.4, specificity=0.6)


def test_rates_proven_on_few_parts_make_a_wider_interval():
    known = true_share(63, 2000, sensitivity=0.94, specificity=0.985)
    estimated = true_share(63, 2000, sensitivity=0.94, specificity=0.985, proof=(50, 200))
    assert np.ptp(estimated.interval) > 1.5 * np.ptp(known.interval)


def test_the_interval_with_estimated_rates_covers_the_truth_as_often_as_it_says():
    # 0.05 bad, Se 0.9 of 100 bad parts, Sp 0.97 of 200 good ones: taken as known the interval covers far less.
    random = np.random.default_rng(10)
    covered = known = 0
    for _ in range(400):
        se, sp = random.binomial(100, 0.9) / 100, random.binomial(200, 0.97) / 200
        rejected = int(random.binomial(3000, 0.05 * 0.9 + 0.95 * 0.03))
        low, high = true_share(rejected, 3000, sensitivity=se, specificity=sp, proof=(100, 200)).interval
        covered += low <= 0.05 <= high
        low, high = true_share(rejected, 3000, sensitivity=se, specificity=sp).interval
        known += low <= 0.05 <= high
    assert covered / 400 >= 0.92
    assert known / 400 < 0.85


@pytest.mark.parametrize(
    "proof",
    [
        {"model": "strip 1.1.0"},
        {"proven_at": NOON - timedelta(days=91)},
        {"bad_parts": 12},
        {"proven_at": NOON - timedelta(days=5)},
        {"proven_at": NOON + timedelta(days=1)},
    ],
)
def test_a_stale_proof_is_refused(proof):
    """The last two: a lens was changed four days ago, a lamp an hour from now."""
    optics = [(NOON - timedelta(days=4), "lens"), (NOON + timedelta(hours=1), "lamp")]
    fresh = {
        "sensitivity": 0.95,
        "specificity": 0.99,
        "bad_parts": 60,
        "good_parts": 300,
        "proven_at": NOON - timedelta(days=3),
        "model": "strip 1.2.0",
    }
    require_fresh(Proof(**fresh), at=NOON, model="strip 1.2.0", optics=optics)
    with pytest.raises(ProofStale):
        require_fresh(Proof(**{**fresh, **proof}), at=NOON, model="strip 1.2.0", optics=optics)


def test_looking_at_rejects_more_often_does_not_flatter_the_inspection():
    found = accuracy_from_review(
        rejected=200, passed=9800, reviewed=200, reviewed_bad=160, audited=500, audited_bad=5
    )
    # 160 caught; of the passed 1 %, 98, escaped: counting only what was looked at would say 160 of 165.
    assert found.sensitivity == pytest.approx(160 / 258)
    assert found.sensitivity_interval[0] < found.sensitivity < found.sensitivity_interval[1]
    assert found.specificity == pytest.approx(9702 / 9742)
    assert found.escape_rate == pytest.approx(0.01)


def test_an_audit_without_an_escape_does_not_prove_perfection():
    found = accuracy_from_review(
        rejected=200, passed=9800, reviewed=100, reviewed_bad=90, audited=300, audited_bad=0
    )
    assert found.sensitivity == 1
    assert found.sensitivity_interval[0] < 0.95


def test_a_person_behind_the_camera_mends_false_calls_and_lets_more_escape():
    first = outcome(share_defective=0.01, sensitivity=0.96, specificity=0.98)
    both = with_review(first, share_defective=0.01, sensitivity=0.98, specificity=0.95)
    assert both.overkill_rate < first.overkill_rate
    assert both.escape_ppm > first.escape_ppm


def test_a_rate_near_one_needs_fewer_parts_than_one_half():
    assert parts_for_interval(0.98, half_width=0.05) < parts_for_interval(0.5, half_width=0.05)


def test_scores_that_moved_have_drifted():
    random = np.random.default_rng(11)
    old = random.normal(size=2000)
    assert score_drift(old, random.normal(size=2000)).grade == "steady"
    assert score_drift(old, random.normal(1, 1, 2000)).grade == "changed"


def test_a_lamp_that_failed_with_the_rejects_is_suspected_before_a_process_that_did_not_move():
    random = np.random.default_rng(12)
    rejects = change_point(np.concatenate([random.poisson(5, 20), random.poisson(20, 20)]), kind="poisson")
    lamp = np.concatenate([random.normal(100, 1, 20), random.normal(90, 1, 20)])
    movers = who_moved(rejects, {"brightness": lamp}, {"speed": random.normal(3, 0.1, 40)})
    assert movers[0].name == "brightness"
    assert movers[0].is_inspector
    assert movers[0].is_shown
    assert abs(movers[0].lag) <= 1


@given(st.floats(0, 1), st.floats(0.55, 1), st.floats(0.55, 1))
def test_what_the_inspection_makes_of_a_share_is_undone(share: float, se: float, sp: float):
    n = 10**6
    rejected = round(n * outcome(share_defective=share, sensitivity=se, specificity=sp).reject_rate)
    found = true_share(rejected, n, sensitivity=se, specificity=sp)
    # One part in a million, over the smallest Youden index of 0.1.
    assert found.value == pytest.approx(share, abs=1.1e-5)


def test_bounds_as_r_gives_them_are_close_to_the_exact_ones():
    table = [[18, 402], [7, 573]]
    exact, as_r = two_by_two(table), two_by_two(table, fisher_bounds="r")
    assert exact.fisher_interval != as_r.fisher_interval
    assert as_r.fisher_interval == pytest.approx(exact.fisher_interval, rel=1e-3)
    assert two_by_two([[7, 573], [18, 402]], fisher_bounds="r").fisher_interval == pytest.approx(
        two_by_two([[7, 573], [18, 402]]).fisher_interval, abs=2e-4
    )


def test_shares_of_bins_that_did_not_move_are_stable():
    assert stability_index([10, 20, 30], [100, 200, 300]) == pytest.approx(0)
    assert stability_index([0.5, 0.5], [0.9, 0.1]) == pytest.approx(0.4 * np.log(9))
    with pytest.raises(ParameterOutOfRange):
        stability_index([1, 0], [1, 1])


@pytest.mark.parametrize(
    "table", [[[3, 1], [1, 3]], [[14, 230], [121, 4635]], [[0, 5], [4, 6]], [[7, 0], [2, 9]]]
)
def test_fishers_odds_ratio_and_its_bounds_are_scipys(table):
    found = two_by_two(table)
    judge = odds_ratio(np.array(table), kind="conditional")
    bounds = judge.confidence_interval(0.95)
    assert found.fisher_odds_ratio == pytest.approx(judge.statistic, rel=1e-6)
    # scipy stops its search for a bound at 1e-10 or so of it.
    assert found.fisher_interval == pytest.approx((bounds.low, bounds.high), rel=1e-6)


levels = st.lists(st.integers(-1000, 1000), min_size=8, max_size=20).filter(lambda x: len(set(x)) > 1)
offsets = st.sampled_from([0, 10**6, -(10**9), 10**12])
units = st.sampled_from([1.0, 2.0**-40, 1e-13, 1e-6, 1e9])


@given(levels, offsets, units)
def test_a_change_of_a_mean_does_not_depend_on_where_its_scale_begins_nor_on_its_unit(
    values: list[int], offset: int, unit: float
):
    plain = change_point(values, permutations=19)
    moved = change_point([(value + offset) for value in values], permutations=19)
    scaled = change_point([value * unit for value in values], permutations=19)
    for other in (moved, scaled):
        assert other.log_likelihood_ratio == pytest.approx(plain.log_likelihood_ratio, rel=1e-6, abs=1e-9)
        assert other.p == plain.p


def test_a_change_is_found_far_from_zero():
    x = np.random.default_rng(0).standard_normal(100) + np.repeat([0, 2], 50)
    near = change_point(x, permutations=99)
    far = change_point(x + 1e9, permutations=99)
    assert far.before == near.before
    # At 1e9 the values themselves are rounded to 1e-7.
    assert far.log_likelihood_ratio == pytest.approx(near.log_likelihood_ratio, rel=1e-5)


@given(
    st.lists(st.integers(-1000, 1000), min_size=2, max_size=5),
    st.lists(st.integers(-1000, 1000), min_size=2, max_size=5),
    offsets,
    units,
)
def test_a_permutation_test_does_not_depend_on_where_the_scale_begins_nor_on_its_unit(
    a: list[int], b: list[int], offset: int, unit: float
):
    plain = permutation_test(a, b)
    moved = permutation_test([value + offset for value in a], [value + offset for value in b])
    scaled = permutation_test([value * unit for value in a], [value * unit for value in b])
    for other in (moved, scaled):
        assert (other.p_two_sided, other.p_greater, other.p_less) == (
            plain.p_two_sided,
            plain.p_greater,
            plain.p_less,
        )
