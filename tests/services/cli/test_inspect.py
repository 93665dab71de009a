import io
import json
import os
import struct
import wave
import zlib
from pathlib import Path

import click
import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image as Pillow

from cameras.recording import Recorder
from inspection.errors import InspectionError
from inspection.types import Frame, Verdict
from inspection.vision.drawing import draw_strip_patch
from inspection.vision.drawn_sensors import SAMPLE_HZ, draw_fringes, draw_laser, draw_waveform, some_shapes
from services import files
from services.cli import status_of
from services.cli.inspect import NothingGiven, OutputTaken, inspect
from services.cli.options import OutputUnwritable
from station_config.errors import ConfigInvalid, ConfigMissing
from tests.builders import NOON
from traceability.identifiers import parse
from traceability.store import TraceStore


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder to work in: `var` is made where the command is called."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LYNCEUS_LANGUAGE", "en")
    monkeypatch.delenv("LYNCEUS_DATABASE_URL", raising=False)
    return tmp_path


FLAWLESS = [
    np.clip(np.random.default_rng(seed).normal(120, 5, (200, 200)), 0, 255).astype(np.uint8)
    for seed in (1, 2)
]


@pytest.fixture
def pictures(here):
    folder = here / "pictures"
    folder.mkdir()
    for seed in range(3):
        cv2.imwrite(str(folder / f"{seed}.png"), draw_strip_patch(seed).pixels)
    return folder


def call(*args: object):
    """Run the command; returns what it printed, and raises what it refuses."""
    result = CliRunner().invoke(inspect, [str(arg) for arg in args], standalone_mode=False)
    if result.exception:
        raise result.exception
    return result.return_value, result.stdout


def lines(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_every_picture_of_a_folder_gets_a_verdict_that_is_found_by_its_code(here, pictures):
    status, printed = call(pictures, "--json", here / "out.jsonl")
    assert status == 0
    assert "3 given = 3 inspected + 0 not inspected; unaccounted: 0" in printed
    found = lines(here / "out.jsonl")
    assert [Path(line["image"]).name for line in found] == ["0.png", "1.png", "2.png"]
    with TraceStore.open("sqlite:///var/lynceus.db") as store:
        for line in found:
            (inspection,) = store.inspections_of(parse(line["unit"]))
            assert inspection.verdict.name == line["verdict"]
            assert len(inspection.defects) == len(line["defects"])
            assert inspection.models[0].name == "strip-surface-ensemble"
            assert inspection.pictures[0].sha256 == line["sha256"]


def test_a_json_line_has_the_fields_that_are_promised(here, pictures):
    call(pictures, "--json", here / "out.jsonl")
    for line in lines(here / "out.jsonl"):
        assert list(line) == [
            "image",
            "sha256",
            "unit",
            "verdict",
            "defects",
            "measurements",
            "timings_ms",
            "failure",
            "camera",
            "code_failure",
        ]
        assert list(line["timings_ms"]) == ["correct", "check", "detect", "judge"]


def test_inspecting_the_same_picture_again_adds_a_second_inspection_to_the_same_unit(here, pictures):
    call(pictures / "0.png", "--json", here / "out.jsonl")
    call(pictures / "0.png", "--json", here / "out.jsonl")
    with TraceStore.open("sqlite:///var/lynceus.db") as store:
        assert len(store.inspections_of(parse(lines(here / "out.jsonl")[0]["unit"]))) == 2


def png_that_announces(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0"))
        + chunk(b"IEND", b"")
    )


def tiff_of_16_bits() -> bytes:
    out = io.BytesIO()
    Pillow.fromarray(np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)).save(out, "TIFF")
    return out.getvalue()


