"""The engine's write-ahead log: what is left of it when its engine is killed at any moment."""

import math
import resource
import signal
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from inspection.types import Inspection, Verdict
from services.ingredients import software_sha256
from services.station.write_ahead import SPOILT, WriteAheadLog, done_with, left_behind, logs_left
from tests.builders import (
    a_defect,
    a_measurement,
    a_picture,
    a_strip_map,
    a_unit,
    an_inspection,
    an_inspection_begun,
)

UNITS = [
    an_inspection(
        id=UUID(int=number),
        unit=a_unit(f"P-{number}"),
        verdict=Verdict(number % 4),
        defects=tuple(a_defect() for _ in range(number)),
    )
    for number in range(1, 6)
]


def begun(inspection: Inspection):
    return an_inspection_begun(id=inspection.id, unit=inspection.unit)


def decided(inspection: Inspection) -> Inspection:
    return replace(inspection, software=software_sha256())


def test_an_inspection_comes_back_as_it_went_in(tmp_path):
    whole = an_inspection(
        verdict=Verdict.REJECT,
        defects=(a_defect(box_mm=None), a_defect(outline_px=((1.0, 2.5), (3.0, 4.0)))),
        measurements=(a_measurement(uncertainty=0.01),),
        pictures=(a_picture(),),
        strip=a_strip_map(),
        failures={"CAM-FRAME-LOST": 2},
        grade="B",
        code_failure="INS-CODE-UNREAD",
        started_at=datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC),
    )
    with WriteAheadLog(tmp_path) as log:
        log.unit_begun(begun(whole))
        log.unit_done(whole)
    (file,) = logs_left(tmp_path, but="")
    assert left_behind(file).decided == (decided(whole),)


# Whose turn it is: a unit is begun, decided, delivered. Where the kill cuts the line that is being written, and from
# which size on the log is written anew.
STORIES = st.tuples(
    st.lists(st.integers(0, len(UNITS) - 1), max_size=4 * len(UNITS)),
    st.integers(0, 40),
    st.sampled_from([500, 3000, 6000, 4_000_000]),
)


@given(STORIES)
def test_whatever_was_told_and_not_delivered_is_left_behind_wherever_the_engine_is_killed(story):
    turns, cut, rewrite_bytes = story
    reached: dict[int, int] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        WriteAheadLog(Path(folder), rewrite_bytes=rewrite_bytes) as log,
    ):
        say = (
            lambda one: log.unit_begun(begun(one)),
            log.unit_done,
            lambda one: log.delivered(one.id),
        )
        for unit in turns:
            step = reached.get(unit, -1) + 1
            if step < len(say):
                say[step](UNITS[unit])
                reached[unit] = step
        (file,) = logs_left(Path(folder), but="")
        # What was being written when the kill came.
        begins_like_a_line = file.read_bytes()[:cut]
        with file.open("ab") as torn:
            torn.write(begins_like_a_line)
        left = left_behind(file)
    in_hand = {one.id for one in left.begun}
    ended = {one.id: one for one in left.decided}
    assert left.spoilt == 0
    assert in_hand == {UNITS[unit].id for unit, step in reached.items() if step == 0}
    for unit, step in reached.items():
        inspection = UNITS[unit]
        if step == 1:
            assert ended[inspection.id] == decided(inspection)
        if step == 2 and inspection.id in ended:
            # The service knows that it is on record.
            assert ended[inspection.id] == decided(inspection)


def test_a_value_that_is_no_number_does_not_cost_the_verdict_that_the_line_was_told(tmp_path):
    told = an_inspection(verdict=Verdict.REJECT, measurements=(a_measurement(value=math.nan),))
    with WriteAheadLog(tmp_path) as log:
        log.unit_done(told)
    (file,) = logs_left(tmp_path, but="")
    (one,) = left_behind(file).decided
    assert one.verdict is Verdict.REJECT
    assert math.isnan(one.measurements[0].value)


def test_what_cannot_be_put_into_words_stops_no_lane_and_is_said(tmp_path, caplog):
    with WriteAheadLog(tmp_path) as log:
        log.unit_begun(begun(UNITS[0]))
        log.unit_done(replace(UNITS[0], grade=object()))
        assert "cannot be written" in caplog.text
        (file,) = logs_left(tmp_path, but="")
        # The kill costs its verdict, and it is not inspected.
        assert [one.id for one in left_behind(file).begun] == [UNITS[0].id]


