import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing import Pipe
from pathlib import Path
from threading import Thread

import pytest

from inspection.tally import FRAME_LOST
from inspection.types import FrameResult, Inspection, InspectionBegun, PictureRef, RecipeRef, Verdict
from services.ingredients import software_sha256
from services.live import LiveState
from services.station.accounting import Accounting
from services.station.link import Hello
from services.station.messages import FirstOnRecord, FrameSeen, LaneState, RecipeState
from services.station.recipes import Wishes
from services.station.records import ENGINE_LOST, PRUNE_EVERY, Records
from services.station.write_ahead import WriteAheadLog
from tests.a_bucket import UNREACHABLE, FakeBucket
from tests.builders import a_defect, a_picture, a_unit, an_inspection, an_inspection_begun
from traceability.accounts import Accounts
from traceability.contradictions import contradictions_of
from traceability.errors import DatabaseUnreachable, DiskFull, PictureMissing
from traceability.images import ImageStore
from traceability.retention import LOWERED_TO, Rules, given_up
from traceability.shelf import Folder
from traceability.spool import Spooled
from traceability.store import TraceStore

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
JPEG = b"\xff\xd8 a picture \xff\xd9"


@pytest.fixture
def logs(tmp_path):
    """Folder of the engines' write-ahead logs."""
    return tmp_path / "engine"


@pytest.fixture
def place(tmp_path):
    with TraceStore.open(f"sqlite:///{tmp_path / 'lynceus.db'}") as store:
        yield store, ImageStore(tmp_path / "pictures"), LiveState()


def a_books(place, *, first=lambda _: None, max_bytes=10**9, logs=Path("no such folder")) -> Records:
    store, images, live = place
    return Records(
        store=store,
        images=images,
        live=live,
        accounting=Accounting(store, "demo", alarmed=live.alarms),
        wishes=Wishes(),
        retention=Rules(max_bytes=max_bytes),
        first=first,
        engine_logs=logs,
    )


def a_frame(begun: InspectionBegun, verdict=Verdict.ACCEPT, defects=(), sha256=None, sequence=0) -> FrameSeen:
    result = FrameResult(
        camera="c", sequence=sequence, verdict=verdict, defects=defects, measurements=(), timings_ms={}
    )
    return FrameSeen(
        inspection_id=begun.id,
        lane=begun.lane,
        captured_at=NOW,
        result=result,
        jpeg=JPEG,
        width_px=10,
        height_px=10,
        sha256=sha256,
    )


def test_a_finished_unit_is_on_record_and_on_the_screen(place):
    store, _, live = place
    begun = an_inspection_begun()
    inspection = an_inspection(id=begun.id, frames_inspected=1)
    a_books(place).commit([begun, a_frame(begun), inspection])
    assert store.inspection(begun.id) == inspection
    assert store.begun() == ()
    assert live.of_lane(begun.lane).last == inspection


def test_the_first_coil_is_on_record_though_nobody_reads_what_is_said_of_it(place):
    store, _, _ = place
    begun = an_inspection_begun()
    defects = tuple(a_defect() for _ in range(2000))
    coil = an_inspection(id=begun.id, verdict=Verdict.REJECT, defects=defects, frames_inspected=1)
    seen = a_frame(begun, verdict=Verdict.REJECT)
    # As with the process that started the service: a pipe that holds 64 KB, and a reader who is busy.
    reader, writer = Pipe(duplex=False)
    recorder = Thread(
        target=a_books(place, first=writer.send).commit, args=([begun, seen, coil],), daemon=True
    )
    with reader, writer:
        recorder.start()
        recorder.join(30)
        assert store.inspection(begun.id) == coil
        assert not recorder.is_alive()
        assert reader.recv() == FirstOnRecord(unit=coil.unit, verdict=coil.verdict)


def test_what_the_engine_brings_twice_is_stored_once(place):
    store, _, _ = place
    begun = an_inspection_begun()
    batch = [begun, a_frame(begun), an_inspection(id=begun.id, frames_inspected=1)]
    books = a_books(place)
    books.commit(batch)
    books.greet(Hello({begun.id: 0}, {}))
    books.commit(batch)
    assert store.inspections_of(begun.unit) == (batch[-1],)
    assert store.begun() == ()