def test_bad_pictures_are_not_inspected_each_with_its_reason_and_the_others_are(here, pictures):
    jpeg = cv2.imencode(".jpg", draw_strip_patch(9).pixels)[1].tobytes()
    bad = {
        "cut.jpg": (jpeg[: len(jpeg) // 2], "INS-IMAGE-UNREADABLE"),
        "deep.tiff": (tiff_of_16_bits(), "INS-IMAGE-UNSUITABLE"),
        "one.png": (cv2.imencode(".png", np.zeros((1, 1), np.uint8))[1].tobytes(), "INS-IMAGE-UNSUITABLE"),
        "huge.png": (png_that_announces(40000, 40000), "INS-IMAGE-UNSUITABLE"),
        "text.jpg": (b"hello", "INS-IMAGE-UNREADABLE"),
        "dark.png": (cv2.imencode(".png", np.zeros((64, 64), np.uint8))[1].tobytes(), "INS-IMAGE-DARK"),
    }
    for name, (data, _) in bad.items():
        (pictures / name).write_bytes(data)
    status, printed = call(pictures, pictures / "gone.png", "--json", here / "out.jsonl")
    assert status == 1
    assert "10 given = 3 inspected + 7 not inspected; unaccounted: 0" in printed
    found = {Path(line["image"]).name: line for line in lines(here / "out.jsonl")}
    with TraceStore.open("sqlite:///var/lynceus.db") as store:
        for name, code in [(name, code) for name, (_, code) in bad.items()] + [
            ("gone.png", "SVC-FILE-UNREADABLE")
        ]:
            assert (found[name]["verdict"], found[name]["failure"]) == ("NOT_INSPECTED", code), name
            assert code in printed
            (recorded,) = store.inspections_of(parse(found[name]["unit"]))
            assert recorded.verdict is Verdict.NOT_INSPECTED
            assert recorded.failures == {code: 1}


def test_a_recorded_run_counts_the_exposures_it_has_no_picture_of(here):
    run = here / "run"
    with Recorder(run) as recorder:
        for sequence in (4, 5, 8):
            pixels = draw_strip_patch(sequence).pixels
            recorder.write(Frame(pixels=pixels, camera="top", sequence=sequence, captured_at=NOON))
    status, printed = call(run, "--json", here / "out.jsonl")
    assert status == 1
    assert "5 given = 3 inspected + 2 not inspected; unaccounted: 0" in printed
    lost = [line for line in lines(here / "out.jsonl") if line["failure"] == "CAM-FRAME-LOST"]
    assert [line["image"] for line in lost] == [f"{run}#6", f"{run}#7"]


def test_annotated_copies_are_as_wide_as_the_picture_and_no_pixel_of_it_is_covered(here, pictures):
    call(pictures, "--annotate", here / "marked")
    marked = sorted((here / "marked").iterdir())
    assert [file.name.split("-")[0] for file in marked] == ["0", "1", "2"]
    height, width = draw_strip_patch(0).pixels.shape
    picture = cv2.imread(str(marked[0]))
    assert picture.shape[1] == width
    assert picture.shape[0] > height


def test_without_a_file_the_lines_go_to_standard_output_and_nothing_else_does(pictures):
    arguments = [str(pictures), "--json", "--min-score", "0.001"]
    told = CliRunner().invoke(inspect, arguments, standalone_mode=False)
    assert told.exception is None
    found = [json.loads(line) for line in told.stdout.splitlines()]
    assert len(found) == sum(1 for one in pictures.iterdir() if one.is_file())
    assert "unaccounted" in told.stderr


def test_a_lower_score_reports_at_least_as_much(here, pictures):
    call(pictures, "--json", here / "few.jsonl", "--min-score", "0.9")
    call(pictures, "--json", here / "many.jsonl", "--min-score", "0.05")
    few, many = (sum(len(x["defects"]) for x in lines(here / name)) for name in ("few.jsonl", "many.jsonl"))
    assert few < many


def test_an_empty_folder_is_called_wrongly(here):
    (here / "empty").mkdir()
    with pytest.raises(NothingGiven) as refusal:
        call(here / "empty")
    assert status_of(refusal.value) == 2


def test_an_unknown_recipe_or_a_mistake_in_one_is_called_wrongly_before_anything_is_inspected(here, pictures):
    with pytest.raises(ConfigMissing) as refusal:
        call(pictures, "--recipe", "none")
    assert status_of(refusal.value) == 2
    broken = here / "broken.toml"
    broken.write_text('name = "x"\nrevision = 1\nproduct = "x"\ntreshold = 1\n', encoding="utf-8")
    with pytest.raises(ConfigInvalid):
        call(pictures, "--recipe", broken)
    assert not (here / "var").exists()


def test_a_recipe_whose_model_is_not_there_is_refused(here, pictures):
    recipe = here / "other.toml"
    recipe.write_text(
        'name = "other"\nrevision = 1\nproduct = "x"\n[detector]\nmodel = "no-such-model"\n'
        '[[limits]]\nkind = "scratch"\nmeasure = "score"\nreject_from = 0.5\n',
        encoding="utf-8",
    )
    with pytest.raises(InspectionError) as refusal:
        call(pictures, "--recipe", recipe)
    assert refusal.value.code == "MOD-MISSING"


def test_results_that_cannot_be_written_are_refused(here, pictures):
    with pytest.raises(OutputUnwritable):
        call(pictures, "--json", here / "no" / "such" / "folder.jsonl")


TWO_VIEWS = """
name = "two-views"
revision = 1
product = "bar"
[[views]]
name = "top"
detector = { model = "strip-surface" }
[[views]]
name = "side"
detectors = [{ model = "strip-surface" }, { model = "part-surface" }]
[[limits]]
kind = "scratch"
measure = "score"
reject_from = 0.5
"""


def test_pictures_of_several_views_are_one_unit_and_a_missing_view_withholds_it(here):
    recipe = here / "two-views.toml"
    recipe.write_text(TWO_VIEWS, encoding="utf-8")
    for view, names in (("top", ("1", "2")), ("side", ("1",)), ("bottom", ("1",))):
        folder = here / "parts" / view
        folder.mkdir(parents=True)
        for name in names:
            cv2.imwrite(str(folder / f"{name}.png"), FLAWLESS[view == "top"])
    status, printed = call(here / "parts", "--recipe", recipe, "--json", here / "out.jsonl")
    assert status == 1
    assert "5 given = 2 inspected + 3 not inspected; unaccounted: 0" in printed
    assert "INS-VIEW-MISSING" in printed
    assert "INS-VIEW-UNKNOWN" in printed
    found = {(line["camera"], Path(line["image"]).stem): line for line in lines(here / "out.jsonl")}
    first, second = found["top", "1"], found["top", "2"]
    assert first["unit"] == found["side", "1"]["unit"] != second["unit"]
    assert first["verdict"] == found["side", "1"]["verdict"] != "NOT_INSPECTED"
    assert (second["verdict"], second["failure"]) == ("NOT_INSPECTED", None)
    assert found["side", "2"]["failure"] == "INS-VIEW-MISSING"
    with TraceStore.open("sqlite:///var/lynceus.db") as store:
        recorded = {str(one.unit): one for one in store.latest(simulated=False, limit=10)}
    assert [picture.camera for picture in recorded[first["unit"]].pictures] == ["top", "side"]
    assert recorded[second["unit"]].failures["INS-VIEW-MISSING"] == 1


def a_waveform(
    file: Path, seed: int, flaws: list[tuple[int, float]], *, sample_hz: float = SAMPLE_HZ
) -> None:
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(int(sample_hz))
        out.writeframes(draw_waveform(seed, samples=50_000, flaws=flaws).raw.tobytes())


def test_what_other_sensors_recorded_is_inspected_by_their_recipes(here):
    shapes = some_shapes(4, (120, 160), kinds=[("dent", -0.1)], width_px=12, count=1)
    folder = here / "recorded"
    folder.mkdir()
    for recipe, draw in (("sensor-structured-light", draw_fringes), ("sensor-laser-line", draw_laser)):
        cv2.imwrite(str(folder / "flawless.png"), draw(3, (120, 160)).raw)
        cv2.imwrite(str(folder / "dented.png"), draw(4, (120, 160), shapes).raw)
        call(folder, "--recipe", recipe, "--json", here / "out.jsonl", "--annotate", here / "shown")
        dented, flawless = lines(here / "out.jsonl")
        assert (flawless["verdict"], flawless["defects"]) == ("ACCEPT", [])
        assert [defect["kind"] for defect in dented["defects"]] == ["dent"]
        assert dented["verdict"] == "REJECT"
    with TraceStore.open("sqlite:///var/lynceus.db") as store:
        pictures = {one.pictures[0] for one in store.latest(simulated=False, limit=10)}
    # The map of heights, not the stripes.
    assert {(one.height_px, one.width_px) for one in pictures} == {(120, 160)}


def test_a_waveform_is_inspected_and_what_is_no_such_recording_is_not(here):
    folder = here / "heard"
    folder.mkdir()
    a_waveform(folder / "1.wav", 1, [])
    a_waveform(folder / "2.wav", 2, [(20_000, 0.1)])
    a_waveform(folder / "3.wav", 3, [], sample_hz=SAMPLE_HZ / 2)
    (folder / "4.wav").write_bytes((folder / "1.wav").read_bytes()[:5000])
    cv2.imwrite(str(folder / "5.png"), draw_strip_patch(1).pixels)
    status, printed = call(folder, "--recipe", "sensor-waveform", "--json", here / "out.jsonl")
    assert status == 1
    assert "5 given = 2 inspected + 3 not inspected; unaccounted: 0" in printed
    assert [(line["verdict"], line["failure"]) for line in lines(here / "out.jsonl")] == [
        ("ACCEPT", None),
        ("REJECT", None),
        ("NOT_INSPECTED", "INS-SENSOR-MISFIT"),
        ("NOT_INSPECTED", "INS-IMAGE-UNREADABLE"),
        ("NOT_INSPECTED", "INS-SENSOR-MISFIT"),
    ]


def a_probes_run(folder: Path, **settings: object) -> Path:
    """A flawless frame and one with a burst, as `lynceus camera record` writes them."""
    with Recorder(folder, settings=settings) as recorder:
        for sequence, flaws in enumerate(([], [(20_000, 0.1)])):
            pixels = (
                draw_waveform(1 + sequence, samples=50_000, flaws=flaws).raw.view(np.uint8).reshape(1, -1)
            )
            recorder.write(Frame(pixels=pixels, camera="probe", sequence=sequence, captured_at=NOON))
    return folder


def test_the_frames_of_a_recorded_probe_are_inspected_as_the_lane_inspected_them(here):
    run = a_probes_run(here / "probe", driver="samples", sample_hz=SAMPLE_HZ)
    (run / "00000001.npy.gz").rename(here / "whole.npy.gz")
    status, printed = call(run, "--recipe", "sensor-waveform", "--json", here / "out.jsonl")
    assert [line["failure"] for line in lines(here / "out.jsonl")] == [None, "SVC-FILE-UNREADABLE"]
    (run / "00000001.npy.gz").write_bytes((here / "whole.npy.gz").read_bytes()[:-9])
    call(run, "--recipe", "sensor-waveform", "--json", here / "out.jsonl")
    assert [line["failure"] for line in lines(here / "out.jsonl")] == [None, "INS-IMAGE-UNREADABLE"]
    (here / "whole.npy.gz").rename(run / "00000001.npy.gz")
    status, printed = call(run, "--recipe", "sensor-waveform", "--json", here / "out.jsonl")
    assert status == 0
    assert "2 given = 2 inspected + 0 not inspected; unaccounted: 0" in printed
    assert [line["verdict"] for line in lines(here / "out.jsonl")] == ["ACCEPT", "REJECT"]


@pytest.mark.parametrize(
    ("recipe", "settings"),
    [
        ("sensor-waveform", {"sample_hz": SAMPLE_HZ / 2}),
        ("sensor-waveform", {}),
        ("strip-surface", {"sample_hz": SAMPLE_HZ}),
    ],
)
def test_a_probes_frames_are_inspected_by_no_recipe_of_other_or_unknown_samples(here, recipe, settings):
    run = a_probes_run(here / "probe", **settings)
    status, _ = call(run, "--recipe", recipe, "--json", here / "out.jsonl")
    assert status == 1
    assert {line["failure"] for line in lines(here / "out.jsonl")} == {"INS-SENSOR-MISFIT"}


def test_a_line_scan_recorded_in_few_lines_is_inspected_and_keeps_no_picture(here):
    pixels = draw_strip_patch(3).pixels[:12]
    with Recorder(here / "run") as recorder:
        recorder.write(Frame(pixels=pixels, camera="top", sequence=4, captured_at=NOON))
    call(here / "run", "--json", here / "out.jsonl")
    (line,) = lines(here / "out.jsonl")
    assert line["failure"] is None
    assert line["verdict"] != "NOT_INSPECTED"
    with TraceStore.open("sqlite:///var/lynceus.db") as store:
        (recorded,) = store.latest(simulated=False, limit=1)
    assert (recorded.frames_inspected, recorded.pictures) == (1, ())


def test_a_waveform_given_to_a_recipe_of_a_camera_is_not_inspected(here):
    a_waveform(here / "1.wav", 1, [])
    call(here / "1.wav", "--json", here / "out.jsonl")
    assert lines(here / "out.jsonl")[0]["failure"] == "INS-SENSOR-MISFIT"


@pytest.mark.parametrize("score", ["nan", "NaN", "inf", "-nan"])
def test_a_least_score_that_is_no_number_is_called_wrongly(here, pictures, score):
    with pytest.raises(click.BadParameter) as refusal:
        call(pictures, "--min-score", score)
    assert refusal.value.exit_code == 2
    assert not (here / "var").exists()


@pytest.mark.parametrize("content", [b"", b"GIF89a", b'{"lynceus_run":2}\n', b'{"images": []}'])
def test_results_are_written_over_nothing_that_is_not_results(here, pictures, content):
    meant_as_picture = here / "pictures" / "0.png"
    was = meant_as_picture.read_bytes()
    other = here / "other.txt"
    other.write_bytes(content)
    with pytest.raises(OutputTaken) as refusal:
        call("--json", meant_as_picture, pictures / "1.png")
    assert status_of(refusal.value) == 2
    assert meant_as_picture.read_bytes() == was
    if content:
        with pytest.raises(OutputTaken):
            call("--json", other, pictures / "1.png")
        assert other.read_bytes() == content
    else:
        call("--json", other, pictures / "1.png")
        assert len(lines(other)) == 1


def test_a_picture_that_is_not_there_is_not_taken_for_the_file_of_results(here, pictures):
    with pytest.raises(OutputTaken):
        call("--json", here / "new.png", pictures / "1.png")
    assert not (here / "new.png").exists()


def test_results_are_written_over_those_of_an_earlier_call(here, pictures):
    call(pictures, "--json", here / "out.jsonl")
    call(pictures / "0.png", "--json", here / "out.jsonl")
    assert len(lines(here / "out.jsonl")) == 1


def test_names_that_are_no_utf8_are_inspected_and_come_as_json_escapes(here, pictures):
    for name, data in ((b"0\xff.png", (pictures / "0.png").read_bytes()), (b"1\xfe.png", b"no picture")):
        (pictures / os.fsdecode(name)).write_bytes(data)
    status, printed = call(pictures, "--json", here / "out.jsonl", "--annotate", here / "marked")
    assert status == 1
    assert "5 given = 4 inspected + 1 not inspected; unaccounted: 0" in printed
    assert "\\udcfe" in printed
    names = {os.fsencode(Path(line["image"]).name) for line in lines(here / "out.jsonl")}
    assert {b"0\xff.png", b"1\xfe.png"} < names
    assert "\\udcff" in (here / "out.jsonl").read_text(encoding="utf-8")


def test_a_folder_whose_name_is_no_utf8_is_no_view_and_ends_no_run(here):
    recipe = here / "two-views.toml"
    recipe.write_text(TWO_VIEWS, encoding="utf-8")
    folder = here / os.fsdecode(b"parts/\xff")
    folder.mkdir(parents=True)
    cv2.imwrite(str(here / "1.png"), FLAWLESS[0])
    (here / "1.png").rename(folder / "1.png")
    status, printed = call(here / "parts", "--recipe", recipe)
    assert status == 1
    assert "1 given = 0 inspected + 1 not inspected" in printed


def test_a_picture_too_long_for_a_jpeg_is_drawn_as_png_and_the_others_follow(here, pictures):
    # Too dark to be judged, which is soon said; a PNG cannot be longer than a million px.
    cv2.imwrite(str(pictures / "00.png"), np.zeros((66_000, 64), np.uint8))
    cv2.imwrite(str(pictures / "01.bmp"), np.zeros((1_000_100, 16), np.uint8))
    told = CliRunner().invoke(
        inspect, [str(pictures), "--annotate", str(here / "marked")], standalone_mode=False
    )
    assert told.exception is None
    assert "5 given = 3 inspected + 2 not inspected; unaccounted: 0" in told.stdout
    assert "1 pictures are too long to be drawn; their verdicts stand." in told.stderr
    assert len(list((here / "marked").glob("*.jpg"))) == 3
    (drawn,) = (here / "marked").glob("*.png")
    assert cv2.imread(str(drawn)).shape[1] == 64


def test_a_picture_on_which_the_program_falls_over_is_not_inspected_and_the_others_are(
    here, pictures, monkeypatch, caplog
):
    whole = files.decode_image
    broken = (pictures / "1.png").read_bytes()

    def falls_over(data):
        if data == broken:
            raise ZeroDivisionError("in a decoder")
        return whole(data)

    monkeypatch.setattr(files, "decode_image", falls_over)
    status, printed = call(pictures, "--json", here / "out.jsonl")
    assert status == 1
    assert "3 given = 2 inspected + 1 not inspected; unaccounted: 0" in printed
    assert "1 × INS-PROGRAM-FAILED  the program failed on the frame" in printed
    told = [(Path(one["image"]).name, one["failure"]) for one in lines(here / "out.jsonl")]
    assert told == [("0.png", None), ("1.png", "INS-PROGRAM-FAILED"), ("2.png", None)]
    assert "ZeroDivisionError: in a decoder" in caplog.text


def test_a_copy_of_a_picture_with_the_longest_name_is_named_by_what_fits(here, pictures):
    (pictures / "0.png").rename(pictures / f"{'长' * 83}.png")
    call(pictures, "--annotate", here / "marked")
    assert len(list((here / "marked").iterdir())) == 3


def test_lost_exposures_and_unreadable_folders_are_not_inspected(here, pictures):
    with Recorder(pictures / "run") as recorder:
        recorder.write(Frame(pixels=FLAWLESS[0], camera="top", sequence=1, captured_at=NOON))
        recorder.lost = 2
    (pictures / "gone").symlink_to(here / "nowhere")
    status, printed = call(pictures, "--json", here / "out.jsonl")
    assert status == 1
    assert "7 given = 4 inspected + 3 not inspected; unaccounted: 0" in printed
    assert "CAM-FRAME-LOST" in printed
    assert "SVC-FILE-UNREADABLE" in printed


def test_a_run_that_was_cut_off_is_never_inspected_as_a_whole(here):
    with Recorder(here / "run") as recorder:
        recorder.write(Frame(pixels=FLAWLESS[0], camera="top", sequence=1, captured_at=NOON))
    manifest = here / "run" / "run.jsonl"
    manifest.write_bytes(b"".join(manifest.read_bytes().splitlines(keepends=True)[:2]))
    status, printed = call(here / "run", "--json", here / "out.jsonl")
    assert status == 1
    assert "2 given = 1 inspected + 1 not inspected; unaccounted: 0" in printed
    assert lines(here / "out.jsonl")[1]["failure"] == "CAM-RUN-UNREADABLE"
    assert lines(here / "out.jsonl")[1]["image"] == f"{here / 'run'}#2"
