"""From which size on each sensor's recipe finds drawn defects, and what it finds on flawless surfaces.

    PYTHONPATH=. python benchmarks/sensors/found.py              the tables of docs/sensors.md
    PYTHONPATH=. python benchmarks/sensors/found.py --write DIR  drawn recordings, to be tried with `lynceus inspect`

A defect is found when one of its kind is reported over its middle. Seeds begin at 100 000; none of them was used to
choose the recipes' settings.
"""

from __future__ import annotations

import argparse
import json
import wave
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from inspection.protocols import Sensor
from inspection.types import Detections
from inspection.vision.drawing import DrawnDefect
from inspection.vision.drawn_sensors import (
    SAMPLE_HZ,
    DrawnRaw,
    DrawnShape,
    draw_fringes,
    draw_laser,
    draw_waveform,
    heights_of,
    some_shapes,
)
from inspection.vision.laser_line import LaserLine
from inspection.vision.phase_shift import PhaseShift
from station_config import load_recipe

FIRST_SEED = 100_000
SIZE_HW = (240, 320)
WIDTHS_PX = (4, 6, 8, 12)
OFF_MM = (0.02, 0.03, 0.05, 0.1, 0.3)
LOUDNESS = (0.007, 0.01, 0.014, 0.02, 0.05, 0.2)
SAMPLES = 100_000
HOP = 256

Drawing = Callable[[int, tuple[int, int], Sequence[DrawnShape]], DrawnRaw]
HEIGHTS: dict[str, Drawing] = {"sensor-structured-light": draw_fringes, "sensor-laser-line": draw_laser}


def sensor_of(recipe: str) -> Sensor:
    loaded = load_recipe(recipe)
    settings = loaded.settings
    assert settings.sensor is not None
    return settings.sensor.sensor(settings.surface.surface(), loaded.files)


def is_found(defect: DrawnDefect, found: Detections, *, rows_px: float = 1.0) -> bool:
    box = defect.box_px
    x, y = (box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2 / rows_px
    return any(
        kind == defect.kind and x1 <= x <= x2 and y1 <= y <= y2
        for kind, (x1, y1, x2, y2) in zip(found.kind, found.xyxy.tolist(), strict=True)
    )


def of_heights(recipe: str, draw: Drawing, frames: int) -> None:
    sensor = sensor_of(recipe)
    assert isinstance(sensor, PhaseShift | LaserLine)
    seeds = range(FIRST_SEED, FIRST_SEED + frames)
    flawless = [draw(seed, SIZE_HW, ()) for seed in seeds]
    errors = [
        sensor.heights(one.raw) - heights_of(seed, SIZE_HW, ())
        for seed, one in zip(seeds, flawless, strict=True)
    ]
    false = sum(len(sensor.sense(one.raw).found) for one in flawless)
    print(f"\n{recipe}: {frames} flawless frames of {SIZE_HW[1]} x {SIZE_HW[0]} places: {false} found")
    print(f"height of one place: bias {1000 * np.mean(errors):.2f} µm, noise {1000 * np.std(errors):.2f} µm")
    print("found of drawn        " + "".join(f"{1000 * off:>10.0f} µm" for off in OFF_MM))
    for width in WIDTHS_PX:
        line = ""
        for off in OFF_MM:
            hits = due = 0
            for seed in seeds:
                kinds = [("dent", -off), ("bump", off)]
                drawn = draw(seed, SIZE_HW, some_shapes(seed, SIZE_HW, kinds=kinds, width_px=width, count=6))
                found = sensor.sense(drawn.raw).found
                hits += sum(is_found(one, found) for one in drawn.truth)
                due += len(drawn.truth)
            line += f"{hits:>8d}/{due:<4d}"
        print(f"{width:3d} px = {width / 10:.1f} mm wide  {line}")


def of_waveform(recipe: str, recordings: int) -> None:
    sensor = sensor_of(recipe)
    seeds = range(FIRST_SEED, FIRST_SEED + recordings)
    false = sum(len(sensor.sense(draw_waveform(seed, samples=SAMPLES).raw).found) for seed in seeds)
    print(f"\n{recipe}: {recordings} flawless recordings of {SAMPLES / SAMPLE_HZ:g} s: {false} found")
    print("loudness of the flaw, of full scale (the probe's own noise: 0.01)")
    for loudness in LOUDNESS:
        hits = due = extra = 0
        for seed in seeds:
            flaws = [(3000 + 9000 * number, loudness) for number in range(10)]
            drawn = draw_waveform(seed, samples=SAMPLES, flaws=flaws)
            found = sensor.sense(drawn.raw).found
            own = sum(is_found(one, found, rows_px=HOP) for one in drawn.truth)
            hits, due, extra = hits + own, due + len(flaws), extra + max(0, len(found) - own)
        print(f"{loudness:8.3f}   {hits:4d}/{due:<4d}  not at a flaw: {extra}")


def write(folder: Path) -> None:
    """Recordings of each sensor, every second one flawless, and what is in them."""
    truth: dict[str, list[str]] = {}
    for recipe, draw in HEIGHTS.items():
        place = folder / recipe
        place.mkdir(parents=True, exist_ok=True)
        for seed in range(6):
            kinds = [("dent", -0.08), ("bump", 0.08)]
            shapes = some_shapes(seed, SIZE_HW, kinds=kinds, width_px=8 + seed, count=2) if seed % 2 else ()
            cv2.imwrite(str(place / f"{seed}.png"), draw(seed, SIZE_HW, shapes).raw)
            truth[f"{recipe}/{seed}.png"] = [one.kind for one in shapes]
    place = folder / "sensor-waveform"
    place.mkdir(parents=True, exist_ok=True)
    for seed in range(6):
        flaws = [(20_000, 0.05), (60_000, 0.2)] if seed % 2 else []
        with wave.open(str(place / f"{seed}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(int(SAMPLE_HZ))
            file.writeframes(draw_waveform(seed, samples=SAMPLES, flaws=flaws).raw.tobytes())
        truth[f"sensor-waveform/{seed}.wav"] = ["crack"] * len(flaws)
    (folder / "truth.json").write_text(json.dumps(truth, indent=1), encoding="utf-8")
    print(f"{len(truth)} recordings in {folder}; what is in them: {folder / 'truth.json'}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=10, help="per cell of the tables")
    parser.add_argument("--write", type=Path, metavar="DIR")
    given = parser.parse_args()
    if given.write is not None:
        write(given.write)
        return
    for recipe, draw in HEIGHTS.items():
        of_heights(recipe, draw, given.frames)
    of_waveform("sensor-waveform", given.frames)


if __name__ == "__main__":
    main()
