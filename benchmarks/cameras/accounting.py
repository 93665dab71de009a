"""Every trigger accounted for: our device with every fault on its schedule, through our producer and harvesters.

    make producer
    python -m benchmarks.cameras.accounting [--triggers 10000]

Parts pass a light barrier, and the device writes down what it did with each. Beside that is held what the driver
gave and what its count says is missing: pictures that were lost, and triggers for which none was exposed. Exit status
1 where the two do not agree to the last trigger. As root it runs on a network of its own; else 127.0.0.1 must have no
other GigE Vision device.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

SERIAL = "COUNTED"
ADDRESS = "127.0.0.1"
SIZE_PX = 96
PREPARED = 16
SEED = 5
PACKET_SIZE = 576
"""The smallest: a picture of 96 x 96 px is 18 packets, and libaravis asks again for a quarter of them at most."""

PACKET_TIMEOUT_US, FRAME_RETENTION_US = 100_000, 2_000_000
"""When a packet is asked for again, and how long a picture waits for it: for a machine that is busy with others. At a
load of 13 on two cores, 0.4 s and libaravis' own 20 ms between two requests cost 2 of 155 damaged pictures."""

BUFFERS = 256
"""More than pictures come while one waits for its packets."""

COSTS_NOTHING = ("lost", "corrupt", "late", "doubled", "reordered")
"""With resend on: what is missing is asked for again, what is there twice is one."""

SHARES = {**dict.fromkeys(COSTS_NOTHING, 0.02), "incomplete": 0.02, "size": 0.02, "missed": 0.02, "double": 0.02,
          "long": 0.02, "jump": 0.002, "ptp": 0.002}  # fmt: skip
BREAKS = ("link", "heartbeat", "reboot")
"""What ends or holds up the stream; the device is found again, set again and started again."""

_PATIENCE_S = 60.0
_ENOUGH_ENDS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A frame of the driver's. `start` counts its openings of the camera; `look` is the digest of the pixels.

    block_id  the device's own count of its pictures, which came with this one
    """

    start: int
    sequence: int
    block_id: int
    device_time_ns: int
    look: str


@dataclass(slots=True, kw_only=True)
class Row:
    """Triggers with one fault, and what became of them. A double one has a picture more than triggers.

    holes, missed  counted by the driver: pictures that did not come, and triggers that exposed none
    unconnected    passed between the last frame before the camera was lost and the first one after it
    """

    triggers: int = 0
    pictures_more: int = 0
    whole: int = 0
    holes: int = 0
    missed: int = 0
    unconnected: int = 0

    @property
    def is_balanced(self) -> bool:
        return self.triggers + self.pictures_more == self.whole + self.holes + self.missed + self.unconnected


@dataclass(slots=True, kw_only=True)
class Balance:
    """Rows by fault, "-" for none; `wrong` says each thing that does not agree.

    undamaged_lost  pictures that the device sent well and that did not come: then this computer is too busy to say
                    what asking for packets again saves
    """

    rows: dict[str, Row] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    undamaged_lost: int = 0

    @property
    def total(self) -> Row:
        names = Row.__dataclass_fields__
        return Row(**{name: sum(getattr(row, name) for row in self.rows.values()) for name in names})


def balance(
    truth: Sequence[Mapping[str, Any]],
    given: Sequence[Given],
    *,
    triggers: int,
    looks: Sequence[str],
    ends: int,
) -> Balance:
    """What the device did with so many triggers, the first it knows of and those after it, beside what was given.

    looks  digests of the pictures that the device shows again and again, by the count of the trigger
    ends   how often the driver said that the camera was lost or silent
    """
    found = Balance()
    frames = {(frame.block_id, frame.device_time_ns): frame for frame in given}
    if len(frames) < len(given):
        found.wrong.append(f"{len(given) - len(frames)} frames were given twice")
    lines = _with_starts(truth, frames)
    _check_pixels(found, lines, frames, looks)
    _check_holes(found, lines, given)
    first = truth[0]["trigger"]
    by_trigger: dict[int, list[_Line]] = {}
    for line in lines:
        by_trigger.setdefault(line.told["trigger"], []).append(line)
    broken_by = "-"
    gaps = 0
    for trigger in range(first, first + triggers):
        of_it = by_trigger.get(trigger, [])
        gaps += not of_it
        for line in of_it:
            if line.told["fault"] in BREAKS:
                broken_by = line.told["fault"]
        fault = next((line.told["fault"] for line in of_it if line.told["fault"]), None)
        if fault not in BREAKS and not any(line.is_missed or line.told["sent"] for line in of_it):
            # Whatever else was to happen to it: there was no link to send it on, or no camera.
            fault = broken_by
        row = found.rows.setdefault(fault or "-", Row())
        row.triggers += 1
        row.pictures_more += max(0, len(of_it) - 1)
        for line in of_it:
            row.missed += line.is_hole and line.is_missed
            row.whole += line.is_given
            row.holes += line.is_hole and not line.is_missed
            row.unconnected += line.is_unconnected
        row.unconnected += not of_it
    found.undamaged_lost = sum(
        line.is_hole and line.told.get("sent", False) and line.told["fault"] is None for line in lines
    )
    _check_rows(found, ends)
    return found


@dataclass(slots=True, kw_only=True)
class _Line:
    """A line of the truth, with what the driver made of it: given, a hole between two of a start, or neither.
    `is_missed`: the device exposed nothing."""

    told: Mapping[str, Any]
    is_missed: bool
    is_given: bool
    is_hole: bool = False

    @property
    def is_unconnected(self) -> bool:
        return not (self.is_given or self.is_hole)


def _with_starts(truth: Sequence[Mapping[str, Any]], frames: Mapping[tuple[int, int], Given]) -> list[_Line]:
    """A hole is what was not given between two frames of one opening: only such can be seen in a count."""
    lines = [
        _Line(
            told=told,
            is_missed=bool(told.get("missed")),
            is_given=not told.get("missed") and (told["block_id"], told["timestamp_ns"]) in frames,
        )
        for told in truth
    ]
    since: list[_Line] = []
    last_start = None
    for line in lines:
        if line.is_given:
            start = frames[line.told["block_id"], line.told["timestamp_ns"]].start
            for between in since:
                between.is_hole = start == last_start
            since, last_start = [], start
        else:
            since.append(line)
    return lines


def _check_pixels(
    found: Balance, lines: Sequence[_Line], frames: Mapping[tuple[int, int], Given], looks: Sequence[str]
) -> None:
    known = {(line.told["block_id"], line.told["timestamp_ns"]): line.told for line in lines if line.is_given}
    strange = len(frames.keys() - known.keys())
    if strange:
        found.wrong.append(f"{strange} frames were given that the device never made")
    for key, told in known.items():
        if not told["sent"]:
            found.wrong.append(f"frame {key} was given and never sent")
        # One that was exposed too long is brighter than the picture it shows.
        elif told["fault"] != "long" and frames[key].look != looks[told["trigger"] % len(looks)]:
            found.wrong.append(f"frame {key} is not the picture of part {told['trigger']}")


def _check_holes(found: Balance, lines: Sequence[_Line], given: Sequence[Given]) -> None:
    """What the driver's own count says is missing, which knows nothing of the truth."""
    holes = sum(
        later.sequence - earlier.sequence - 1
        for earlier, later in pairwise(given)
        if earlier.start == later.start
    )
    true = sum(line.is_hole for line in lines)
    if holes != true:
        found.wrong.append(f"the driver counted {holes} lost, and {true} were lost or missed")


