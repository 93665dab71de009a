from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator

import pytest

import cameras
import inspection
import models
import services
import station_config
import traceability
from inspection.errors import ImageUnreadable, InspectionError
from services.text import LANGUAGES, catalogue, explain, language_of_environment, merged, placeholders, say


def test_both_languages_have_the_same_texts():
    assert set(catalogue("zh")) == set(catalogue("en"))


def test_a_text_names_the_same_facts_in_both_languages():
    other = catalogue("en")
    differing = [
        key for key, text in catalogue("zh").items() if placeholders(text) != placeholders(other[key])
    ]
    assert differing == []


OTHER_WORDS = {
    "过检": "过杀: a good unit refused",
    "误判": "过杀 or 漏检: which of them",
    "帕累托": "柏拉图",
    "(?<!% )置信度": "置信度 of an interval alone; a detector's is its 得分",
    "复核": "复判: a person decides about a unit",
    "(?<!恢)复检": "抽检: passed parts are audited",
    "缺陷种类": "缺陷类别",
    "缺陷类型": "缺陷类别",
    "单工序直通率": "一次合格率 (FPY); 直通率 is rolled over steps (RTY)",
    "第一类研究": "类型 1 研究",
}
"""What a Chinese text does not say, and what it says instead: one word for one thing."""


def test_chinese_has_one_word_for_one_thing():
    other = [
        (key, word, instead)
        for key, text in catalogue("zh").items()
        for word, instead in OTHER_WORDS.items()
        if re.search(word, text)
    ]
    assert other == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_error_says_what_happened_and_what_to_do(language):
    texts = catalogue(language)
    missing = {
        f"error.{kind.code}.{part}"
        for kind in _errors()
        for part in ("what", "action")
        if f"error.{kind.code}.{part}" not in texts
    }
    assert missing == set()


def test_an_error_code_means_one_thing():
    owner: dict[str, type[InspectionError]] = {}
    for kind in _errors():
        if "code" in vars(kind):
            assert owner.setdefault(kind.code, kind) is kind


def test_facts_are_filled_in():
    assert merged([("a", 'k = "camera {camera}, {timeout_s:g} s"')])["k"].format(
        camera="top", timeout_s=2.0
    ) == ("camera top, 2 s")


def test_nested_tables_and_dotted_keys_are_one_catalogue():
    texts = merged([("a", '"x.y" = "1"\n[x.z]\nw = "2"'), ("b", 'v = "3"')])
    assert dict(texts) == {"x.y": "1", "x.z.w": "2", "v": "3"}


def test_two_fragments_may_not_say_the_same_key():
    with pytest.raises(ValueError, match=r"'x\.y' is in a\.en\.toml and in b\.en\.toml"):
        merged([("a.en.toml", '"x.y" = "1"'), ("b.en.toml", '[x]\ny = "2"')])


def test_only_text_is_text():
    with pytest.raises(ValueError, match="not a string"):
        merged([("a.en.toml", "x = 3")])


def test_an_unknown_text_or_language_is_refused():
    with pytest.raises(KeyError, match="no text 'nothing'"):
        say("nothing", "en")
    with pytest.raises(KeyError, match="language 'fr'"):
        say("verdict.ACCEPT", "fr")


def test_an_error_is_explained_in_the_readers_language():
    error = ImageUnreadable("a.jpg ends early.", action="Copy it again.", bytes=1200, why="cut short")
    assert explain(error, "zh").code == "INS-IMAGE-UNREADABLE"
    assert explain(error, "zh").what != explain(error, "en").what


def test_an_error_without_its_text_is_explained_in_its_own_words():
    class Unwritten(InspectionError):
        code = "SVC-ERROR-WITHOUT-A-TEXT"

    shown = explain(Unwritten("The lamp is out.", action="Change the lamp."), "zh")
    assert (shown.what, shown.action) == ("The lamp is out.", "Change the lamp.")


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        ({"LANG": "de_DE.UTF-8", "LYNCEUS_LANGUAGE": "zh"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LYNCEUS_LANGUAGE": "en"}, "en"),
    ],
)
def test_the_language_is_the_one_asked_for_else_that_of_the_locale(environment, language, monkeypatch):
    for variable in ("LYNCEUS_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    assert language_of_environment() == language


def _errors() -> Iterator[type[InspectionError]]:
    """Every error of ours: all modules are imported first, for a class exists once its module ran."""
    for package in (inspection, cameras, models, station_config, traceability, services):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.startswith(
                ("models.training", "services.cli.__main__", "traceability.migrations")
            ):
                importlib.import_module(module.name)
    waiting = [InspectionError]
    while waiting:
        kind = waiting.pop()
        waiting.extend(kind.__subclasses__())
        if not kind.__module__.startswith("tests"):
            yield kind
