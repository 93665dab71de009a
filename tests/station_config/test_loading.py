import hashlib
import json
import tomllib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from inspection.types import Tolerance, Zone
from inspection.vision.part import GaugedPart
from station_config import load_catalogue, load_recipe, load_station
from station_config.errors import ConfigEncoding, ConfigInvalid, ConfigMissing, ConfigSyntax
from station_config.loading import HERE
from station_config.schema import StationSettings

RECIPE = """
name = "plate"
revision = 2
product = "plate"
[detector]
model = "strip-surface"
[[limits]]
kind = "scratch"
measure = "length_mm"
reject_from = 5
"""


def written(folder: Path, text: str, name: str = "plate.toml") -> str:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return str(file)


@pytest.mark.parametrize("file", sorted((HERE / "recipes").glob("*.toml")), ids=lambda file: file.stem)
def test_every_recipe_we_ship_is_valid_and_called_as_its_file(file):
    assert load_recipe(file.stem).settings.name == file.stem


@pytest.mark.parametrize("file", sorted((HERE / "stations").glob("*.toml")), ids=lambda file: file.stem)
def test_every_station_we_ship_is_valid_and_its_recipes_are_there(file):
    for lane in load_station(file.stem).lanes:
        load_recipe(lane.recipe)


def test_the_catalogue_names_every_kind_in_both_languages():
    for kind in load_catalogue().values():
        assert kind.name("en") != kind.name("zh")


def test_a_recipes_digest_changes_with_one_character_of_it(tmp_path):
    first = load_recipe(written(tmp_path, RECIPE))
    second = load_recipe(written(tmp_path, RECIPE + "# a remark"))
    assert first.ref.sha256 != second.ref.sha256
    assert first.settings == second.settings


def test_an_unknown_key_is_refused_with_the_key_it_may_have_meant(tmp_path):
    with pytest.raises(ConfigInvalid) as refusal:
        load_recipe(written(tmp_path, RECIPE.replace("reject_from", "reject_form")))
    assert "did you mean 'reject_from'?" in str(refusal.value.facts["mistakes"])


def test_all_mistakes_are_said_at_once(tmp_path):
    text = RECIPE.replace("revision = 2", "revision = 0").replace('kind = "scratch"\n', "")
    with pytest.raises(ConfigInvalid) as refusal:
        load_recipe(written(tmp_path, text))
    assert refusal.value.facts["count"] == 2


@pytest.mark.parametrize(
    ("table", "wrong"),
    [
        ("[part]\nmin_share = 0.8\nmax_share = 0.2", "min_share = 0.8: above max_share = 0.2"),
        ("[health]\nmin_mean = 200\nmax_mean = 50", "min_mean 200 is above max_mean 50"),
    ],
)
def test_a_range_that_nothing_lies_in_is_refused(tmp_path, table, wrong):
    with pytest.raises(ConfigInvalid, match=wrong):
        load_recipe(written(tmp_path, f"{RECIPE}{table}\n"))


def test_a_limit_for_a_kind_nobody_knows_is_refused(tmp_path):
    with pytest.raises(ConfigInvalid, match="scrach"):
        load_recipe(written(tmp_path, RECIPE.replace('"scratch"', '"scrach"')))


def test_a_limit_that_limits_nothing_is_refused(tmp_path):
    with pytest.raises(ConfigInvalid, match="review_from"):
        load_recipe(written(tmp_path, RECIPE.replace("reject_from = 5", "")))


def test_a_recipe_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(ConfigMissing, match="strip-surface"):
        load_recipe("no-such-recipe")


def test_a_name_is_never_a_path():
    with pytest.raises(ConfigMissing):
        load_recipe("../recipes/strip-surface")


def test_what_is_no_toml_is_refused_with_the_line(tmp_path):
    with pytest.raises(ConfigSyntax, match="line 2"):
        load_recipe(written(tmp_path, "\nname = strip"))


def test_a_mark_with_which_windows_begins_utf_8_is_no_mistake(tmp_path):
    file = tmp_path / "plate.toml"
    file.write_bytes(b"\xef\xbb\xbf" + RECIPE.encode())
    assert load_recipe(str(file)).settings.name == "plate"