def _check_rows(found: Balance, ends: int) -> None:
    for fault, row in found.rows.items():
        if not row.is_balanced:
            found.wrong.append(f"{fault}: {row} does not balance")
        if fault in COSTS_NOTHING and row.holes and not found.undamaged_lost:
            found.wrong.append(f"{fault}: cost {row.holes} frames in spite of resend")
    if found.total.unconnected and not ends:
        found.wrong.append("triggers passed without a camera, and the driver never said so")


def table(found: Balance) -> str:
    columns = ("triggers", "pictures_more", "whole", "holes", "missed", "unconnected")
    titles = (
        "fault",
        "triggers",
        "+ doubled",
        "frames whole",
        "counted lost",
        "counted missed",
        "no camera",
    )
    rows = [*sorted(found.rows.items()), ("total", found.total)]
    text = [[fault, *(str(getattr(row, column)) for column in columns)] for fault, row in rows]
    widths = [max(len(line[at]) for line in [list(titles), *text]) for at in range(len(titles))]
    lines = [titles, ["-" * width for width in widths], *text]
    return "\n".join(
        "| " + " | ".join(
            word.ljust(width) if at == 0 else word.rjust(width)
            for at, (word, width) in enumerate(zip(line, widths, strict=True))
        ) + " |"
        for line in lines
    )  # fmt: skip


# --- the run -------------------------------------------------------------------------------------------


def schedule(triggers: int, *, breaks_each: int) -> str:
    """Every fault: most by their share, and those that break the stream spread evenly over the pictures."""
    at = [
        f"{kind}@{(1 + index) * _pictures(triggers) // (1 + breaks_each * len(BREAKS))}"
        for index, kind in enumerate(BREAKS * breaks_each)
    ]
    return ",".join([*(f"{kind}={share}" for kind, share in SHARES.items()), *at, f"seed={SEED}"])


def _pictures(triggers: int) -> int:
    """Not every trigger makes one; on a busy machine even fewer do, and then it takes more triggers."""
    return triggers * 3 // 4


