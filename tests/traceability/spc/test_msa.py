from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar as judged_mcnemar
from statsmodels.stats.inter_rater import cohens_kappa as judged_cohen
from statsmodels.stats.inter_rater import fleiss_kappa as judged_fleiss

from tests.where import shared
from traceability.errors import (
    FitImpossible,
    NoVariation,
    ParameterOutOfRange,
    StudyIncomplete,
    ValuesMissing,
)
from traceability.spc.agreement import (
    attribute_study,
    bowker,
    cohen_kappa,
    fleiss_kappa,
    grade_effectiveness,
    grade_false_alarm,
    grade_miss,
    gwet_ac1,
    gwet_ac1_raters,
    light_kappa,
    mcnemar,
    wilson_interval,
)
from traceability.spc.detection import (
    analytic_study,
    defects_needed,
    demonstrated,
    discrimination,
    hit_miss,
    signal_against_size,
    signal_detection,
)
from traceability.spc.msa import (
    average_and_range_study,
    bias_study,
    conformity_probability,
    conformity_risks,
    crossed_study,
    linearity_study,
    measurement_uncertainty,
    nested_study,
    range_method,
    real_capability,
    stability_study,
    type_one_study,
)


def study(
    parts: int = 10, operators: int = 3, trials: int = 3, *, seed: int = 1, gauge: float = 0.1
) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    size = random.normal(0, 1, parts)
    off = random.normal(0, gauge, operators)
    rows = [
        (p, f"station {o}", size[p] + off[o] + random.normal(0, gauge))
        for p in range(parts)
        for o in range(operators)
        for _ in range(trials)
    ]
    part, operator, values = zip(*rows, strict=True)
    return {"part": list(part), "operator": list(operator), "values": list(values)}


def test_a_gauge_study_finds_the_variances_that_were_drawn():
    found = crossed_study(**study(40, 6, 3, gauge=0.2)).result
    assert found.variance["EV"] == pytest.approx(0.04, rel=0.25)
    assert found.variance["PV"] == pytest.approx(1, rel=0.5)
    assert found.variance["TV"] == pytest.approx(found.variance["GRR"] + found.variance["PV"])


def test_every_interval_of_a_gauge_study_holds_its_own_estimate():
    for seed in range(20):
        found = crossed_study(**study(seed=seed))
        for name, (low, high) in found.intervals.items():
            assert low <= found.result.variance[name] <= high, (seed, name)


def test_the_order_of_the_rows_changes_nothing():
    rows = study()
    order = np.random.default_rng(2).permutation(len(rows["values"]))
    mixed = {name: [column[index] for index in order] for name, column in rows.items()}
    assert crossed_study(**mixed).result.variance == pytest.approx(crossed_study(**rows).result.variance)


@pytest.mark.parametrize("method", [crossed_study, average_and_range_study])
def test_a_study_with_a_missing_cell_is_refused_with_the_cell(method):
    rows = study(3, 2, 2)
    short = {name: column[:-1] for name, column in rows.items()}
    with pytest.raises(StudyIncomplete) as refused:
        method(**short)
    assert refused.value.facts["cell"] == "2 / station 1"


def test_a_gauge_without_any_repeatability_is_a_stuck_gauge():
    rows = study(3, 2, 2)
    same = {**rows, "values": [float(part) for part in rows["part"]]}
    with pytest.raises(NoVariation):
        crossed_study(**same)


def test_a_nested_study_wants_as_many_batches_of_each_operator():
    with pytest.raises(StudyIncomplete):
        nested_study(["A", "A", "A", "A", "B", "B"], [1, 1, 2, 2, 1, 1], [1, 2, 3, 4, 5, 6])


def test_the_range_method_is_aiags_example():
    # AIAG MSA, 4th ed., table III-B 6: mean range 0.07, GRR 0.0588, 75.7 % of a process sigma of 0.0777.
    found = range_method([0.85, 0.75, 1.0, 0.45, 0.5], [0.8, 0.7, 0.95, 0.55, 0.6], process_sd=0.0777)
    assert found.mean_range == pytest.approx(0.07)
    assert found.grr == pytest.approx(0.0588, abs=5e-5)
    assert found.percent_process == pytest.approx(75.7, abs=0.1)


def test_the_bias_study_is_aiags_example():
    # AIAG MSA's example by the range, as cited (the manual was not at hand): sigma 0.22514,
    # t 0.1153 with 10.8 degrees, -0.1185 to 0.1319.
    # Printed is 0.0067 -+ 0.1252, from rounded steps; without rounding it is 0.00667 -+ 0.12532, up to 1.6e-4 off.
    # Without d2/d2* it would be 0.1283, so that 2e-4 tells the two formulas apart.
    readings = [5.8, 5.7, 5.9, 5.9, 6.0, 6.1, 6.0, 6.1, 6.4, 6.3, 6.0, 6.1, 6.2, 5.6, 6.0]
    found = bias_study(readings, reference=6, subgroup_size=15)
    assert found.sd == pytest.approx(0.22514, abs=1e-5)
    assert found.t == pytest.approx(0.1147, abs=1e-3)
    assert found.degrees == pytest.approx(10.8, abs=0.02)
    assert found.interval == pytest.approx((-0.1185, 0.1319), abs=2e-4)
    assert found.is_acceptable


