"""What a changed recipe would have made of the units on record, by what was seen of them or looked at again."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from inspection.types import Inspection, RecipeRef, Verdict
from services.what_if import Compared, Flip, Prices, WhatIfBusy, WhatIfCannotLook, WhatIfs, compare, units_of
from station_config import Recipe, load_recipe, recipe_beside
from tests.a_station import STATION, AStation, a_part, an_empty_station, defects_of
from tests.builders import a_unit, an_inspection
from tests.services.signed_in import signed_in
from traceability.accounts import Accounts, Role
from traceability.images import ImageStore
from traceability.store import TraceStore

PART = load_recipe("part-demo").text.decode()
LOOSE = PART.replace("revision = 5", "revision = 6").replace("reject_from = 1.5", "reject_from = 500")
"""Chips are refused from half a metre on."""


def changed(text: str) -> Recipe:
    from pathlib import Path

    return recipe_beside(text.encode(), Path("changed"))


def a_kept_part(at: AStation, seed: int, *, defective: bool = False, **overrides) -> Inspection:
    """A drawn part on record, with its picture, as the demo's lane would have recorded it."""
    drawing = a_part(seed, defective=defective)
    return an_inspection(
        **{
            "unit": a_unit(f"P-{seed}"),
            "station": STATION,
            "lane": "parts",
            "recipe": RecipeRef(name="part-demo", revision=5, sha256="0" * 64),
            "frames_inspected": 1,
            "pictures": (at.keeps(drawing, lane="parts"),),
            "defects": defects_of(drawing, lane="parts"),
            "verdict": Verdict.REJECT if defective else Verdict.ACCEPT,
            **overrides,
        }
    )


@pytest.fixture
def kept(tmp_path):
    station = an_empty_station(tmp_path)
    with station.store:
        yield station


def test_looked_again_the_recipes_own_detector_judges_the_kept_pictures(kept):
    good, missed = (
        a_kept_part(kept, 1),
        a_kept_part(kept, 2, defective=True, defects=(), verdict=Verdict.ACCEPT),
    )
    found = compare([good, missed], load_recipe("part-demo"), images=kept.images)
    assert (found.units, found.left_out) == (2, 0)
    (flip,) = found.flips
    assert flip.inspection == missed
    assert flip.after[0] > Verdict.ACCEPT
    assert flip.defects
    assert not flip.loosens


def test_a_unit_of_which_a_picture_is_gone_is_left_out_and_counted(kept, tmp_path):
    gone = a_kept_part(kept, 1)
    incomplete = a_kept_part(kept, 2, frames_inspected=2)
    without = ImageStore(tmp_path / "none")
    assert compare([gone], load_recipe("part-demo"), images=without).left_out == 1
    found = compare([incomplete], load_recipe("part-demo"), images=kept.images)
    assert (found.units, found.left_out, found.flips) == (0, 1, ())


def test_what_was_lost_stays_lost_whatever_the_pictures_show(kept):
    lost = a_kept_part(kept, 1, frames_lost=1, failures={"CAM-FRAME-LOST": 1}, verdict=Verdict.NOT_INSPECTED)
    assert compare([lost], load_recipe("part-demo"), images=kept.images).flips == ()


@pytest.mark.parametrize("why", ["INS-BYPASSED", "INS-IN-SETUP", "INS-CLOCK-BACKWARDS", "SVC-LANE-FAILED"])
def test_what_no_recipe_could_have_changed_stands_when_its_pictures_are_looked_at_again(kept, why):
    withheld = {"frames_inspected": 0, "frames_failed": 1, "failures": {why: 1}}
    bypassed = a_kept_part(kept, 1, verdict=Verdict.NOT_INSPECTED, **withheld)
    assert compare([bypassed], load_recipe("part-demo"), images=kept.images).flips == ()


def test_a_picture_that_the_recipe_of_then_refused_may_be_judged_by_another(kept):
    withheld = {"frames_inspected": 0, "frames_failed": 1, "failures": {"INS-IMAGE-DARK": 1}}
    dark = a_kept_part(kept, 1, verdict=Verdict.NOT_INSPECTED, **withheld)
    (flip,) = compare([dark], load_recipe("part-demo"), images=kept.images).flips
    assert flip.after == (Verdict.ACCEPT, None)
    assert flip.loosens


