from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, hypergeom

from traceability.errors import NoSuchPlan, ParameterOutOfRange
from traceability.spc.sampling import (
    AQLS,
    LETTERS,
    acceptance,
    audit_of_passed,
    csp1,
    design_plan,
    design_variables_plan,
    double_acceptance,
    double_plan,
    plan_by_letter,
    rectifying,
    sequential_plan,
    single_plan,
    switching,
    zero_acceptance_n,
)

# ISO 2859-1:1999, tables 2-A and 2-B: sample sizes of whole rows, arrows followed, from AQL 0.010 on.
ROWS = {
    ("normal", "A"): ("1250 800 500 315 200 125 80 50 32 20 13 8 5 3 2 5 3 2 2 2 2 2 2 2 2 2"),
    ("normal", "K"): (
        "1250 800 500 315 200 125 80 200 125 125 125 125 125 125 125 125 80 50 32 20 13 13 13 8 5 3"
    ),
    ("normal", "R"): (
        "1250 800 2000 2000 2000 2000 2000 2000 2000 2000 1250 800 500 315 200 125 80 50 32 20 13 13 13 8 5 3"
    ),
    ("tightened", "A"): ("2000 1250 800 500 315 200 125 80 50 32 20 13 8 5 3 8 5 3 2 2 2 2 2 2 2 2"),
    ("tightened", "Q"): (
        "2000 1250 3150 2000 1250 1250 1250 1250 1250 1250 1250 800 500 "
        "315 200 125 80 50 32 20 13 13 13 8 5 3"
    ),
}


@pytest.mark.parametrize(("severity", "letter"), sorted(ROWS))
def test_the_structure_gives_back_the_rows_of_the_tables(severity, letter):
    assert [plan_by_letter(letter, aql=aql, severity=severity)[0] for aql in AQLS] == [
        int(n) for n in ROWS[severity, letter].split()
    ]


def test_tightened_inspection_never_accepts_more_readily():
    for letter in LETTERS[:-1]:
        for aql in AQLS:
            normal, tight = (plan_by_letter(letter, aql=aql, severity=s) for s in ("normal", "tightened"))
            at = min(aql / 100, 0.5)
            if normal[1] <= normal[0] and tight[1] <= tight[0]:
                assert binom.cdf(tight[1], tight[0], at) <= binom.cdf(normal[1], normal[0], at) + 1e-9, (
                    letter,
                    aql,
                )


def test_a_lot_that_is_smaller_than_its_sample_is_screened():
    assert single_plan(20, aql=0.1).is_screening
    assert single_plan(20, aql=0.1).n == 20


def test_an_aql_the_standard_does_not_have_is_refused():
    with pytest.raises(ParameterOutOfRange):
        single_plan(1000, aql=0.3)
    with pytest.raises(ParameterOutOfRange):
        single_plan(1, aql=1.0)
    with pytest.raises(NoSuchPlan):
        single_plan(5, aql=100, severity="reduced")


def test_double_plans_differ_between_the_standards_where_they_do():
    iso, z14 = (double_plan(1000, aql=1.5, standard=standard) for standard in ("iso2859", "z1.4"))
    assert (iso.n, iso.accept_1, iso.reject_1, iso.accept_2, iso.reject_2) == (50, 1, 3, 4, 5)
    assert (z14.n, z14.accept_1, z14.reject_1, z14.accept_2, z14.reject_2) == (50, 1, 4, 4, 5)


def test_where_the_single_plan_accepts_only_none_it_is_used():
    found = double_plan(1000, aql=0.15)
    assert found.single is not None
    assert found.single.accept == 0


def test_two_of_five_lots_refused_tighten_and_five_in_a_row_accepted_relax():
    found = switching([9, 9, 0, 0, 0, 0, 0, 0], accept_normal=2, accept_tightened=1, accept_tighter_aql=1)
    assert [lot.severity for lot in found.lots] == ["normal"] * 2 + ["tightened"] * 5 + ["normal"]


def test_five_lots_refused_under_tightened_inspection_stop_acceptance():
    found = switching([9] * 8, accept_normal=2, accept_tightened=1, accept_tighter_aql=1)
    assert found.discontinued_at == 7


