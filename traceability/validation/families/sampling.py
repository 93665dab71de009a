"""Sampling plans."""

from __future__ import annotations

from typing import Any

from traceability.spc import sampling
from traceability.validation import comparing as to
from traceability.validation.given import Fields, Given


def code_letters(given: Given) -> Fields:
    return {
        "letters": [
            [sampling.code_letter(lot, level=level) for level in given.need("levels")]
            for lot in given.need("lot_low")
        ]
    }


def single_plans(given: Given) -> Fields:
    plans = []
    for query in given.need("queries"):
        one = Given(query)
        severity: Any = one.get("severity", default="normal")
        if one.has("lot"):
            found = sampling.single_plan(
                one.need("lot"), aql=one.need("aql"), level=one.get("level", default="II"), severity=severity
            )
            plans.append({"code": found.letter, "n": found.n, "ac": found.accept, "re": found.reject})
        else:
            n, ac, re_ = sampling.plan_by_letter(
                one.need("code", "letter"), aql=one.need("aql"), severity=severity
            )
            plans.append({"code": one.need("code", "letter"), "n": n, "ac": ac, "re": re_})
    return {"plans": plans}


def master_table(given: Given) -> Fields:
    severity: Any = given.get("severity", "table", default="normal")
    if given.has("queries"):
        return single_plans(given)
    letters = given.need("letters", "codes", "code")
    aqls = given.get("aql", "aqls", default=sampling.AQLS)
    cells = [
        [sampling.plan_by_letter(letter, aql=aql, severity=severity) for aql in aqls] for letter in letters
    ]
    return {
        "n": [[n for n, _, _ in row] for row in cells],
        "ac": [[ac for _, ac, _ in row] for row in cells],
        "re": [[re_ for _, _, re_ in row] for row in cells],
        "plans": [[{"n": n, "ac": ac, "re": re_} for n, ac, re_ in row] for row in cells],
        "rows": [
            {"code": letter, "plans": [[n, ac, re_] for n, ac, re_ in row]}
            for letter, row in zip(letters, cells, strict=True)
        ],
    }


def double_plans(given: Given) -> Fields:
    plans = []
    for query in given.need("queries"):
        one = Given(query)
        severity: Any = one.get("severity", default="normal")
        standard: Any = one.get("standard", default=given.get("standard", default="z1.4"))
        found = sampling.double_plan(
            one.need("lot"),
            aql=one.need("aql"),
            level=one.get("level", default="II"),
            severity=severity,
            standard=standard,
        )
        plans.append(
            {
                "code": found.letter,
                "n1 n2 n": found.n,
                "ac1 c1": found.accept_1,
                "re1 r1": found.reject_1,
                "ac2 c2": found.accept_2,
                "re2 r2": found.reject_2,
            }
        )
    return {"plans": plans}


def switching(given: Given) -> Fields:
    found = sampling.switching(
        given.need("nonconforming", "d", "defectives"),
        accept_normal=given.need("ac_normal"),
        accept_tightened=given.need("ac_tightened"),
        accept_tighter_aql=given.get("ac_next_tighter_aql"),
        accept_reduced=given.get("ac_reduced"),
        takes_reduced=given.has("ac_reduced"),
        **given.options(begins=("start", "start_state", "initial_state")),
    )
    return {
        "lots": (
            [{"state": lot.severity, "accepted": lot.is_accepted, "score": lot.score} for lot in found.lots]
        ),
        "reduced_permitted_after_lot": found.reduced_from,
        "discontinued_after_lot discontinue_after_lot": found.discontinued_at,
        "switching_score_end": found.score,
        "final_state next_state": found.next_severity,
    }


def rectifying(given: Given) -> Fields:
    p = given.need("p")
    shares = p if isinstance(p, list) else [p]
    n, c = given.need("n"), given.need("c", "ac")
    lot = given.get("N", "lot")
    if lot is None:
        return operating(given)
    found = sampling.rectifying(shares, n=n, c=c, lot=lot)
    fields = {"pa": found.pa.tolist(), "aoq": found.aoq.tolist(), "ati": found.ati.tolist()}
    if not isinstance(p, list):
        fields = {name: to.first(values) for name, values in fields.items()}
    return {
        **fields,
        "aoql": found.aoql,
        "p_at_aoql aoql_at": found.at_p,
    }


def operating(given: Given) -> Fields:
    p = given.need("p")
    options: Fields = {"n": given.need("n"), "c": given.need("c", "ac")}
    shares = p if isinstance(p, list) else [p]
    lot = given.get("N", "lot")
    binomial = sampling.acceptance(shares, **options).tolist()
    poissonian = sampling.acceptance(shares, distribution="poisson", **options).tolist()
    hyper = (
        None
        if lot is None
        else sampling.acceptance(shares, distribution="hypergeometric", lot=lot, **options).tolist()
    )
    said = str(given.get("distribution", "type", default="binomial")).lower()
    pa = hyper if said.startswith("hyper") else poissonian if said.startswith("poisson") else binomial
    return {
        "pa": pa,
        "binomial pa_binomial": binomial,
        "poisson pa_poisson": poissonian,
        "hypergeom hypergeometric pa_hypergeometric pa_hypergeom": hyper,
    }


def double_curve(given: Given) -> Fields:
    found = sampling.double_acceptance(
        given.need("p"),
        n1=given.need("n1"),
        c1=given.need("c1"),
        r1=given.need("r1"),
        n2=given.need("n2"),
        c2=given.need("c2"),
    )
    return {"pa": found.pa.tolist(), "asn": found.asn.tolist(), "pa1": found.pa_first.tolist()}


def plan_design(given: Given) -> Fields:
    risks: Fields = {
        name: given.need(*names)
        for name, names in (
            ("aql", ("aql", "p1")),
            ("alpha", ("alpha",)),
            ("ltpd", ("ltpd", "p2", "lq")),
            ("beta", ("beta",)),
        )
    }

    def one(**options: Any) -> Fields:
        found = sampling.design_plan(**risks, **options)
        (reject,) = to.one_based([found.c])
        return {
            "n": found.n,
            "c": found.c,
            "r": reject,
            "alpha": found.producer_risk,
            "beta": found.consumer_risk,
        }

    lot = given.get("N", "lot")
    known, unknown = (
        sampling.design_variables_plan(**risks, is_sigma_known=is_known) for is_known in (True, False)
    )
    return {
        "binomial": one(),
        **one(),
        "poisson": one(distribution="poisson"),
        "hypergeom": None if lot is None else one(distribution="hypergeometric", lot=lot),
        "variables_unknown": {"n": unknown.n, "k": unknown.k},
        "variables_known": {"n": known.n, "k": known.k},
    }


def zero_acceptance(given: Given) -> Fields:
    cases = given.get("cases")
    if cases is not None:
        found = [zero_acceptance(Given(case)) for case in cases]
        return {"n": [to.field(one, "n") for one in found], "results": found}
    n = sampling.zero_acceptance_n(
        p=given.need("p", "ltpd", "lq", "p2", "defective_share", "share"),
        lot=given.get("N", "lot"),
        **given.options(confidence=("confidence",)),
    )
    return {
        "n n_exact n_hypergeom": n,
        "n_infinite": (
            sampling.zero_acceptance_n(
                p=given.need("p", "ltpd", "lq", "p2", "defective_share", "share"),
                **given.options(confidence=("confidence",)),
            )
        ),
    }


def sequential(given: Given) -> Fields:
    found = sampling.sequential_plan(
        p1=given.need(*(("p0",) if given.has("p0") else ("p1", "aql"))),
        alpha=given.need("alpha"),
        p2=given.need(*(("p1",) if given.has("p0") else ("p2", "ltpd"))),
        beta=given.need("beta"),
    )
    return {
        "h1": found.accept,
        "h2 reject_intercept": found.reject,
        "s slope": found.slope,
        "accept_intercept": -found.accept,
    }


def continuous(given: Given) -> Fields:
    found = sampling.csp1(given.need("p"), clearance=given.need("i"), fraction=given.need("f"))
    rows = [
        {"u": u, "v": v, "AFI": afi, "pa": pa, "aoq": aoq}
        for u, v, afi, pa, aoq in zip(found.u, found.v, found.afi, found.pa, found.aoq, strict=True)
    ]
    return {"rows": rows, "aoql": found.aoql}
