from datetime import UTC, datetime, timedelta

import pytest

from inspection.types import Verdict
from services.station.history import BAD_HOUR, simulate_shifts
from station_config import load_station
from traceability.images import ImageStore
from traceability.samples import rejected_samples, shift_at
from traceability.spc.attributes import p_chart
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


def test_it_fills_the_two_shifts_before_the_present_one_in_every_lane(history):
    store, _ = history
    now = datetime.now(UTC)
    for lane in STATION.lanes:
        samples = rejected_samples(store, by="shift", since=now - timedelta(days=3), lane=lane.name)
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


def test_the_chart_has_its_signal_in_the_hour_in_which_something_went_wrong(history):
    store, _ = history
    chart = p_chart(
        rejected_samples(store, by="hour", since=datetime.now(UTC) - timedelta(days=3), lane="parts")
    )
    assert BAD_HOUR in {signal.index for signal in chart.signals}


def test_a_station_that_has_its_history_gets_no_second_one(history):
    store, images = history
    assert simulate_shifts(store, images, STATION, seed=6) == 0
