"""What the camera doctor finds, in words: for the terminal and the page."""

from __future__ import annotations

from cameras.doctor.judging import Finding, Severity
from services.text import catalogue, say


def said(finding: Finding, language: str) -> str:
    """The evidence, in a sentence."""
    if finding.severity is Severity.UNSEEN:
        why = say(f"doctor.why.{finding.facts['why']}", language)
        return say("doctor.unseen", language, name=say(f"doctor.{finding.code}.name", language), why=why)
    return say(
        f"doctor.{finding.code}.{finding.severity.name.lower()}",
        language,
        about=finding.about,
        **finding.facts,
    )


def mend(finding: Finding, language: str) -> str | None:
    """The line to type, or to see to; None where nothing is to be mended."""
    if finding.severity not in (Severity.NOTE, Severity.WRONG):
        return None
    key = f"doctor.{finding.code}.mend"
    return say(key, language, about=finding.about, **finding.facts) if key in catalogue(language) else None