def test_a_biased_gauge_is_found_out():
    readings = np.random.default_rng(3).normal(10.3, 0.1, 30)
    assert not bias_study(readings, reference=10).is_acceptable
    assert (
        type_one_study(readings, reference=10, tolerance=2).cgk
        < type_one_study(readings, reference=10.3, tolerance=2).cgk
    )


def test_a_gauge_whose_bias_grows_with_size_is_not_linear():
    refs = [2.0, 4.0, 6.0]
    random = np.random.default_rng(4)
    good = linearity_study(refs, [random.normal(ref, 0.1, 10) for ref in refs])
    bad = linearity_study(refs, [random.normal(1.1 * ref, 0.1, 10) for ref in refs])
    assert good.is_acceptable
    assert not bad.is_acceptable
    assert bad.slope == pytest.approx(0.1, abs=0.05)


def test_a_master_part_over_time_is_a_chart_and_a_bias():
    pair, bias = stability_study(np.random.default_rng(5).normal(10.1, 0.1, (20, 3)), reference=10)
    assert pair.location.beyond == ()
    assert bias == pytest.approx(0.1, abs=0.03)


def test_a_guard_band_trades_the_consumers_risk_for_the_producers():
    kinds = {"process_mean": 10, "process_sd": 0.05, "u": 0.015, "lower": 9.9, "upper": 10.1}
    plain, guarded = conformity_risks(**kinds), conformity_risks(**kinds, guard_band=0.02)
    assert guarded.consumer < plain.consumer
    assert guarded.producer > plain.producer
    assert conformity_probability(10.1, u=0.01, lower=9.9, upper=10.1) == pytest.approx(0.5)


def test_the_share_of_the_gauge_is_taken_out_of_the_capability():
    assert real_capability(1.2, percent_grr=30) == pytest.approx(1.2 / 0.91**0.5)
    with pytest.raises(ParameterOutOfRange):
        real_capability(1.2, percent_grr=100)


def test_uncertainties_add_as_squares():
    found = measurement_uncertainty({"u_cal": 3e-4, "u_evr": 4e-4}, tolerance=0.02)
    assert found.u == pytest.approx(5e-4)
    assert found.q_percent == pytest.approx(10)


def test_kappas_are_those_of_statsmodels():
    table = np.array([[30, 5, 2], [4, 25, 6], [1, 7, 20]])
    for name, weights in (("none", None), ("linear", "linear"), ("quadratic", "quadratic")):
        judged = judged_cohen(table, weights=np.arange(3) if weights else None, wt=weights)
        found = cohen_kappa(table, weights=name)
        assert found.kappa == pytest.approx(judged.kappa)
        assert found.standard_error == pytest.approx(judged.std_kappa)
        assert found.z == pytest.approx(judged.z_value)
    counts = np.random.default_rng(6).multinomial(6, [0.5, 0.3, 0.2], 40)
    assert fleiss_kappa(counts).kappa == pytest.approx(judged_fleiss(counts))


def test_ac1_of_two_raters_is_the_same_from_table_and_counts():
    table = np.array([[118, 5], [2, 0]])
    counts = [[2, 0]] * 118 + [[1, 1]] * 7
    assert gwet_ac1_raters(counts) == pytest.approx(gwet_ac1(table).ac1)


def test_two_model_versions_are_compared_by_where_they_differ():
    table = [[101, 121], [59, 33]]
    found = mcnemar(table)
    assert found.p_exact == pytest.approx(judged_mcnemar(table, exact=True).pvalue)
    assert found.chi2_corrected == pytest.approx(
        judged_mcnemar(table, exact=False, correction=True).statistic
    )
    assert found.interval[0] < found.difference < found.interval[1]


def test_a_symmetric_table_is_symmetric():
    assert bowker([[5, 3], [3, 9]]).chi2 == 0
    assert bowker([[5, 3], [3, 9]]).is_symmetric


def test_subjects_rated_by_different_numbers_are_refused():
    with pytest.raises(StudyIncomplete):
        fleiss_kappa([[3, 0], [2, 0]])


def test_a_perfect_attribute_study_is_perfect():
    reference = [1, 0, 1, 0]
    found = attribute_study([[[value] * 2] * 2 for value in reference], reference=reference, good=1)
    assert found.system_effectiveness == 1
    assert found.appraisers["A"].miss == 0
    assert found.kappas["A", "B"].kappa == 1
    assert light_kappa([[1, 1], [0, 0], [1, 1]]) == 1