def test_reduced_inspection_ends_with_a_refused_lot():
    found = switching(
        [0] * 11 + [5, 0],
        accept_normal=2,
        accept_tightened=1,
        accept_tighter_aql=1,
        accept_reduced=1,
        takes_reduced=True,
    )
    assert [lot.severity for lot in found.lots[9:]] == ["normal", "reduced", "reduced", "normal"]


def test_a_small_lot_is_accepted_by_the_hypergeometric_distribution():
    assert acceptance([0.1], n=10, c=1, distribution="hypergeometric", lot=50)[0] == pytest.approx(
        hypergeom.cdf(1, 50, 5, 10)
    )
    with pytest.raises(ParameterOutOfRange):
        acceptance([0.1], n=10, c=1, distribution="hypergeometric", lot=5)


def test_the_worst_outgoing_quality_is_the_worst():
    plan = rectifying(np.linspace(0.001, 0.2, 400), n=89, c=2, lot=10_000)
    assert plan.aoq.max() == pytest.approx(plan.aoql, rel=1e-4)
    assert plan.aoq.max() <= plan.aoql + 1e-12


def test_a_designed_plan_keeps_both_risks_and_no_smaller_one_does():
    found = design_plan(aql=0.01, alpha=0.05, ltpd=0.06, beta=0.1)
    assert found.producer_risk <= 0.05
    assert found.consumer_risk <= 0.1
    smaller = [
        c
        for c in range(found.n)
        if binom.cdf(c, found.n - 1, 0.01) >= 0.95 and binom.cdf(c, found.n - 1, 0.06) <= 0.1
    ]
    assert smaller == []


def test_knowing_sigma_saves_samples():
    risks = {"aql": 0.01, "alpha": 0.05, "ltpd": 0.05, "beta": 0.1}
    known, unknown = design_variables_plan(**risks, is_sigma_known=True), design_variables_plan(**risks)
    assert known.n < unknown.n
    assert known.consumer_risk <= 0.1


def test_zero_acceptance_is_exact_in_a_lot():
    n = zero_acceptance_n(p=0.01, confidence=0.95, lot=500)
    assert hypergeom.pmf(0, 500, 5, n) <= 0.05 < hypergeom.pmf(0, 500, 5, n - 1)
    assert zero_acceptance_n(p=0.1, confidence=0.95) == 29


@pytest.mark.parametrize("share", [0.0, 5e-324, 1e-20, 1.0])
def test_a_share_that_no_plant_could_show_is_refused_and_no_number_is_made_of_it(share):
    with pytest.raises(ParameterOutOfRange):
        zero_acceptance_n(p=share)
    with pytest.raises(ParameterOutOfRange):
        csp1([share], clearance=50, fraction=0.1)
    with pytest.raises(ParameterOutOfRange):
        csp1([0.01], clearance=50, fraction=share)


def test_walds_plan_is_montgomerys():
    # Montgomery, example 16.1: p1 0.01, p2 0.06, alpha 0.05, beta 0.10: s 0.028, h1 1.22, h2 1.57.
    found = sequential_plan(p1=0.01, alpha=0.05, p2=0.06, beta=0.1)
    assert (found.accept, found.reject, found.slope) == pytest.approx((1.22, 1.57, 0.028), abs=5e-3)


def test_continuous_sampling_never_lets_through_more_than_its_limit():
    plan = csp1(np.linspace(0.001, 0.3, 300), clearance=50, fraction=0.1)
    assert plan.aoq.max() <= plan.aoql + 1e-12


def test_an_audit_without_an_escape_still_bounds_them():
    found = audit_of_passed(audited=3000, escapes=0)
    assert found.per_million == 0
    assert found.upper == pytest.approx(998, abs=1)
    with pytest.raises(ParameterOutOfRange):
        audit_of_passed(audited=10, escapes=11)


@given(st.integers(1, 60), st.integers(0, 10), st.floats(0.01, 0.5))
def test_a_double_plan_that_never_draws_twice_is_a_single_plan(n: int, c: int, p: float):
    c = min(c, n)
    found = double_acceptance([p], n1=n, c1=c, r1=c + 1, n2=50, c2=c)
    assert found.pa[0] == pytest.approx(binom.cdf(c, n, p))
    assert found.asn[0] == n
