import shutil

import numpy as np
import pytest

from inspection.types import Looked, ModelRef
from inspection.vision.boxes import overlaps
from inspection.vision.drawing import StripDrawing
from inspection.vision.screening import Places
from models import ModelStore, open_detector
from models.errors import ModelAltered, ModelMismatch, ModelMissing
from models.screens import open_screen, put_before, screens_in, weights_as_json
from models.store import RELEASED
from tests.models.releases import STRIP

SCREEN = "strip-screen"


def a_copy(into):
    version = screens_in()[SCREEN][-1]
    return shutil.copytree(RELEASED / SCREEN / version, into / SCREEN / version)


def reword(release, before, after):
    card = release / "screen.toml"
    text = card.read_text(encoding="utf-8")
    assert before in text
    card.write_text(text.replace(before, after, 1), encoding="utf-8")


@pytest.fixture(scope="module")
def released():
    return open_screen(SCREEN)


def test_a_screen_is_no_model_that_could_be_asked_for_as_a_detector():
    assert SCREEN not in ModelStore().versions()
    assert STRIP not in screens_in()


def test_the_weights_survive_being_written_and_read(released):
    version = released.card.version
    assert (RELEASED / SCREEN / version / released.card.file).read_bytes() == weights_as_json(released.screen)


def test_a_screen_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(ModelMissing, match=SCREEN):
        open_screen("no-such-screen")
    with pytest.raises(ModelMissing):
        open_screen(SCREEN, version="99.0.0")


def test_altered_weights_are_refused(tmp_path):
    release = a_copy(tmp_path)
    weights = release / "weights.json"
    weights.write_bytes(weights.read_bytes().replace(b"1", b"2", 1))
    with pytest.raises(ModelAltered):
        open_screen(SCREEN, folder=tmp_path)


def test_a_card_with_a_key_nobody_knows_is_refused(tmp_path):
    reword(a_copy(tmp_path), "made_on", "mode_on")
    with pytest.raises(ModelMismatch, match="mode_on"):
        open_screen(SCREEN, folder=tmp_path)


def test_weights_for_other_statistics_are_refused(tmp_path):
    reword(a_copy(tmp_path), "cell_px = 32", "cell_px = 16")
    with pytest.raises(ModelMismatch, match="other statistics"):
        open_screen(SCREEN, folder=tmp_path)


def test_a_card_under_another_name_is_refused(tmp_path):
    a_copy(tmp_path).parent.rename(tmp_path / "other-screen")
    with pytest.raises(ModelMismatch, match=SCREEN):
        open_screen("other-screen", folder=tmp_path)


def test_a_screen_stands_before_the_network_that_taught_it_and_before_no_other(released):
    teacher = released.card.teacher
    detector = open_detector(teacher.name, version=teacher.version)
    put_before(released, detector, detector.ref, most_tiles=1, quiet_share=0)
    other = ModelRef(name=teacher.name, version="99.0.0", sha256="0" * 64)
    with pytest.raises(ModelMismatch, match="taught by"):
        put_before(released, detector, other, most_tiles=1, quiet_share=0)


def test_without_a_version_a_screen_is_the_newest_that_the_network_taught(tmp_path, released):
    ours, version = a_copy(tmp_path), released.card.version
    newer = shutil.copytree(ours, ours.parent / "99.0.0")
    reword(newer, f'version = "{version}"', 'version = "99.0.0"')
    reword(newer, released.card.teacher.sha256, "0" * 64)
    taught_by = ModelRef(**released.card.teacher.model_dump())
    assert open_screen(SCREEN, folder=tmp_path).card.version == "99.0.0"
    assert open_screen(SCREEN, before=taught_by, folder=tmp_path).card.version == version
    other = ModelRef(name=taught_by.name, version="98.0.0", sha256="1" * 64)
    assert open_screen(SCREEN, before=other, folder=tmp_path).card.version == "99.0.0"


def test_what_the_card_says_was_kept_is_what_was_asked_for(released):
    counted = [released.card.chosen_on[kind] for kind in released.card.kinds]
    assert min(one.kept / one.found for one in counted) >= 0.99
    assert sum(one.kept for one in counted) >= 0.995 * sum(one.found for one in counted)


def test_screened_drawn_strip_has_what_the_network_finds_of_its_defects_at_a_fraction_of_the_tiles(released):
    teacher = released.card.teacher
    detector = open_detector(teacher.name, version=teacher.version)
    watched = put_before(released, detector, detector.ref, most_tiles=1000, quiet_share=0)
    strip = StripDrawing(921, defects_per_megapixel=4)
    found, looked = 0, Looked()
    for index in range(6):
        drawing = strip.frame(index)
        everywhere, seen = detector.detect(drawing.pixels), watched.detect(drawing.pixels)
        drawn = [(d.box_px.x1, d.box_px.y1, d.box_px.x2, d.box_px.y2) for d in drawing.truth]
        for kind, box in zip(everywhere.kind, everywhere.xyxy, strict=True):
            # What it says of flawless strip, where it errs, nobody misses.
            if overlaps(box[None], np.array(drawn, np.float32).reshape(-1, 4)).max(initial=0) < 0.1:
                continue
            same = seen.xyxy[[other == kind for other in seen.kind]]
            assert overlaps(box[None], same).max(initial=0) > 0.99
            found += 1
        looked += seen.looked
    assert found > 3
    assert looked.sent < 0.5 * looked.tiles


def test_drawn_defects_of_known_contrast_stand_out(released):
    rng = np.random.default_rng(5)
    for grey in (45, 190):
        image = np.clip(rng.normal(115, 5, (400, 800)), 0, 255).astype(np.uint8)
        image[160:220, 400:440] = grey
        candidates = released.screen.candidates(image)
        assert candidates[160 // 32 : 7, 400 // 32 : 14].any()
        tiles = open_detector(released.card.teacher.name).tiles(image.shape)
        over = [
            tile.left < 440 and tile.right > 400 and tile.top < 220 and tile.bottom > 160 for tile in tiles
        ]
        assert Places(tiles, image.shape).showing(candidates)[over].any()
