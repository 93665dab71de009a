"""Labels that a model contradicts, and the units that teach most, are what people are asked to look at first."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from inspection.types import Box, Detections, PictureRef, Verdict
from models.evaluation import Judged
from models.labels import LabelledFile, Truth
from services.doubts import doubts, offered
from services.evaluating import Evaluated, Seen
from tests.builders import NOON, a_defect, a_unit, an_inspection
from traceability.accounts import Accounts, Role
from traceability.reviews import REPEAT_AFTER, Decision, Reviews
from traceability.store import TraceStore

HERE, THERE = (10, 10, 40, 40), (60, 60, 90, 90)


def seen(name, truth, found):
    """A picture with these labels, (kind, box), and these detections, (kind, box, score)."""
    judged = Judged(
        truth_xyxy=np.array([box for _, box in truth], np.float32).reshape(-1, 4),
        truth_kind=tuple(kind for kind, _ in truth),
        found=Detections(
            xyxy=np.array([box for _, box, _ in found], np.float32).reshape(-1, 4),
            score=np.array([score for *_, score in found], np.float32),
            kind=tuple(kind for kind, *_ in found),
        ),
    )
    picture = LabelledFile(
        name=name,
        width_px=100,
        height_px=100,
        truth=tuple(Truth(kind=kind, box_px=Box(*box)) for kind, box in truth),
    )
    return Seen(picture=picture, all=judged, judged=judged, ms=1.0)


def doubted(*pictures):
    one = Evaluated(
        model={}, kinds=("pits", "scratch"), thresholds={}, seen=pictures, unit_of=lambda name: name
    )
    return [(doubt.picture, doubt.what, doubt.kind, doubt.seen) for doubt in doubts(one)]


def test_planted_label_errors_come_first_and_right_labels_not_at_all():
    pits, scratch = ("pits", HERE), ("scratch", THERE)
    assert doubted(
        seen("right", [pits, scratch], [(*pits, 0.9), (*scratch, 0.4)]),
        seen("label_left_out", [pits], [(*pits, 0.9), (*scratch, 0.8)]),
        seen("kinds_taken_for_each_other", [("scratch", HERE)], [(*pits, 0.7), ("scratch", HERE, 0.1)]),
        seen("nothing_there", [scratch], [("scratch", THERE, 0.01)]),
        seen("good", [], [("pits", HERE, 0.2)]),
    ) == [
        ("nothing_there", "not_seen", "scratch", None),
        ("label_left_out", "no_label", "scratch", "scratch"),
        ("kinds_taken_for_each_other", "other_kind", "scratch", "pits"),
    ]


def test_of_a_kind_that_the_model_does_not_know_it_has_no_doubt():
    assert doubted(seen("unknown", [("dent", HERE)], [])) == []


def test_a_faint_sight_of_a_label_is_no_doubt_about_it():
    assert doubted(seen("faint", [("pits", HERE)], [("pits", HERE, 0.06)])) == []


@pytest.fixture
def store(tmp_path: Path):
    with TraceStore.open(f"sqlite:///{tmp_path / 'lynceus.db'}") as store:
        yield store


def withheld(store, code, score, *, verdict=Verdict.REVIEW, sha256="0" * 64):
    picture = PictureRef(sha256=sha256, camera="top", sequence=41, width_px=100, height_px=150)
    unit = an_inspection(
        unit=a_unit(code),
        verdict=verdict,
        defects=(replace(a_defect(sequence=41), score=score),),
        pictures=(picture,),
    )
    store.record([unit])
    return unit


def test_what_people_disagree_about_comes_before_what_was_overruled_and_what_is_unsure(store):
    li, wang = (
        Accounts(store).add(name=name, title=name, role=Role.OPERATOR, password_hash=None, by=None, at=NOON)
        for name in ("li", "wang")
    )
    reviews = Reviews(store)
    units = {
        name: withheld(store, name, score)
        for name, score in (
            ("SURE", 0.95),
            ("UNSURE", 0.52),
            ("OVERRULED", 0.9),
            ("CONFIRMED", 0.9),
            ("OTHER-REASON", 0.3),
            ("DISAGREED", 0.7),
        )
    }
    withheld(store, "ACCEPTED", 0.5, verdict=Verdict.ACCEPT)
    at = NOON + timedelta(minutes=1)
    reviews.decide(units["OVERRULED"].id, Decision.ACCEPT, by=li, at=at)
    reviews.decide(units["CONFIRMED"].id, Decision.REJECT, by=li, at=at)
    reviews.decide(units["OTHER-REASON"].id, Decision.REJECT, by=li, at=at, reason="crack")
    reviews.decide(units["DISAGREED"].id, Decision.REJECT, by=li, at=at)
    again = at + REPEAT_AFTER + timedelta(minutes=1)
    reviews.decide(units["DISAGREED"].id, Decision.ACCEPT, by=wang, at=again)

    found = offered(store, since=NOON - timedelta(days=1), most=10)
    assert [(one.inspection.unit.raw, one.why) for one in found] == [
        ("DISAGREED", "disagreed"),
        ("OTHER-REASON", "to_label"),
        ("OVERRULED", "overruled"),
        ("UNSURE", "unsure"),
        ("SURE", "unsure"),
    ]
    assert len(offered(store, since=NOON - timedelta(days=1), most=2)) == 2
    assert offered(store, since=NOON + timedelta(days=1), most=2) == ()
