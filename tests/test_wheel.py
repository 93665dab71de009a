"""The package as plants install it: one file, with all that a station needs and nothing that it does not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from sysconfig import get_platform

import pytest

from models.anomaly import BACKBONE
from models.store import RELEASED, ModelStore
from tests.where import REPOSITORY

PACKAGES = ("cameras", "inspection", "models", "services", "station_config", "traceability")
LARGEST_BYTES = 100_000_000
"""What the Python package index takes of one file."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Made from a copy: making it writes beside the sources, which other tests are reading."""
    source, made = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("made")
    for name in PACKAGES:
        shutil.copytree(
            REPOSITORY / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.so", "build")
        )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    building = ["pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", made, source]
    subprocess.run([sys.executable, "-m", *building], check=True, capture_output=True, timeout=170)
    (found,) = made.glob("*.whl")
    return found


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def released(name: str, version: str) -> set[str]:
    return {f"models/released/{name}/{version}/{file}" for file in ("card.toml", "model.onnx")}


def test_the_wheel_says_that_it_is_for_every_python_from_3_11_on_and_a_package_index_takes_it(wheel):
    platform = get_platform().replace("-", "_").replace(".", "_")
    assert wheel.name.endswith(f"-cp311-abi3-{platform}.whl")
    assert wheel.stat().st_size < LARGEST_BYTES


def test_it_has_every_file_of_the_packages_but_older_versions_of_models(wheel):
    told = subprocess.run(
        ["git", "ls-files", *PACKAGES], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    if told.returncode != 0:
        pytest.skip("no repository of git here, which says which files are of the packages")
    tracked = set(told.stdout.split("\n")) - {""}
    missing = {
        name
        for name in tracked - names_in(wheel)
        # Sources of the GenTL producer, which is built where it is used.
        if not name.startswith("cameras/gentl/") and not name.endswith((".c", ".mk"))
    }
    newest = {name: versions[-1] for name, versions in ModelStore(RELEASED).versions().items()}
    left_out = [name.split("/") for name in sorted(missing)]
    assert all(parts[:2] == ["models", "released"] and newest[parts[2]] != parts[3] for parts in left_out), (
        missing
    )


def test_it_has_the_models_that_its_recipes_and_fits_rest_on_and_the_libraries_of_its_pages(wheel):
    names = names_in(wheel)
    rested_on = {BACKBONE}
    recipes = [
        tomllib.loads(file.read_text("utf-8")) for file in (REPOSITORY / "station_config").rglob("*.toml")
    ]
    for detector in (recipe["detector"] for recipe in recipes if "detector" in recipe):
        if detector.get("version", "in_force") != "in_force":
            rested_on.add((detector["model"], detector["version"]))
    assert len(rested_on) > 1
    for model in rested_on:
        assert released(*model) <= names, model
    assert {f"services/web/static/vendor/{file}" for file in ("htmx.min.js", "echarts.esm.min.js")} <= names


def test_from_it_alone_a_station_can_be_run(wheel, tmp_path):
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    for words in (["station", "check", "demo"], ["model", "list"]):
        ran = subprocess.run(
            [sys.executable, "-P", "-c", "from services.cli import main; main()", *words],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(installed), "LYNCEUS_LANGUAGE": "en"},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
