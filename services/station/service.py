"""The service process: takes the engine's results, keeps the books, serves the pages."""

from __future__ import annotations

import gc
import logging
import secrets
import threading
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import uvicorn

from inspection.errors import InspectionError
from models.store import ModelStore
from services.alarms import AlarmJournal
from services.api.pictures import rules_of
from services.app import create_app
from services.live import LiveState
from services.model_life import ModelLife
from services.oidc import Oidc
from services.station.accounting import Accounting
from services.station.cores import workers_of
from services.station.ending import stop_when_told
from services.station.history import simulate_shifts
from services.station.link import Address, Reception
from services.station.logs import keep_logs
from services.station.place import ENGINE_LOGS, FIRST_RUN_FILE, SPOOL, ServicePlace, unwritable
from services.station.recipes import LaneRecipes, Wishes
from services.station.records import Records
from services.station.tls import tls_files
from services.webhooks import Target, Webhooks
from station_config import StationSettings, load_catalogue
from traceability.accounts import Accounts
from traceability.errors import SpcError
from traceability.images import ImageStore
from traceability.merkle import Sealer
from traceability.standing_studies import StandingStudy, make_if_due, standing
from traceability.store import TraceStore

logger = logging.getLogger(__name__)

GRACE_S: Final = 2

AUDIT_EVERY_S: Final = 10.0
"""So often the records of the shift are compared with what was handed over."""

LOOK_EVERY_S: Final = 1.0
"""So often it is asked whether the engine is here."""

WATCH_EVERY_S: Final = 30.0
"""So often what a promoted model does is compared with what the one before did."""

STUDY_EVERY_S: Final = 30.0
"""So often the new runs of golden parts are counted."""

SEND_EVERY_S: Final = 10.0
"""So often a bucket that was away is tried again."""

SEAL_EVERY_S: Final = 600.0
"""What was recorded since the last head can be taken back without a trace: so long at most."""


def run_service(station: StationSettings, address: Address, place: ServicePlace, parent: Connection) -> None:
    """Main of the process. Tells `parent` "ready", then FirstOnRecord; or the InspectionError that ends it."""
    stop = stop_when_told()
    keep_logs(place.folder, "service")
    with ExitStack() as held:
        try:
            store = held.enter_context(TraceStore.open(place.database))
            images = ImageStore.open(place.pictures, spool=place.folder / SPOOL)
            sealer = Sealer(place.ledger)
            live = LiveState()
            lanes = [lane.name for lane in station.lanes]
            journal = AlarmJournal(store, live.board, station=station.name, lanes=lanes)
            wishes = Wishes()
            accounting = Accounting(store, station.name, lanes=lanes, alarmed=live.alarms)
            webhooks = Webhooks(store, [Target.of(one) for one in station.webhooks], station=station.name)
            certificate, key = (None, None) if place.tls is None else tls_files(place.tls)
            app = create_app(
                first_run_code=_first_run_code(store, place.folder),
                store=store,
                images=images,
                live=live,
                accounting=accounting,
                recipes=LaneRecipes(station.lanes, ask=wishes.ask),
                wishes=wishes,
                catalogue=load_catalogue(),
                station=station.name,
                default_language=place.language,
                lane_titles={lane.name: lane.title for lane in station.lanes},
                coil_lanes=frozenset(lane.name for lane in station.lanes if lane.unit.kind == "coil"),
                sealer=sealer,
                resolver=station.resolver,
                retention=rules_of(station),
                lane_workers={lane.name: workers_of(station, lane) for lane in station.lanes},
                folder=place.folder,
                oidc=None if station.oidc is None else Oidc(station.oidc),
                training_python=None if station.training is None else station.training.python,
            )
            app.state.trainings.say_interrupted(at=datetime.now(UTC))
            held.callback(app.state.trainings.close)
        except InspectionError as error:
            parent.send(error)
            return
        records = Records(
            store=store,
            images=images,
            live=live,
            accounting=accounting,
            wishes=wishes,
            retention=rules_of(station),
            first=parent.send,
            engine_logs=place.folder / ENGINE_LOGS / station.name,
        )
        held.enter_context(
            Reception(
                address,
                greet=records.greet,
                commit=records.commit,
                stands=records.stands,
                gone=records.gone,
                wishes=wishes.to_tell,
            )
        )
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                host=place.host,
                port=place.port,
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=GRACE_S,
                ssl_certfile=certificate,
                ssl_keyfile=key,
            )
        )
        # Not on this thread: there, uvicorn would take Ctrl-C for itself and end before the engine's last records.
        serving = threading.Thread(target=server.run, name="pages")
        serving.start()
        threading.Thread(target=keep_auditing, args=(accounting, stop), name="audit", daemon=True).start()
        threading.Thread(
            target=keep_looking_for_engine, args=(accounting, stop), name="engine", daemon=True
        ).start()
        threading.Thread(target=journal.keep_noting, args=(stop,), name="alarms", daemon=True).start()
        threading.Thread(target=webhooks.keep_telling, args=(stop,), name="webhooks", daemon=True).start()
        threading.Thread(
            target=keep_sending, args=(images, live.metrics.waiting, stop), name="spool", daemon=True
        ).start()
        life = ModelLife(store, ModelStore.of_plant())
        threading.Thread(target=keep_watching, args=(life, stop), name="models", daemon=True).start()
        threading.Thread(
            target=keep_studying, args=(store, station.name, stop), name="studies", daemon=True
        ).start()
        if place.seed_history is not None:
            threading.Thread(
                target=_seed, args=(store, images, station, place.seed_history), name="history", daemon=True
            ).start()
        while not server.started and serving.is_alive():
            stop.wait(0.05)
        # What is loaded by now stays for good; without this the collector walks all of it while a family of 20 000
        # units is read.
        gc.collect()
        gc.freeze()
        parent.send("ready")
        sealing = threading.Thread(target=keep_sealing, args=(store, sealer, stop), name="ledger")
        sealing.start()
        while serving.is_alive() and not stop.wait(0.5):
            pass
        # Event streams end now, not when the grace is over.
        live.close()
        server.should_exit = True
        serving.join()
        stop.set()
        sealing.join()


