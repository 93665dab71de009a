"""What people decided becomes a training set: overruled verdicts too, which are what a model has to unlearn."""

from __future__ import annotations

from datetime import timedelta

import cv2
import numpy as np
import pytest
from uuid_utils.compat import uuid7

from inspection.types import PictureRef, Verdict
from models.errors import SetUnfit
from models.labels import read_yolo, write_yolo
from services.reviewed import reviewed
from tests.builders import NOON, a_defect, a_unit, an_inspection
from traceability.accounts import Accounts, Role
from traceability.holds import Decision as Decided
from traceability.holds import place, release
from traceability.images import ImageStore
from traceability.reviews import Decision, Reviews
from traceability.store import TraceStore

NOW = NOON + timedelta(minutes=5)
SPAN = {"since": NOON - timedelta(days=1), "until": NOON + timedelta(days=1)}


@pytest.fixture
def plant(tmp_path):
    with TraceStore.open(f"sqlite:///{tmp_path / 'lynceus.db'}") as store:
        yield store, ImageStore(tmp_path / "pictures")


def judged(plant, decision, *, reason=None, grey=90, defects=None):
    """A unit with two pictures, a scratch on the first of them, withheld and then decided by a person."""
    store, images = plant
    found = (a_defect(sequence=41),) if defects is None else defects
    refs = []
    for sequence in (41, 42):
        data = cv2.imencode(".png", np.full((150, 100), grey + sequence, np.uint8))[1].tobytes()
        refs.append(
            PictureRef(sha256=images.put(data), camera="top", sequence=sequence, width_px=100, height_px=150)
        )
    code = a_unit(f"86.1/P{grey}")
    unit = an_inspection(unit=code, verdict=Verdict.REVIEW, defects=found, pictures=tuple(refs))
    store.record([unit])
    accounts = Accounts(store)
    li = next(iter(accounts.all()), None) or accounts.add(
        name="li", title="li", role=Role.OPERATOR, password_hash=None, by=None, at=NOON
    )
    Reviews(store).decide(unit.id, decision, by=li, at=NOW, reason=reason)
    return unit


def test_an_overruled_unit_is_good_in_all_its_pictures_and_a_confirmed_one_shows_its_defects(plant, tmp_path):
    good = judged(plant, Decision.ACCEPT)
    bad = judged(plant, Decision.REJECT, reason="scratch", grey=20)
    made = reviewed(*plant, tmp_path / "set", **SPAN)
    by_unit = {}
    for one in made.labelled.pictures:
        by_unit.setdefault(one.name.split("/")[1], []).append(one.kinds)
    assert by_unit == {good.id.hex: [(), ()], bad.id.hex: [("scratch",)]}
    assert (made.to_label, made.gone) == (0, 0)
    write_yolo(made.labelled, tmp_path / "out")
    assert len(read_yolo(tmp_path / "out").pictures) == 3


def test_a_defect_that_nobody_boxed_is_counted_for_labelling_not_guessed(plant, tmp_path):
    judged(plant, Decision.ACCEPT)
    judged(plant, Decision.REJECT, reason="crack", grey=20)
    made = reviewed(*plant, tmp_path / "set", **SPAN)
    assert made.to_label == 1
    assert not any(one.truth for one in made.labelled.pictures)


HELD = NOW + timedelta(minutes=5)


def held(plant, unit, *, at=HELD, decision: Decided | None = None):
    """Put on hold by the quality engineer, and decided about, where somebody did."""
    store, _ = plant
    place(store, [unit.unit], ids=[uuid7()], reason="pressed the wrong key", at=at, by="chen")
    if decision is not None:
        release(store, unit.unit, id=uuid7(), decision=decision, reason="looked at", at=at, by="chen")


@pytest.mark.parametrize("decision", [None, "scrap", "rework"])
def test_a_unit_accepted_by_mistake_and_held_for_it_teaches_no_good_picture(plant, tmp_path, decision):
    """Nobody may take a decision back after ten seconds: a hold is how it is put right."""
    wrong = judged(plant, Decision.ACCEPT)
    good = judged(plant, Decision.ACCEPT, grey=20)
    held(plant, wrong, decision=decision)
    made = reviewed(*plant, tmp_path / "set", **SPAN)
    assert {one.name.split("/")[1] for one in made.labelled.pictures} == {good.id.hex}
    assert made.withdrawn == 1


def test_a_unit_that_is_used_as_it_is_or_was_accepted_after_its_rework_teaches_what_good_is(plant, tmp_path):
    as_it_is, reworked = judged(plant, Decision.ACCEPT), judged(plant, Decision.ACCEPT, grey=20)
    held(plant, as_it_is, decision="use_as_is")
    held(plant, reworked, at=NOON, decision="rework")
    made = reviewed(*plant, tmp_path / "set", **SPAN)
    assert (len(made.labelled.pictures), made.withdrawn) == (4, 0)


def test_where_nothing_was_decided_there_is_no_set(plant, tmp_path):
    with pytest.raises(SetUnfit, match="none gives a picture"):
        reviewed(*plant, tmp_path / "set", **SPAN)