@contextmanager
def a_device(truth: Path, faults: str, *, frames_per_s: float) -> Iterator[None]:
    """`lynceus camera simulate` in a process of its own: harvesters holds Python while it looks for devices."""
    options = ["--address", ADDRESS, "--serial", SERIAL, "--show", "parts", "--seed", str(SEED),
               "--size", f"{SIZE_PX}x{SIZE_PX}", "--prepared", str(PREPARED), "--frames-per-s", str(frames_per_s),
               "--faults", faults, "--truth", str(truth)]  # fmt: skip
    command = [sys.executable, "-c", "from services.cli import main; main()", "camera", "simulate", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as device:
        try:
            assert device.stdout is not None
            assert SERIAL in device.stdout.readline()
            yield
        finally:
            device.terminate()
            device.wait()


@contextmanager
def _options() -> Iterator[None]:
    """Of our producer, which takes them from the environment."""
    before = dict(os.environ)
    os.environ["LYNCEUS_GENTL_PACKET_SIZE"] = str(PACKET_SIZE)
    os.environ["LYNCEUS_GENTL_PACKET_TIMEOUT_US"] = str(PACKET_TIMEOUT_US)
    os.environ["LYNCEUS_GENTL_FRAME_RETENTION_US"] = str(FRAME_RETENTION_US)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def take(truth: Path, *, triggers: int) -> tuple[list[Given], Counter[str]]:
    """Frames until so many triggers and every fault have passed, and why the camera was lost on the way.

    It is opened again each time, with all that it is set to: a device that restarted has forgotten it.
    """
    from cameras import open_camera
    from cameras.settings import GenicamSettings
    from inspection.errors import InspectionError

    settings = GenicamSettings(
        producer="lynceus",
        serial=SERIAL,
        buffers=BUFFERS,
        silent_after_s=_PATIENCE_S,
        trigger="line",
        trigger_source="Line1",
        chunks=True,
        count_triggers=True,
    )
    given: list[Given] = []
    said: Counter[str] = Counter()
    start = 0
    while True:
        start += 1
        try:
            with open_camera(SERIAL, settings) as camera:
                for frame in camera.frames():
                    assert frame.device_time_ns is not None
                    given.append(
                        Given(
                            start=start,
                            sequence=frame.sequence,
                            block_id=int(frame.chunks["FrameID"]),
                            device_time_ns=frame.device_time_ns,
                            look=hashlib.sha256(frame.pixels.tobytes()).hexdigest(),
                        )
                    )
                    if len(given) % 50 == 0 and _is_done(_lines(truth), given[-1], triggers):
                        return given, said
        except InspectionError as error:
            said[error.code] += 1
            if said.total() > _ENOUGH_ENDS:
                raise
            time.sleep(0.1)


def _is_done(lines: Sequence[Mapping[str, Any]], newest: Given, triggers: int) -> bool:
    at = _place(lines, newest)
    return lines[at].get("exposure", 0) > _pictures(triggers) and _passed(lines, at) >= triggers


def _place(lines: Sequence[Mapping[str, Any]], frame: Given) -> int:
    """Where the truth has a frame; its end, for one that it does not have."""
    places = (at for at, line in enumerate(lines) if line.get("timestamp_ns") == frame.device_time_ns)
    return max(places, default=-1)


def _passed(lines: Sequence[Mapping[str, Any]], at: int) -> int:
    """Triggers from the first to that of a line."""
    return int(lines[at]["trigger"] - lines[0]["trigger"] + 1) if lines else 0


def _lines(truth: Path) -> list[dict[str, Any]]:
    whole, _, _ = truth.read_text().rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]


def run(*, triggers: int, frames_per_s: float, breaks_each: int) -> tuple[Balance, Counter[str]]:
    """The balance of at least so many triggers, and what the driver said when it lost the camera."""
    from inspection.vision.drawing import draw_part
    from tests.gige import a_network_of_its_own, built_producer

    built_producer()
    pictures = [draw_part(SEED, index, size_px=SIZE_PX).pixels for index in range(PREPARED)]
    looks = [hashlib.sha256(pixels.tobytes()).hexdigest() for pixels in pictures]
    with tempfile.TemporaryDirectory() as folder:
        truth = Path(folder) / "truth.jsonl"
        faults = schedule(triggers, breaks_each=breaks_each)
        with _options(), a_network_of_its_own(), a_device(truth, faults, frames_per_s=frames_per_s):
            given, said = take(truth, triggers=triggers)
        lines = _lines(truth)
        found = balance(
            lines, given, triggers=_passed(lines, _place(lines, given[-1])), looks=looks, ends=said.total()
        )
    return found, said


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--triggers", type=int, default=10_000)
    parser.add_argument("--frames-per-s", type=float, default=100.0)
    parser.add_argument("--breaks-each", type=int, default=3, help="how often: " + ", ".join(BREAKS))
    given = parser.parse_args()
    began_s = time.monotonic()
    found, said = run(triggers=given.triggers, frames_per_s=given.frames_per_s, breaks_each=given.breaks_each)
    print(table(found))
    print(f"\nThe driver said: {dict(said)}. {time.monotonic() - began_s:.0f} s.")
    if found.undamaged_lost:
        print(
            f"{found.undamaged_lost} undamaged pictures were lost: this computer was too busy to judge resend."
        )
    for each in found.wrong[:20]:
        print(f"WRONG: {each}")
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