def _keep_at(act: Callable[[], None], stop: threading.Event, *, every_s: float, failed: str) -> None:
    """Do it now and every so often, until `stop` is set. A mistake of ours, too, costs one time: a thread that ended
    would leave undone for good, and unseen, what it is there for. failed: what is logged of it"""
    while not stop.is_set():
        try:
            act()
        except Exception:
            logger.exception("%s; again in %g s", failed, every_s)
        stop.wait(every_s)


def keep_auditing(accounting: Accounting, stop: threading.Event, *, every_s: float = AUDIT_EVERY_S) -> None:
    """Compare the records with what was handed over, until `stop` is set."""
    _keep_at(accounting.audit, stop, every_s=every_s, failed="The records could not be audited")


def keep_looking_for_engine(accounting: Accounting, stop: threading.Event) -> None:
    """Raise and clear the alarm of an engine that is away, also while no database answers."""
    failed = "It was not seen whether the engine is here"
    _keep_at(accounting.look_for_engine, stop, every_s=LOOK_EVERY_S, failed=failed)


def keep_sending(images: ImageStore, told: Callable[[int], None], stop: threading.Event) -> None:
    """Bring pictures to their bucket that waited here while it was away."""
    is_away = False

    def send() -> None:
        nonlocal is_away
        told(len(images.waiting()))
        try:
            sent = images.send_on()
            if sent.pictures:
                logger.info("%d pictures that waited here are in their bucket", sent.pictures)
            for sha256 in sent.spoilt:
                logger.error("Picture %s was spoilt while it waited for its bucket; it is gone", sha256)
            is_away = False
        except InspectionError as error:
            # Once, not every ten seconds for as long as it lasts.
            if not is_away:
                logger.error("Pictures wait here: %s %s", error.code, error)
            is_away = True
        told(len(images.waiting()))

    _keep_at(send, stop, every_s=SEND_EVERY_S, failed="Pictures that wait here could not be sent on")


def keep_watching(life: ModelLife, stop: threading.Event, *, every_s: float = WATCH_EVERY_S) -> None:
    """Take a promoted model back that does otherwise than the one before."""

    def watch() -> None:
        for name in life.promoted():
            for drift in life.watch(name, at=datetime.now(UTC)):
                logger.warning("The model %s was taken back: %s", name, drift)

    _keep_at(watch, stop, every_s=every_s, failed="The promoted models could not be watched")


def keep_studying(
    store: TraceStore, station: str, stop: threading.Event, *, every_s: float = STUDY_EVERY_S
) -> None:
    """Make the studies of golden parts that are due; the page of studies says why one that is due cannot be made."""
    refused: dict[str, str] = {}

    def study() -> None:
        for one in standing(store, station=station):
            _study(store, one, refused)

    _keep_at(study, stop, every_s=every_s, failed="Studies of golden parts could not be made")


def _study(store: TraceStore, due: StandingStudy, refused: dict[str, str]) -> None:
    try:
        made = make_if_due(store, due, at=datetime.now(UTC))
    except SpcError as error:
        # Once, not every half minute until somebody shows the part again.
        if refused.get(due.name) != str(error):
            logger.warning("The study %s is due, and cannot be made: %s", due.name, error)
        refused[due.name] = str(error)
        return
    refused.pop(due.name, None)
    if made is not None:
        logger.info("The study %s was made of %d golden parts", due.name, len(due.parts))


def _first_run_code(store: TraceStore, folder: Path) -> str | None:
    """A code in a file that only who may read the station's disk can read; None where somebody has an account.

    Raises FolderUnwritable, as when the disk is full.
    """
    file = folder / FIRST_RUN_FILE
    code = secrets.token_urlsafe(9) if Accounts(store).none_yet() else None
    try:
        file.unlink(missing_ok=True)
        if code is not None:
            file.touch(mode=0o600, exist_ok=False)
            file.write_text(f"{code}\n", encoding="ascii")
    except OSError as error:
        raise unwritable(folder, error) from error
    return code


def _seed(store: TraceStore, images: ImageStore, station: StationSettings, seed: int) -> None:
    try:
        simulate_shifts(store, images, station, seed=seed)
    except Exception:
        logger.exception("The simulated history could not be stored; the station goes on without it.")


def keep_sealing(
    store: TraceStore, sealer: Sealer, stop: threading.Event, *, every_s: float = SEAL_EVERY_S
) -> None:
    """Sign a head now and then, and once more at the end."""
    is_last = False
    while not is_last:
        is_last = stop.wait(every_s)
        try:
            with store.reading() as connection:
                sealer.seal(connection)
        except InspectionError as error:
            logger.error("The ledger was not sealed: %s %s", error.code, error)
        except Exception:
            # A mistake of ours, too, costs one head: the next one is over all that this one was to be over.
            logger.exception("The ledger was not sealed")