def test_a_log_that_a_bad_disk_does_not_give_keeps_nobody_from_recording(tmp_path, caplog):
    file = tmp_path / "gone.log"
    file.mkdir()
    left = left_behind(file)
    assert (left.begun, left.decided, left.spoilt) == ((), (), 1)
    assert "cannot be read to its end" in caplog.text
    done_with(file, left)
    assert logs_left(tmp_path, but="") == ()


def test_an_engine_that_delivered_all_leaves_no_log(tmp_path):
    with WriteAheadLog(tmp_path) as log:
        log.unit_begun(begun(UNITS[0]))
        log.unit_done(UNITS[0])
        log.delivered(UNITS[0].id)
    assert list(tmp_path.iterdir()) == []


def test_the_log_of_a_long_shift_stays_small(tmp_path):
    coil_in_hand = begun(UNITS[4])
    with WriteAheadLog(tmp_path, rewrite_bytes=500_000) as log:
        log.unit_begun(coil_in_hand)
        log.unit_begun(begun(UNITS[3]))
        log.unit_done(UNITS[3])
        for _ in range(20):
            for part in UNITS[:3]:
                coil = replace(part, defects=tuple(a_defect() for _ in range(100)))
                log.unit_begun(begun(coil))
                log.unit_done(coil)
                log.delivered(coil.id)
        (file,) = logs_left(tmp_path, but="")
        assert file.stat().st_size < 1_000_000
        left = left_behind(file)
        assert left.begun == (coil_in_hand,)
        assert decided(UNITS[3]) in left.decided


def test_a_line_that_a_bad_disk_spoilt_is_said_and_kept_and_costs_only_its_own_unit(tmp_path, caplog):
    with WriteAheadLog(tmp_path) as log:
        for one in UNITS[:2]:
            log.unit_begun(begun(one))
            log.unit_done(one)
    (file,) = logs_left(tmp_path, but="")
    lines = file.read_bytes().split(b"\n")
    lines[1] = lines[1].replace(b'"verdict":1', b'"verdict":9')
    file.write_bytes(b"\n".join(lines))
    left = left_behind(file)
    # How it was decided is gone: it was begun, and so it will be not inspected.
    assert [one.id for one in left.begun] == [UNITS[0].id]
    assert left.decided == (decided(UNITS[1]),)
    assert "cannot be read" in caplog.text
    done_with(file, left)
    assert logs_left(tmp_path, but="") == ()
    assert [kept.suffix for kept in tmp_path.iterdir()] == [SPOILT]


def test_a_full_disk_stops_no_lane_and_leaves_whole_lines(tmp_path, caplog):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with WriteAheadLog(tmp_path) as log:
            log.unit_begun(begun(UNITS[0]))
            (file,) = logs_left(tmp_path, but="")
            # As a disk does that has room for half of it.
            resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + 100, hard))
            log.unit_done(UNITS[0])
            log.unit_done(UNITS[0])
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            assert caplog.text.count("cannot be written") == 1
            log.unit_done(UNITS[0])
            assert left_behind(file).decided == (decided(UNITS[0]),)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_a_log_that_cannot_be_written_anew_grows_and_holds_no_file_open_for_it(tmp_path, caplog):
    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    coils = [
        replace(UNITS[number % 3], id=UUID(int=100 + number), defects=tuple(a_defect() for _ in range(50)))
        for number in range(40)
    ]
    try:
        with WriteAheadLog(tmp_path, rewrite_bytes=100_000) as log:
            for coil in coils:
                log.unit_done(coil)
            (file,) = logs_left(tmp_path, but="")
            assert file.stat().st_size > 300_000
            held = open_files()
            # As a disk does that has room for a line, and not for the half of the log that is left.
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
            for coil in coils[:-2]:
                log.delivered(coil.id)
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            assert open_files() == held
            assert caplog.text.count("cannot be written anew") == 1
            assert list(tmp_path.iterdir()) == [file]
            assert left_behind(file).decided == tuple(map(decided, coils))
            # With room again it is written anew once it has grown further.
            for number in range(40):
                later = replace(coils[0], id=UUID(int=200 + number))
                log.unit_done(later)
                log.delivered(later.id)
            assert file.stat().st_size < 300_000
            assert left_behind(file).decided[:2] == tuple(map(decided, coils[-2:]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