def test_an_attribute_study_with_a_missing_trial_is_refused():
    with pytest.raises(StudyIncomplete):
        attribute_study([[[1, 1]], [[0]]], reference=[1, 0], good=1)


def test_aiags_grades_stand_at_their_borders():
    assert (grade_effectiveness(0.9), grade_effectiveness(0.8), grade_effectiveness(0.79)) == (
        "acceptable",
        "marginal",
        "unacceptable",
    )
    assert (grade_miss(0.02), grade_miss(0.05), grade_miss(0.06)) == (
        "acceptable",
        "marginal",
        "unacceptable",
    )
    assert (grade_false_alarm(0.05), grade_false_alarm(0.1), grade_false_alarm(0.11)) == (
        "acceptable",
        "marginal",
        "unacceptable",
    )


def test_hits_and_misses_that_size_separates_have_no_curve():
    with pytest.raises(FitImpossible):
        hit_miss([1, 2, 3, 4, 5, 6], [0, 0, 0, 1, 1, 1])
    with pytest.raises(FitImpossible):
        hit_miss([1, 2, 3, 4, 5, 6], [1, 1, 1, 1, 1, 1])
    with pytest.raises(ValuesMissing):
        hit_miss([], [])


def test_the_bounds_of_a90_lie_above_it_and_name_their_method():
    case = json.loads(shared("vectors", "spc", "pod_hitmiss_mil1823_ex3.json").read_text(encoding="utf-8"))
    found = hit_miss(case["input"]["size"], case["input"]["hit"])
    assert set(found.a90_95) == {"likelihood_ratio", "wald_band", "delta"}
    assert all(bound is not None and bound > found.a90 for bound in found.a90_95.values())
    assert found.pod(found.a90) == pytest.approx(0.9)


def test_a_signal_that_grows_with_size_gives_back_its_line_even_when_cut_off():
    random = np.random.default_rng(7)
    size = np.exp(random.uniform(-1, 1, 400))
    signal = np.exp(1 + 1.5 * np.log(size) + random.normal(0, 0.3, 400))
    whole = signal_against_size(size, signal, threshold=2)
    cut = signal_against_size(size, np.clip(signal, 1, 8), threshold=2, noise_below=1, saturated_above=8)
    assert (whole.intercept, whole.slope, whole.tau) == pytest.approx((1, 1.5, 0.3), abs=0.06)
    assert (cut.intercept, cut.slope, cut.tau) == pytest.approx((1, 1.5, 0.3), abs=0.08)
    assert whole.a90 < whole.a90_95


def test_twenty_nine_of_twenty_nine_show_ninety_percent():
    assert demonstrated(29, 29) > 0.9 > demonstrated(28, 28)
    assert (defects_needed(misses=0), defects_needed(misses=1)) == (29, 46)


def test_the_analytic_method_is_the_autogage_example():
    # AIAG MSA, 4th ed., table III-C 9, as worked by Minitab: 3.10279 + 104.136 x, bias 0.0097955, 0.0494705, 0.0458060.
    reference = [-0.050, -0.045, -0.040, -0.035, -0.030, -0.025, -0.020, -0.015]
    found = analytic_study(reference, [0, 1, 2, 5, 8, 12, 17, 20], limit=-0.020)
    assert found.intercept == pytest.approx(3.10279, abs=1e-5)
    assert found.slope == pytest.approx(104.136, abs=1e-3)
    assert found.bias == pytest.approx(0.0097955, abs=1e-7)
    assert (found.unadjusted, found.repeatability) == pytest.approx((0.0494705, 0.0458060), abs=1e-6)


def test_the_grey_zone_lies_between_what_all_refuse_and_what_all_accept():
    sizes = [0.40, 0.45, 0.50, 0.52, 0.60, 0.65]
    found = signal_detection(sizes, [0, 0, 1, 1, 0, 0], [1, 0, 0, 0, 0, 1], lower=0.45, upper=0.6)
    assert (found.width_lower, found.width_upper) == pytest.approx((0.10, 0.13))


def test_an_inspector_who_guesses_discriminates_nothing():
    assert discrimination(hits=20, misses=20, false_alarms=20, correct_rejections=20).d_prime == 0
    assert discrimination(hits=40, misses=0, false_alarms=0, correct_rejections=40).d_prime < 10


@given(st.integers(0, 50), st.integers(0, 50))
def test_wilsons_interval_holds_the_share_and_stays_within_none_and_all(count: int, more: int):
    if count + more:
        low, high = wilson_interval(count, count + more)
        assert 0 <= low <= count / (count + more) + 1e-12
        assert count / (count + more) - 1e-12 <= high <= 1