@pytest.mark.parametrize(("encoding", "line"), [("utf-16", 1), ("gbk", 4)])
def test_a_file_in_another_encoding_is_refused_with_how_to_save_it(tmp_path, encoding, line):
    file = tmp_path / "plate.toml"
    file.write_bytes(RECIPE.replace('product = "plate"', 'product = "钢板"').encode(encoding))
    with pytest.raises(ConfigEncoding, match="not UTF-8") as refusal:
        load_recipe(str(file))
    assert refusal.value.facts["line"] == line
    assert "save it as UTF-8" in refusal.value.action


def test_a_recipe_found_by_its_name_has_to_say_that_name(tmp_path, monkeypatch):
    """The PLC would read that no recipe is in use, and the audit name one that no lane has."""
    monkeypatch.setenv("LYNCEUS_RECIPES", str(tmp_path))
    file = written(tmp_path, RECIPE, "bracket.toml")
    with pytest.raises(ConfigInvalid, match=r"the file is called bracket\.toml"):
        load_recipe("bracket")
    # Who names the file means that file, whatever it is called.
    assert load_recipe(file).settings.name == "plate"


def test_two_lanes_of_one_name_are_refused(tmp_path):
    text = (
        (HERE / "stations" / "demo.toml")
        .read_text(encoding="utf-8")
        .replace('name = "parts"', 'name = "strip"')
    )
    with pytest.raises(ConfigInvalid, match="same name"):
        load_station(written(tmp_path, text))


def test_a_station_names_the_environment_to_train_in_by_its_whole_path(tmp_path):
    text = (HERE / "stations" / "demo.toml").read_text(encoding="utf-8")
    named = f'{text}\n[training]\npython = "/opt/training/bin/python"\n'
    assert load_station(written(tmp_path, named)).training.python == Path("/opt/training/bin/python")
    with pytest.raises(ConfigInvalid, match="does not begin with /"):
        load_station(written(tmp_path, named.replace("/opt", "opt")))


GRADED = (
    RECIPE
    + """
zone = "edge"
[[limits]]
severity = "critical"
measure = "count"
review_from = 1
[severities]
critical = ["inclusion", "crazing"]
[zones.edge]
edge_within = 25
[surface]
x_mm_per_px = 0.5
y_mm_per_px = 0.5
[strip]
edges = true
head_mm = 2000
repeats = { shortest_mm = 500, longest_mm = 2500 }
[[limits]]
kind = "pits"
measure = "repeat_hits"
reject_from = 4
[[grades]]
name = "A"
limits = [{ severity = "critical", measure = "count", below = 1 }]
"""
)


def test_a_limit_may_be_for_a_severity_and_for_a_zone_and_grades_have_limits_of_their_own(tmp_path):
    settings = load_recipe(written(tmp_path, GRADED)).settings
    at_edge, critical, repeated = settings.judged_by()
    assert (at_edge.kinds, at_edge.reject_from) == (frozenset({"scratch"}), 5)
    assert at_edge.zone == Zone(name="edge", edge_within_mm=25)
    assert (repeated.measure, repeated.is_general) == ("repeat_hits", False)
    assert critical.kinds == frozenset({"inclusion", "crazing"})
    (grade,) = settings.graded_by()
    assert (grade.name, grade.limits[0].reject_from, grade.limits[0].kinds) == ("A", 1, critical.kinds)


def test_a_recipe_for_strip_says_what_holds_for_its_surface(tmp_path):
    settings = load_recipe(written(tmp_path, GRADED)).settings
    rules = settings.strip.rules(settings.surface.surface())
    assert (rules.head_mm, rules.tail_mm, rules.surface.y_mm_per_px) == (2000, 0, 0.5)
    assert (rules.repeats.shortest_mm, rules.repeats.along_mm) == (500, 5)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("[zones.edge]", "[zones.rim]"),
        ("critical = [", "major = ["),
        ('"crazing"', '"crasing"'),
        ("edge_within = 25", "x = [0, 100]"),
        ("edge_within = 25", "x = [9, 5]\ny = [0, 1]"),
        ('severity = "critical"\nmeasure', "measure"),
        ("review_from = 1", "review_from = inf"),
        ("review_from = 1", "review_from = nan"),
        ("below = 1", "below = 0"),
        ("edges = true", "edges = false"),
        ("x_mm_per_px = 0.5", ""),
        ("repeats = {", "# {"),
        ("shortest_mm = 500", "shortest_mm = 3000"),
        ("shortest_mm = 500", "shortest_mm = 49"),
        ('measure = "repeat_hits"', 'measure = "repeat_hits"\nzone = "edge"'),
    ],
)
def test_what_does_not_fit_together_in_a_recipe_is_refused(tmp_path, wrong, right):
    assert wrong in GRADED
    with pytest.raises(ConfigInvalid):
        load_recipe(written(tmp_path, GRADED.replace(wrong, right)))