def test_a_unit_in_hand_when_the_engine_was_killed_is_not_inspected(place):
    store, _, live = place
    begun = an_inspection_begun()
    books = a_books(place)
    books.commit([begun, a_frame(begun), a_frame(begun, sequence=1)])
    books.gone()
    assert not live.engine_connected
    books.greet(Hello({}, {}))
    (ended,) = store.inspections_of(begun.unit)
    assert ended.verdict is Verdict.NOT_INSPECTED
    assert (ended.frames_inspected, ended.frames_lost, ended.failures) == (2, 1, {ENGINE_LOST: 1})
    assert ended.unaccounted == 0
    assert store.begun() == ()


def test_a_hole_in_the_frames_of_a_unit_in_hand_is_counted_and_a_frame_brought_twice_is_one(place):
    store, _, _ = place
    begun = an_inspection_begun()
    books = a_books(place)
    books.commit([begun, a_frame(begun, sequence=4), a_frame(begun, sequence=7)])
    books.commit([a_frame(begun, sequence=7)])
    books.greet(Hello({}, {}))
    (ended,) = store.inspections_of(begun.unit)
    assert (ended.triggers, ended.frames_inspected, ended.unaccounted) == (5, 2, 0)
    assert ended.failures == {FRAME_LOST: 2, ENGINE_LOST: 1}


def test_a_defect_seen_before_the_engine_was_killed_still_refuses_the_unit(place):
    store, _, _ = place
    begun = an_inspection_begun()
    books = a_books(place)
    books.commit([begun, a_frame(begun, Verdict.REJECT, (a_defect(),))])
    books.greet(Hello({}, {}))
    assert store.inspections_of(begun.unit)[0].verdict is Verdict.REJECT


def test_a_unit_in_hand_when_everything_was_killed_is_closed_at_the_next_start(place):
    store, _, _ = place
    begun = an_inspection_begun()
    a_books(place).commit([begun])
    a_books(place).greet(Hello({}, {}))
    assert store.inspections_of(begun.unit)[0].verdict is Verdict.NOT_INSPECTED


def test_a_recipe_that_a_plc_chose_is_in_the_audit_once_with_the_one_before(place):
    store, _, _ = place
    books = a_books(place)
    before = RecipeRef(name="strip-demo", revision=3, sha256="0" * 64)
    after = RecipeRef(name="strip-demo-exposed", revision=1, sha256="1" * 64)
    books.commit([RecipeState(lane="strip", recipe=before.name, ref=before, condition="in_use", at=NOW)])
    chosen = RecipeState(
        lane="strip", recipe=after.name, ref=after, condition="ready", at=NOW + timedelta(1), by_plc=True
    )
    books.commit([replace(chosen, ref=None, condition="preparing", at=NOW), chosen])
    # A service that was killed before it could say that it has it is told again.
    books.commit([chosen, replace(chosen, condition="in_use")])
    (entry,) = Accounts(store).audit(limit=10)
    assert (entry.action, entry.subject, entry.person) == ("recipe.changed", "lane:demo/strip", None)
    assert (entry.before, entry.after) == (
        {"recipe": "strip-demo"},
        {"recipe": "strip-demo-exposed", "revision": 1, "origin": "PLC"},
    )


def test_a_unit_that_a_killed_engine_decided_is_recorded_as_it_decided(place, logs):
    store, _, live = place
    refused = an_inspection(verdict=Verdict.REJECT, defects=(a_defect(),), frames_inspected=1)
    with WriteAheadLog(logs) as killed:
        killed.unit_begun(an_inspection_begun(id=refused.id))
        killed.unit_done(refused)
    books = a_books(place, logs=logs)
    books.greet(Hello({}, {}))
    assert store.inspection(refused.id) == replace(refused, software=software_sha256())
    assert live.of_lane(refused.lane).last.verdict is Verdict.REJECT
    assert list(logs.iterdir()) == []


def test_a_unit_that_a_killed_engine_had_begun_is_not_inspected_though_the_service_never_heard_of_it(
    place, logs
):
    store, _, _ = place
    begun = an_inspection_begun()
    with WriteAheadLog(logs) as killed:
        killed.unit_begun(begun)
    a_books(place, logs=logs).greet(Hello({}, {}))
    (ended,) = store.inspections_of(begun.unit)
    assert (ended.verdict, ended.failures) == (Verdict.NOT_INSPECTED, {ENGINE_LOST: 1})


