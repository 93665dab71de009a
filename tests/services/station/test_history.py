from datetime import UTC, datetime, timedelta
from math import pi

import pytest

from inspection.types import Verdict
from inspection.vision.health import Health
from services.station.history import BAD_LOT, MARKED_ROLL, SHIFT_HOUR, SHIFT_MM, simulate_shifts
from station_config import load_station
from traceability import gauge_studies
from traceability.factors import marked_coils, rolls_used, units_met
from traceability.images import ImageStore
from traceability.samples import count_samples, measured_values, shift_at
from traceability.spc.attributes import count_chart
from traceability.spc.causes import associated_with_met, change_point
from traceability.spc.charts import individuals_chart
from traceability.spc.inspector import corrected_chart
from traceability.store import TraceStore

STATION = load_station("demo")


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    folder = tmp_path_factory.mktemp("history")
    with TraceStore.open(f"sqlite:///{folder / 'lynceus.db'}") as store:
        images = ImageStore(folder / "pictures")
        simulate_shifts(store, images, STATION, seed=5)
        yield store, images


def test_all_of_the_history_says_that_it_is_simulated(history):
    store, _ = history
    assert store.latest(simulated=False) == ()
    assert all("SIM-" in str(inspection.unit) for inspection in store.latest(simulated=True, limit=2000))


def test_what_pictures_are_like_is_in_the_units_that_the_inspection_itself_gives_it(history):
    store, _ = history
    health = Health(mean_grey=1, evenness=1, saturated=0, glare=0, blur_across_px=1, blur_along_px=1)
    units = {one.name: one.unit for one in health.measurements()}
    seen = {
        one.name: one.unit
        for inspection in store.latest(simulated=True, limit=50)
        for one in inspection.measurements
        if one.name in units
    }
    assert seen
    assert seen.items() <= units.items()


def test_it_fills_the_two_shifts_before_the_present_one_in_every_lane(history):
    store, _ = history
    now = datetime.now(UTC)
    for lane in STATION.lanes:
        samples = count_samples(store, by="shift", since=now - timedelta(days=3), lane=lane.name)
        assert len(samples) == 2
        assert samples[-1].at < shift_at(now).since
        assert all(sample.not_inspected == 0 for sample in samples)


def test_a_refused_unit_shows_the_defects_it_was_drawn_with(history):
    store, images = history
    refused = store.latest(verdicts=[Verdict.REJECT], simulated=True, limit=2000)
    assert {defect.kind for inspection in refused for defect in inspection.defects} >= {
        "chip",
        "crack",
        "stain",
    }
    for inspection in refused:
        (picture,) = inspection.pictures
        assert inspection.defects
        for defect in inspection.defects:
            assert 0 <= defect.box_px.x1 < defect.box_px.x2 <= picture.width_px
            assert 0 <= defect.box_px.y1 < defect.box_px.y2 <= picture.height_px
    assert images.read(refused[0].pictures[0].sha256).startswith(b"\xff\xd8")


def _hours(store, lane):
    return count_samples(store, by="hour", since=datetime.now(UTC) - timedelta(days=3), lane=lane)


def test_a_change_of_model_looks_like_a_shift_until_it_is_a_stage_of_its_own(history):
    store, _ = history
    samples = _hours(store, "parts")
    assert count_chart(samples).signals
    staged = count_chart(samples, by_stage=True)
    assert (staged.signals, len(set(staged.chart.stage))) == ((), 2)


def test_what_both_models_were_proven_to_see_takes_the_change_out_of_the_chart(history):
    store, _ = history
    samples = _hours(store, "parts")
    proofs = {
        study.model: gauge_studies.result_of(study).proof
        for study in gauge_studies.studies(store, characteristic="parts")
        if study.kind == "accuracy"
    }
    of_sample = [proofs[sample.stage.split(", ")[1]] for sample in samples]
    chart = corrected_chart(
        [sample.count for sample in samples],
        [sample.opportunity for sample in samples],
        sensitivity=[proof.sensitivity for proof in of_sample],
        specificity=[proof.specificity for proof in of_sample],
    )
    assert chart.chart.signals == ()


def test_the_strip_grows_wider_in_one_hour_and_stays_so(history):
    store, _ = history
    values = measured_values(store, "width", since=datetime.now(UTC) - timedelta(days=3))
    change = change_point([one.value for one in values], permutations=49)
    assert change.level_after - change.level_before == pytest.approx(SHIFT_MM, abs=0.06)
    assert values[change.before].at == pytest.approx(
        values[0].at + timedelta(hours=SHIFT_HOUR), abs=timedelta(minutes=15)
    )
    assert individuals_chart([one.value for one in values]).location.signals


def test_the_marked_roll_is_named_by_the_period_of_its_mark(history):
    store, _ = history
    since = datetime.now(UTC) - timedelta(days=3)
    rolls = rolls_used(store, since=since)
    coils = marked_coils(store, since=since)
    assert len(coils) == 18
    for coil in coils:
        (repeat,) = coil.strip.repeats
        near = min(rolls, key=lambda roll: abs(rolls[roll] - repeat.period_mm / pi))
        assert near == MARKED_ROLL


def test_the_bad_lot_stands_out_among_all_that_the_parts_met(history):
    store, _ = history
    found = associated_with_met(
        [
            (one.is_bad, one.factors)
            for one in units_met(store, since=datetime.now(UTC) - timedelta(days=3), lane="parts")
        ]
    )
    best = next(one for one in found if one.category == "material")
    assert (best.level, best.is_shown) == (BAD_LOT, True)
    assert best.interval[0] > 2


def test_a_station_that_has_its_history_gets_no_second_one(history):
    store, images = history
    assert simulate_shifts(store, images, STATION, seed=6) == 0