def test_strip_is_not_seen_by_a_sensor_whose_rows_are_not_those_of_its_picture(tmp_path):
    """Placed by them, the frames of a coil would lie where they do not, and its defects in the head."""
    sensor = (HERE / "recipes" / "sensor-waveform.toml").read_text("utf-8")
    load_recipe(written(tmp_path, sensor))
    with pytest.raises(ConfigInvalid, match=r"there is a \[sensor\]"):
        load_recipe(written(tmp_path, sensor + "\n[strip]\nhead_mm = 2000\n"))


def test_a_recipe_that_refuses_nothing_is_refused(tmp_path):
    without = RECIPE[: RECIPE.index("[[limits]]")]
    for limits in ("", "limits = []\n"):
        with pytest.raises(ConfigInvalid, match="limits"):
            load_recipe(written(tmp_path, limits + without))


MEASURED = (
    RECIPE
    + """
[surface]
x_mm_per_px = 0.5
y_mm_per_px = 0.5
[part]
min_share = 0.1
max_share = 0.9
scale_uncertainty = 0.001
[part.gauges.rim]
shape = "circle"
radius_mm = 40
reach_mm = 2
[part.gauges.side]
shape = "line"
start_mm = [-5, 40]
end_mm = [5, 40]
reach_mm = 2
[[part.measurements]]
name = "diameter"
kind = "diameter"
of = ["rim"]
lower = 79
upper = 81
[[part.measurements]]
name = "side"
kind = "distance"
of = ["rim", "side"]
"""
)


def test_a_recipe_says_what_is_measured_on_a_part_and_between_which_values_it_must_lie(tmp_path):
    settings = load_recipe(written(tmp_path, MEASURED)).settings
    part = settings.part.part({})
    assert isinstance(part, GaugedPart)
    assert [one.name for one in part.quantities] == ["diameter", "side"]
    assert part.tolerances == (Tolerance(name="diameter", lower=79, upper=81),)
    assert part.gauges["rim"].radius_mm == 40


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ('of = ["rim"]', 'of = ["bore"]'),
        ('of = ["rim"]', 'of = ["side"]'),
        ('of = ["rim"]', 'of = ["rim", "side"]'),
        ('of = ["rim", "side"]', 'of = ["rim", "rim", "side"]'),
        ('kind = "distance"', 'kind = "angle"'),
        ('name = "side"', 'name = "diameter"'),
        ("scale_uncertainty = 0.001", ""),
        ("y_mm_per_px = 0.5", ""),
        ("lower = 79", "lower = 82"),
        ("reach_mm = 2", "reach_mm = 0"),
        ("end_mm = [5, 40]", "end_mm = [-5, 40]"),
        ("radius_mm = 40", "radius_mm = 40\nto_deg = 10"),
        (
            'of = ["rim", "side"]',
            'of = ["rim", "rim"]\n[[part.measurements]]\nname = "x"\nkind = "distance"\nof = ["rim", "side"]',
        ),
    ],
)
def test_a_measurement_that_cannot_be_made_is_refused_when_the_recipe_is_read(tmp_path, wrong, right):
    assert wrong in MEASURED
    with pytest.raises(ConfigInvalid):
        load_recipe(written(tmp_path, MEASURED.replace(wrong, right)))


BLANK = np.full((40, 60), 120, np.uint8)


def a_picture_beside(folder: Path, name: str, pixels) -> str:
    """The TOML that names it."""
    data = cv2.imencode(".png", pixels)[1].tobytes()
    (folder / name).write_bytes(data)
    return f'file = "{name}", sha256 = "{hashlib.sha256(data).hexdigest()}"'