def test_of_a_coil_no_picture_is_looked_at_again(kept):
    with pytest.raises(WhatIfCannotLook):
        compare([], load_recipe("strip-demo"), images=kept.images)


def test_only_this_stations_units_of_the_recipes_name_are_compared(kept):
    ours = a_kept_part(kept, 1)
    others = (
        a_kept_part(kept, 2, station="other"),
        a_kept_part(kept, 3, recipe=RecipeRef(name="other", revision=1, sha256="1" * 64)),
        a_kept_part(kept, 4, simulated=True),
    )
    kept.store.record([ours, *others])
    assert units_of(kept.store, load_recipe("part-demo"), among=100, station=STATION) == (ours,)


class Waits(TraceStore):
    """A store that answers when it is told to."""

    may_answer: threading.Event

    def latest(self, **asked):
        assert self.may_answer.wait(60)
        return super().latest(**asked)


def done(comparing: WhatIfs) -> WhatIfs:
    until = time.monotonic() + 60
    while comparing.now is None or comparing.now.is_running:
        assert time.monotonic() < until
        time.sleep(0.01)
    return comparing


def test_one_comparison_is_made_at_a_time_and_the_last_is_kept(tmp_path):
    with Waits.open(f"sqlite:///{tmp_path}/w.db") as store:
        store.may_answer = threading.Event()
        store.record([an_inspection(recipe=RecipeRef(name="part-demo", revision=5, sha256="0" * 64))])
        comparing = WhatIfs(store, ImageStore(tmp_path / "pictures"), None)
        comparing.start(load_recipe("part-demo"), by="Ina", among=10, look_again=False)
        with pytest.raises(WhatIfBusy):
            comparing.start(load_recipe("part-demo"), by="Ute", among=10, look_again=False)
        store.may_answer.set()
        now = done(comparing).now
        assert now is not None
        assert (now.by, now.total, now.done, now.problem) == ("Ina", 1, 1, None)
        comparing.start(load_recipe("part-demo"), by="Ute", among=10, look_again=False)
        assert done(comparing).now != now


def test_stopped_it_says_what_it_had_compared_until_then(tmp_path):
    with TraceStore.open(f"sqlite:///{tmp_path}/w.db") as store:
        units = [an_inspection() for _ in range(3)]
        seen = []
        found = compare(units, changed(LOOSE), progress=lambda: bool(seen.append(1)) or len(seen) < 2)
        assert found.units == 2
        store.close()


def test_what_cannot_be_compared_is_a_problem_with_a_code(tmp_path):
    with TraceStore.open(f"sqlite:///{tmp_path}/w.db") as store:
        comparing = WhatIfs(store, ImageStore(tmp_path / "pictures"), None)
        comparing.start(load_recipe("strip-demo"), by="Ina", among=10, look_again=True)
        now = done(comparing).now
        assert now is not None
        assert isinstance(now.problem, WhatIfCannotLook)


# --- API and page


def test_the_api_says_which_units_would_flip_and_leads_to_their_pictures(station):
    refused = station.finishes(a_kept_part(station, 5, defective=True))
    client = signed_in(station.app(), Role.INTEGRATOR)
    assert client.get("/api/v1/what-if").json() is None
    loose = LOOSE.replace("reject_from = 1\n", "reject_from = 900\n").replace(
        "reject_from = 60", "reject_from = 90000"
    )
    assert client.post("/api/v1/what-if", json={"recipe": loose}).status_code == 202
    done(client.app.state.what_ifs)
    told = client.get("/api/v1/what-if").json()
    assert (told["units"], told["revision"], told["is_running"], told["problem"]) == (1, 6, False, None)
    (flip,) = told["flips"]
    assert flip["unit"]["code"] == str(refused.unit)
    assert (flip["before"]["verdict"], flip["after"]["verdict"]) == ("REJECT", "REVIEW")
    assert client.get(flip["pictures"][0]).status_code == 200
    begun = Accounts(station.store).audit(limit=1)[0]
    assert (begun.action, begun.subject) == ("what_if.begun", "recipe:part-demo")


