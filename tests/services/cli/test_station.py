import pytest
from click.testing import CliRunner

from inspection.errors import InspectionError
from models.errors import ProviderMissing
from models.provider import CPU, OPENVINO
from services.cli import status_of
from services.cli.station import make_writable, station
from services.station.place import FolderUnwritable

TWO_CAMERAS = """
name = "two-cameras"
revision = 1
product = "two sides"
[[views]]
name = "top"
surface = { name = "top", x_mm_per_px = 0.25, y_mm_per_px = 0.25, width_px = 400, height_px = 400 }
detector = { model = "part-surface", version = "1.1.0" }
[[views]]
name = "side"
surface = { name = "side", x_mm_per_px = 0.25, y_mm_per_px = 0.25, width_px = 400, height_px = 400 }
detector = { model = "part-surface", version = "1.1.0" }
"""


@pytest.mark.parametrize("provider", [CPU, OPENVINO])
def test_checking_a_station_says_what_each_lane_has_and_where_its_networks_run(monkeypatch, provider):
    monkeypatch.setenv("LYNCEUS_PROVIDER", provider)
    result = CliRunner().invoke(station, ["check", "demo"], standalone_mode=False)
    assert result.exception is None
    strip, parts, last = result.stdout.splitlines()
    assert "strip-demo" in strip
    assert "strip-surface 1.1.0" in strip
    assert "part-demo" in parts
    assert "2" in last
    assert provider in last


def test_a_station_whose_networks_cannot_run_where_its_computer_says_is_refused(monkeypatch):
    monkeypatch.setenv("LYNCEUS_PROVIDER", "CUDA")
    result = CliRunner().invoke(station, ["check", "demo"], standalone_mode=False)
    assert isinstance(result.exception, ProviderMissing)
    assert status_of(result.exception) == 1


def test_a_station_whose_recipe_is_not_there_is_refused_before_it_is_run(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(
        'name = "mine"\ncode_prefix = "86.1"\n[[lanes]]\nname = "a"\ntitle = { en = "A", zh = "A" }\n'
        'recipe = "no-such"\nunit = { kind = "part" }\ncamera = { driver = "drawn_parts", frames_per_s = 1 }\n',
        encoding="utf-8",
    )
    result = CliRunner().invoke(station, ["check", str(file)], standalone_mode=False)
    assert isinstance(result.exception, InspectionError)
    assert result.exception.code == "CFG-MISSING"
    assert status_of(result.exception) == 2


@pytest.mark.parametrize(
    ("other", "code"), [("strip-demo-exposd", "CFG-MISSING"), ("two-cameras", "CFG-INVALID")]
)
def test_a_station_with_a_recipe_that_its_lane_could_not_change_over_to_is_refused_before_it_is_run(
    tmp_path, monkeypatch, other, code
):
    """It is not the one that the lane begins with: nobody would notice before somebody asks for it in mid-shift."""
    recipes = tmp_path / "recipes"
    recipes.mkdir()
    monkeypatch.setenv("LYNCEUS_RECIPES", str(recipes))
    (recipes / "two-cameras.toml").write_text(TWO_CAMERAS, encoding="utf-8")
    file = tmp_path / "mine.toml"
    file.write_text(
        'name = "mine"\ncode_prefix = "86.1"\n[[lanes]]\nname = "a"\ntitle = { en = "A", zh = "A" }\n'
        f'recipe = "part-demo"\nrecipes = [{{ recipe = "{other}", number = 2 }}]\nunit = {{ kind = "part" }}\n'
        'camera = { driver = "drawn_parts", frames_per_s = 1 }\n',
        encoding="utf-8",
    )
    result = CliRunner().invoke(station, ["check", str(file)], standalone_mode=False)
    assert isinstance(result.exception, InspectionError)
    assert (result.exception.code, result.stdout) == (code, "")
    assert other in str(result.exception)


def test_a_folder_that_cannot_be_written_to_is_refused_with_its_name(tmp_path):
    blocked = tmp_path / "var"
    blocked.write_text("a file is in the way", encoding="utf-8")
    with pytest.raises(FolderUnwritable) as refusal:
        make_writable(blocked)
    assert refusal.value.facts["folder"] == str(blocked)
    assert status_of(refusal.value) == 1


def test_a_folder_that_can_be_written_to_is_made_and_left_empty(tmp_path):
    make_writable(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []
