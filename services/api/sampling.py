"""Sampling plans: how many of a lot to look at, what that lets through, and what an audit of passed parts says."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Literal

import numpy as np
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from scipy.optimize import brentq

from services.problems import problems
from traceability.spc.checks import counts
from traceability.spc.sampling import (
    AQLS,
    acceptance,
    audit_of_passed,
    csp1,
    rectifying,
    single_plan,
    switching,
    zero_acceptance_n,
)

router = APIRouter(prefix="/spc/sampling", tags=["statistics"])

LevelName = Literal["S-1", "S-2", "S-3", "S-4", "I", "II", "III"]
SeverityName = Literal["normal", "tightened", "reduced"]
SEVERITIES: tuple[SeverityName, ...] = ("normal", "tightened", "reduced")

POINTS = 61


class CurveAnswer(BaseModel):
    """At each share nonconforming: chance of acceptance, outgoing share, and units looked at for each lot."""

    share: list[float]
    accepted: list[float]
    outgoing: list[float]
    looked_at: list[float]


class PlanAnswer(BaseModel):
    """n units, accepted with at most `accept` nonconforming, refused from `reject` on. `aoql`: the worst share that
    leaves, where refused lots are screened; `risk_95`, `risk_10`: the shares accepted in 95 and in 10 of 100 lots;
    `looked_at_aql`: units looked at in a lot on average (ATI) where the share is the AQL."""

    severity: SeverityName
    letter: str
    plan_letter: str
    n: int
    accept: int
    reject: int
    is_screening: bool
    aoql: float
    risk_95: float
    risk_10: float
    looked_at_aql: float
    curve: CurveAnswer


class LotAnswer(BaseModel):
    severity: SeverityName
    is_accepted: bool
    score: int | None


class SwitchingAnswer(BaseModel):
    """`reduced_from`, `discontinued_at`: 1-based lots from which reduced inspection is allowed, or acceptance ends."""

    lots: list[LotAnswer]
    next_severity: SeverityName
    score: int
    reduced_from: int | None
    discontinued_at: int | None


class ZeroAnswer(BaseModel):
    n: int


class ContinuousAnswer(BaseModel):
    """`inspected`, `outgoing` at the share given, in the long run; `aoql` the worst outgoing share at any."""

    inspected: float
    outgoing: float
    aoql: float


class AuditAnswer(BaseModel):
    """Escapes per million passed: exact 95 % interval, and one-sided 95 % bound."""

    per_million: float
    interval: Annotated[list[float], Field(min_length=2, max_length=2)]
    upper: float


@router.get("/plan", responses=problems(HTTPStatus.UNPROCESSABLE_ENTITY))
def sampling_plan(
    lot: Annotated[int, Query(ge=2, le=10**9)],
    aql: Annotated[float, Query(gt=0)],
    level: LevelName = "II",
    severity: SeverityName = "normal",
) -> PlanAnswer:
    """ISO 2859-1, GB/T 2828.1: the single plan of a lot with its curves."""
    found = single_plan(lot, aql=aql, level=level, severity=severity)
    share = np.linspace(0.0, _share_at(found.n, found.accept, 0.02), POINTS)
    curves = rectifying(share, n=found.n, c=found.accept, lot=lot)
    return PlanAnswer(
        severity=severity,
        letter=found.letter,
        plan_letter=found.plan_letter,
        n=found.n,
        accept=found.accept,
        reject=found.reject,
        is_screening=found.is_screening,
        aoql=curves.aoql,
        risk_95=_share_at(found.n, found.accept, 0.95),
        risk_10=_share_at(found.n, found.accept, 0.10),
        looked_at_aql=float(rectifying([min(aql / 100, 1.0)], n=found.n, c=found.accept, lot=lot).ati[0]),
        curve=CurveAnswer(
            share=share.tolist(),
            accepted=curves.pa.tolist(),
            outgoing=curves.aoq.tolist(),
            looked_at=curves.ati.tolist(),
        ),
    )


@router.get("/switching", responses=problems(HTTPStatus.UNPROCESSABLE_ENTITY))
def switched(
    lot: Annotated[int, Query(ge=2, le=10**9)],
    aql: Annotated[float, Query(gt=0)],
    nonconforming: Annotated[
        list[int], Query(min_length=1, max_length=500, description="in each lot's sample")
    ],
    level: LevelName = "II",
) -> SwitchingAnswer:
    """Normal, tightened or reduced, lot by lot, after what was found in each; reduced is begun where allowed."""
    counts(nonconforming, [lot] * len(nonconforming), method="switching")
    numbers = {
        severity: single_plan(lot, aql=aql, level=level, severity=severity).accept for severity in SEVERITIES
    }
    found = switching(
        nonconforming,
        accept_normal=numbers["normal"],
        accept_tightened=numbers["tightened"],
        accept_reduced=numbers["reduced"],
        accept_tighter_aql=_under_next_tighter(lot, aql, level),
        takes_reduced=True,
    )
    return SwitchingAnswer(
        lots=[
            LotAnswer(severity=one.severity, is_accepted=one.is_accepted, score=one.score)
            for one in found.lots
        ],
        next_severity=found.next_severity,
        score=found.score,
        reduced_from=found.reduced_from,
        discontinued_at=found.discontinued_at,
    )


@router.get("/zero", responses=problems(HTTPStatus.UNPROCESSABLE_ENTITY))
def zero_acceptance(
    share: Annotated[float, Query(description="to be shown to be below, 0..1")],
    lot: Annotated[int | None, Query(ge=1, le=10**7, description="exact for this lot")] = None,
    confidence: float = 0.95,
) -> ZeroAnswer:
    """c = 0: the least sample that shows, all good, a share below the one given."""
    return ZeroAnswer(n=zero_acceptance_n(p=share, confidence=confidence, lot=lot))


@router.get("/continuous", responses=problems(HTTPStatus.UNPROCESSABLE_ENTITY))
def continuous_sampling(
    clearance: Annotated[int, Query(ge=1, le=10**6)],
    fraction: Annotated[float, Query(description="inspected while sampling, 0..1")],
    share: Annotated[float, Query(description="nonconforming, 0..1")],
) -> ContinuousAnswer:
    """CSP-1: all until so many in a row are good, then a fraction, until one is bad."""
    found = csp1([share], clearance=clearance, fraction=fraction)
    return ContinuousAnswer(inspected=float(found.afi[0]), outgoing=float(found.aoq[0]), aoql=found.aoql)


@router.get("/audit", responses=problems(HTTPStatus.UNPROCESSABLE_ENTITY))
def passed_audit(
    audited: Annotated[int, Query(ge=1, le=10**9)], escapes: Annotated[int, Query(ge=0, le=10**9)]
) -> AuditAnswer:
    """What was found bad among passed parts that were looked at again: how many of a million passed are bad."""
    found = audit_of_passed(audited=audited, escapes=escapes)
    return AuditAnswer(per_million=found.per_million, interval=list(found.interval), upper=found.upper)


def _under_next_tighter(lot: int, aql: float, level: LevelName) -> int | None:
    """Acceptance number under the next smaller AQL; None where the standard has none."""
    smaller = [one for one in AQLS if one < aql]
    return single_plan(lot, aql=smaller[-1], level=level).accept if smaller else None


def _share_at(n: int, c: int, chance: float) -> float:
    """The share nonconforming that is accepted with this chance."""
    return float(brentq(lambda p: float(acceptance([p], n=n, c=c)[0]) - chance, 0.0, 1.0))