def test_a_recipe_may_set_a_flat_field_and_several_detectors(tmp_path):
    blank = a_picture_beside(tmp_path, "blank.png", BLANK)
    golden = a_picture_beside(tmp_path, "golden.png", BLANK)
    text = RECIPE.replace(
        '[detector]\nmodel = "strip-surface"',
        f"flat_field = {{ {blank}, per_column = true }}\n"
        f'[[detectors]]\nmodel = "strip-surface"\n[[detectors]]\ngolden = {{ {golden}, tolerance_px = 3 }}',
    )
    recipe = load_recipe(written(tmp_path, text))
    assert sorted(recipe.files) == ["blank.png", "golden.png"]
    assert len(recipe.settings.all_detectors) == 2


def test_a_flat_field_that_was_changed_since_is_refused(tmp_path):
    blank = a_picture_beside(tmp_path, "blank.png", BLANK)
    text = RECIPE.replace("[detector]", f"flat_field = {{ {blank} }}\n[detector]")
    load_recipe(written(tmp_path, text))
    a_picture_beside(tmp_path, "blank.png", BLANK + 1)
    with pytest.raises(ConfigInvalid, match=r"blank\.png: its SHA-256 is"):
        load_recipe(written(tmp_path, text))
    (tmp_path / "blank.png").unlink()
    with pytest.raises(ConfigInvalid, match="cannot be read beside the recipe"):
        load_recipe(written(tmp_path, text))


@pytest.mark.parametrize("name", ["../blank.png", "/etc/passwd", ".hidden", "a/b.png"])
def test_a_file_beside_the_recipe_is_no_path_to_elsewhere(tmp_path, name):
    wrong = f'flat_field = {{ file = "{name}", sha256 = "{"0" * 64}" }}\n[detector]'
    with pytest.raises(ConfigInvalid, match=r"flat_field\.file"):
        load_recipe(written(tmp_path, RECIPE.replace("[detector]", wrong)))


VIEWS = """
name = "box"
revision = 1
product = "box"
[[views]]
name = "top"
detector = { model = "part-surface" }
roi_px = { x = 0, y = 0, width = 100, height = 100 }
[[views.limits]]
kind = "stain"
measure = "area_mm2"
reject_from = 9
[[views]]
name = "side"
detector = { model = "strip-surface" }
[[limits]]
kind = "scratch"
measure = "length_mm"
reject_from = 5
"""


def test_each_of_several_views_has_detectors_and_limits_of_its_own(tmp_path):
    settings = load_recipe(written(tmp_path, VIEWS)).settings
    assert list(settings.seen_by) == ["top", "side"]
    assert {(limit.view, *limit.kinds) for limit in settings.judged_by()} == {
        (None, "scratch"),
        ("top", "stain"),
    }


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ('[[limits]]\nkind = "scratch"', "[strip]\nedges = true\n[[limits]]"),
        ('name = "side"', 'name = "top"'),
        ('[[views]]\nname = "top"', '[detector]\nmodel = "part-surface"\n[[views]]\nname = "top"'),
        ('detector = { model = "strip-surface" }', ""),
        ('kind = "stain"', 'kind = "stein"'),
    ],
)
def test_views_that_do_not_fit_together_are_refused(tmp_path, wrong, right):
    assert wrong in VIEWS
    with pytest.raises(ConfigInvalid):
        load_recipe(written(tmp_path, VIEWS.replace(wrong, right)))


STATION = """
name = "s"
code_prefix = "86.999.1"
[[lanes]]
name = "parts"
title = { en = "Parts", zh = "零件" }
recipe = "box"
unit = { kind = "part" }
[lanes.cameras.top]
driver = "drawn_parts"
[lanes.cameras.side]
driver = "drawn_parts"
"""


def test_a_unit_is_due_an_exposure_of_each_of_its_cameras(tmp_path):
    (lane,) = load_station(written(tmp_path, STATION)).lanes
    assert (lane.exposures, lane.camera_name, lane.driver) == (2, "top, side", "drawn_parts")


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ('kind = "part"', 'kind = "coil"'),
        ('[lanes.cameras.side]\ndriver = "drawn_parts"', ""),
        ("[lanes.cameras.top]", "[lanes.camera]"),
    ],
)
def test_cameras_that_are_no_views_of_a_part_are_refused(tmp_path, wrong, right):
    assert wrong in STATION
    with pytest.raises(ConfigInvalid):
        load_station(written(tmp_path, STATION.replace(wrong, right)))