@pytest.mark.parametrize("role", [None, Role.OPERATOR, Role.AUDITOR])
def test_who_may_not_configure_may_not_compare(station, role):
    client = TestClient(station.app()) if role is None else signed_in(station.app(), role)
    refusal = 401 if role is None else 403
    assert client.post("/api/v1/what-if", json={"recipe": PART}).status_code == refusal
    assert client.get("/api/v1/what-if").status_code == refusal


def test_a_recipe_with_a_mistake_is_refused_with_the_key(station):
    client = signed_in(station.app(), Role.INTEGRATOR)
    answer = client.post("/api/v1/what-if", json={"recipe": PART.replace("length_mm", "length")})
    assert answer.status_code == 422
    assert answer.json()["code"] == "CFG-INVALID"
    assert "limits.0.measure" in answer.json()["title"]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_shows_what_flips_with_its_picture_and_both_verdicts(station, language):
    refused = station.finishes(a_kept_part(station, 5, defective=True))
    client = signed_in(station.app(), Role.INTEGRATOR)
    headers = {"Accept": "text/html", "Accept-Language": language}
    before = client.get("/what-if?recipe=part-demo", headers=headers).text
    assert "machined flange" in before
    loose = LOOSE.replace("reject_from = 1\n", "reject_from = 900\n").replace(
        "reject_from = 60", "reject_from = 90000"
    )
    sent = client.post(
        "/what-if", data={"text": loose, "units": "5000", "look_again": "false"}, headers=headers
    )
    assert sent.status_code == 303
    done(client.app.state.what_ifs)
    html = client.get("/what-if", headers=headers).text
    part = html[html.index('id="result"') :]
    assert {"en": "1 of 1 units would flip", "zh": "1 件中有 1 件的结果会改变"}[language] in part
    assert part.index("verdict-REJECT") < part.index("verdict-REVIEW")
    assert f"/api/v1/pictures/{refused.pictures[0].sha256}" in part
    assert "hx-trigger" not in part
    wrong = client.post("/what-if", data={"text": "name = ", "units": "10"}, headers=headers)
    assert wrong.status_code == 422
    assert "CFG-SYNTAX" in wrong.text


def test_while_it_is_being_made_the_page_follows_it(station):
    client = signed_in(station.app(), Role.INTEGRATOR)
    comparing = client.app.state.what_ifs
    comparing.start(load_recipe("part-demo"), by="Ina", among=10, look_again=False)
    finished = done(comparing).now
    assert finished is not None
    comparing._now = replace(finished, is_running=True, answer=None, total=5000, done=1234)
    html = client.get("/what-if/result", headers={"Accept": "text/html", "Accept-Language": "en"}).text
    assert 'hx-get="/what-if/result"' in html
    assert '<progress max="5000" value="1234">' in html
    assert "1,234 of 5,000 units" in html


def test_a_change_is_priced_by_what_people_do_and_by_what_they_had_decided():
    passed, stopped, unknown = (
        an_inspection(verdict=verdict) for verdict in (Verdict.REJECT, Verdict.ACCEPT, Verdict.REJECT)
    )
    flips = tuple(
        Flip(inspection=one, after=(after, None), defects=())
        for one, after in ((passed, Verdict.ACCEPT), (stopped, Verdict.REVIEW), (unknown, Verdict.ACCEPT))
    )
    compared = Compared(
        recipe=load_recipe("part-demo"),
        looked_again=False,
        units=10,
        left_out=0,
        flips=flips,
        bad=frozenset({passed.id}),
        good=frozenset({stopped.id}),
    )
    priced = compared.priced(Prices(review=2, reject=10, escape=100))
    # Two refused units less, a look more; one of the two is known to be bad.
    assert priced.handling == -2 * 10 + 2
    assert (priced.escapes, priced.caught, priced.doubted) == (1, 0, 1)
    assert priced.sum == -18 + 100