def test_what_is_on_record_already_stays_as_it_is(place, logs):
    store, _, _ = place
    begun = an_inspection_begun()
    delivered = an_inspection(id=begun.id, frames_inspected=1, pictures=(a_picture(),))
    books = a_books(place, logs=logs)
    with WriteAheadLog(logs) as killed:
        killed.unit_begun(begun)
        killed.unit_done(replace(delivered, pictures=()))
        books.commit([begun, a_frame(begun), delivered])
    books.greet(Hello({}, {}))
    assert store.inspections_of(begun.unit) == (delivered,)
    with store.reading() as connection:
        assert contradictions_of(connection, [begun.id]) == ()


def test_the_log_of_the_engine_that_comes_is_its_own(place, logs):
    store, _, _ = place
    begun = an_inspection_begun()
    with WriteAheadLog(logs) as living:
        living.unit_begun(begun)
        a_books(place, logs=logs).greet(Hello({begun.id: 0}, {}, (), living.name))
        assert store.inspection(begun.id) is None
        assert [file.name for file in logs.iterdir()] == [living.name]


def test_while_the_database_is_away_what_an_engine_left_behind_stays_where_it_is(place, logs):
    class Away(TraceStore):
        def begin(self, begun):
            raise DatabaseUnreachable("No answer.", action="Start it.", database="trace", reason="gone")

    _, images, live = place
    begun = an_inspection_begun()
    with WriteAheadLog(logs) as killed:
        killed.unit_begun(begun)
    with Away.open(f"sqlite:///{logs.parent / 'away.db'}") as away, pytest.raises(DatabaseUnreachable):
        a_books((away, images, live), logs=logs).greet(Hello({}, {}))
    assert [file.name for file in logs.iterdir()] == [killed.name]
    a_books(place, logs=logs).greet(Hello({}, {}))
    assert place[0].inspections_of(begun.unit)


def test_a_unit_in_hand_at_another_station_of_the_plant_is_left_to_that_station(place):
    store, _, _ = place
    theirs = an_inspection_begun(station="press-4")
    books = a_books(place)
    store.begin([theirs])
    books.greet(Hello({}, {}))
    assert store.begun(station="press-4") == (theirs,)
    ended = an_inspection(id=theirs.id, station="press-4")
    store.record([ended])
    assert store.inspections_of(theirs.unit) == (ended,)


def test_a_unit_the_engine_still_has_in_hand_is_left_to_it(place):
    store, _, _ = place
    begun = an_inspection_begun()
    books = a_books(place)
    books.commit([begun])
    books.greet(Hello({begun.id: 0}, {}))
    assert store.begun() == (begun,)


def test_pictures_to_be_kept_are_kept_and_others_are_only_shown(place):
    _, images, live = place
    begun = an_inspection_begun()
    sha256 = hashlib.sha256(JPEG).hexdigest()
    books = a_books(place)
    books.commit([begun, a_frame(begun)])
    with pytest.raises(PictureMissing):
        images.read(sha256)
    books.commit([a_frame(begun, sha256=sha256)])
    assert images.read(sha256) == JPEG
    assert live.of_lane(begun.lane).frame.jpeg == JPEG


def test_a_record_is_kept_though_its_picture_cannot_be(place, tmp_path):
    store, _, live = place
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder of pictures should be")
    books = a_books((store, ImageStore(blocked), live))
    begun = an_inspection_begun()
    sha256 = hashlib.sha256(JPEG).hexdigest()
    picture = PictureRef(sha256=sha256, camera="c", sequence=0, width_px=10, height_px=10)
    books.commit([begun, a_frame(begun, sha256=sha256), an_inspection(id=begun.id, pictures=(picture,))])
    assert store.inspection(begun.id).pictures == (picture,)


def test_the_first_inspection_on_record_is_told_once(place):
    told = []
    books = a_books(place, first=told.append)
    first = an_inspection()
    books.commit([LaneState(lane="strip", camera="c", driver="drawn_strip", condition="running", at=NOW)])
    books.commit([first])
    books.commit([an_inspection()])
    assert told == [FirstOnRecord(unit=first.unit, verdict=first.verdict)]