def on_links(links, *cameras):
    """A station with these links, and a lane for each camera."""
    lanes = (
        f"""
[[lanes]]
name = "lane{number}"
title = {{ en = "Lane", zh = "线" }}
recipe = "strip-demo"
unit = {{ kind = "coil", frames = 4 }}
camera = {{ driver = "gige", serial = "S{number}", {camera} }}
"""
        for number, camera in enumerate(cameras)
    )
    return 'name = "s1"\ncode_prefix = "88.167.1"\n' + links + "".join(lanes)


LINK = "links.port.mb_per_s = 110\n"


def limits_of(station):
    return [camera.link_mb_per_s for lane in station.lanes for camera in lane.all_cameras]


def test_cameras_of_one_link_share_what_it_carries(tmp_path):
    text = on_links(LINK, 'link = "port"', 'link = "port"', "buffers = 16")
    assert limits_of(load_station(written(tmp_path, text))) == [55, 55, None]


def test_what_a_camera_has_for_itself_is_not_there_for_the_others_of_its_link(tmp_path):
    text = on_links(LINK, 'link = "port", link_mb_per_s = 80', 'link = "port"', 'link = "port"')
    assert limits_of(load_station(written(tmp_path, text))) == [80, 15, 15]


@given(st.integers(1, 12_500), st.lists(st.none() | st.integers(1, 3000), min_size=1, max_size=8))
def test_no_link_is_given_more_than_it_carries_and_shares_are_valid_when_read_again(mb_per_s, limits):
    cameras = ('link = "port"' + ("" if limit is None else f", link_mb_per_s = {limit}") for limit in limits)
    text = on_links(f"links.port.mb_per_s = {mb_per_s}\n", *cameras)
    try:
        station = StationSettings.model_validate(tomllib.loads(text)).with_shared_links()
    except ValidationError:
        taken = sum(limit or 0 for limit in limits)
        assert taken > mb_per_s or (mb_per_s - taken) / limits.count(None) < 1
        return
    assert sum(limits_of(station)) <= mb_per_s * (1 + 1e-9)
    assert all(limit >= 1 for limit in limits_of(station))
    assert StationSettings.model_validate(station.model_dump()) == station


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (on_links("", 'link = "port"'), "no \\[links.port\\]; there are: none"),
        (
            on_links(LINK, *['link = "port", link_mb_per_s = 60'] * 2),
            "carries 110 MB/s; its cameras may send 120",
        ),
        (
            on_links(LINK, 'link = "port", link_mb_per_s = 109.5', 'link = "port"'),
            "leaves 0.5 for each camera",
        ),
    ],
)
def test_a_link_that_cannot_carry_its_cameras_is_refused(tmp_path, text, said):
    with pytest.raises(ConfigInvalid, match=said):
        load_station(written(tmp_path, text))


def with_a_line(**overrides):
    line = {"host": "192.168.10.5", "port": 502, "clients": ["192.168.10.20"], "lanes": ["parts", "strip"]}
    said = ", ".join(f"{key} = {json.dumps(value)}" for key, value in (line | overrides).items())
    lanes = [
        f'[[lanes]]\nname = "{name}"\ntitle = {{ en = "a", zh = "a" }}\nrecipe = "part-demo"\n'
        'unit = { kind = "part" }\ncamera = { driver = "drawn_parts", frames_per_s = 1 }\n'
        for name in ("strip", "parts")
    ]
    return f'name = "s1"\ncode_prefix = "88.167.1"\nline = {{ {said} }}\n' + "".join(lanes)


def test_a_plc_has_the_lanes_in_the_order_of_their_registers(tmp_path):
    file = tmp_path / "s1.toml"
    file.write_text(with_a_line(), encoding="utf-8")
    line = load_station(str(file)).line
    assert line.lanes == ("parts", "strip")
    assert [str(one) for one in line.clients] == ["192.168.10.20"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"lanes": ["parts", "other"]}, "no lane other"),
        ({"lanes": ["parts", "parts"]}, "twice"),
        ({"lanes": []}, "lanes"),
        ({"clients": []}, "clients"),
        ({"clients": ["anybody"]}, "clients"),
        ({"port": 0}, "port"),
        ({"taken_within_s": 0}, "taken_within_s"),
    ],
)
def test_a_line_that_names_no_lane_or_lets_anybody_in_is_refused(tmp_path, wrong, said):
    file = tmp_path / "s1.toml"
    file.write_text(with_a_line(**wrong), encoding="utf-8")
    with pytest.raises(ConfigInvalid, match=said):
        load_station(str(file))