def test_a_service_that_is_started_again_shows_at_once_how_its_lanes_stand(place):
    _, _, live = place
    ref = RecipeRef(name="strip-demo-exposed", revision=1, sha256="0" * 64)
    standing = (
        LaneState(lane="strip", camera="c", driver="drawn_strip", condition="running", at=NOW),
        RecipeState(lane="strip", recipe=ref.name, ref=ref, condition="in_use", at=NOW),
    )
    a_books(place).greet(Hello({}, {}, standing))
    lane = live.of_lane("strip")
    assert (lane.condition, lane.recipe.recipe) == ("running", "strip-demo-exposed")


class FullDisk(Folder):
    """A disk with room for so many bytes."""

    def __init__(self, folder, room: int) -> None:
        super().__init__(folder)
        self._room = room

    def put(self, sha256: str, content: bytes) -> None:
        if sum(self.sizes().values()) + len(content) > self._room:
            raise DiskFull("full", action="")
        super().put(sha256, content)


def a_picture_of(begun: InspectionBegun, number: int) -> tuple[FrameSeen, PictureRef]:
    jpeg = JPEG + bytes([number])
    sha256 = hashlib.sha256(jpeg).hexdigest()
    picture = PictureRef(sha256=sha256, camera="c", sequence=0, width_px=10, height_px=10)
    return replace(a_frame(begun, sha256=sha256), jpeg=jpeg), picture


def a_seen(begun: InspectionBegun, picture: PictureRef, **given) -> Inspection:
    return an_inspection(id=begun.id, unit=begun.unit, frames_inspected=1, pictures=(picture,), **given)


@pytest.mark.parametrize(("verdict", "is_kept"), [(Verdict.ACCEPT, True), (Verdict.REJECT, False)])
def test_on_a_full_disk_a_new_picture_takes_the_place_of_an_accepted_one_and_of_no_other(
    place, tmp_path, verdict, is_kept
):
    store, _, live = place
    images = ImageStore(FullDisk(tmp_path / "small", 2 * len(JPEG)))
    books = a_books((store, images, live))
    names = []
    for number in range(2):
        begun = an_inspection_begun(unit=a_unit(f"86.1/{number}"))
        frame, picture = a_picture_of(begun, number)
        names.append(picture.sha256)
        books.commit([begun, frame, a_seen(begun, picture, verdict=verdict)])
    assert images.sizes().keys() == {names[1] if is_kept else names[0]}
    (missing,) = set(names) - images.sizes().keys()
    assert (given_up(store, missing) is not None) == is_kept


def test_after_so_many_pictures_the_oldest_accepted_ones_go_and_none_of_a_unit_in_hand(place):
    _, images, _ = place
    size = len(JPEG) + 1
    books = a_books(place, max_bytes=(PRUNE_EVERY - 1) * size)
    units = [an_inspection_begun(unit=a_unit(f"86.1/{number}")) for number in range(PRUNE_EVERY)]
    batch, names = [], []
    for number, begun in enumerate(units):
        frame, picture = a_picture_of(begun, number)
        names.append(picture.sha256)
        done = a_seen(begun, picture, finished_at=NOW + timedelta(minutes=number))
        # The last one stays in view.
        batch += [begun, frame, done] if begun is not units[-1] else [begun, frame]
    books.commit(batch)
    kept = int(LOWERED_TO * (PRUNE_EVERY - 1))
    assert images.sizes().keys() == set(names[-kept:])


def test_while_the_bucket_is_away_records_are_complete_and_no_rule_gives_anything_up(place, tmp_path):
    store, _, live = place
    bucket = FakeBucket(tmp_path / "bucket")
    images = ImageStore(Spooled(bucket, Folder(tmp_path / "spool")))
    books = a_books((store, images, live), max_bytes=len(JPEG))
    bucket.refuses = UNREACHABLE
    units = [an_inspection_begun(unit=a_unit(f"86.1/{number}")) for number in range(PRUNE_EVERY)]
    batch, names = [], []
    for number, begun in enumerate(units):
        frame, picture = a_picture_of(begun, number)
        names.append(picture.sha256)
        batch += [begun, frame, a_seen(begun, picture)]
    books.commit(batch)
    assert [store.inspections_of(begun.unit)[0].pictures[0].sha256 for begun in units] == names
    assert all(hashlib.sha256(images.read(name)).hexdigest() == name for name in names)
    bucket.refuses = None
    assert images.send_on().pictures == PRUNE_EVERY
    assert bucket.sizes().keys() == set(names)
