"""What somebody far away needs to help: how the station stands, its settings and logs, in one file without secrets.

Whatever goes into it passes `without_secrets`: values of keys that sound like one, keys of programs, passwords in
addresses, and whoever asked for it reads it before they send it.
"""

from __future__ import annotations

import io
import json
import os
import platform
import re
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, Final

from models.provider import chosen_provider

TAIL_BYTES: Final = 400_000
"""Of each log so much goes into a bundle."""

GONE: Final = "(removed)"

_SOUNDS_SECRET: Final = re.compile(
    r"(?i)(pass(word|wd|phrase|code)?|secret|token|credential|authorization|cookie"
    r"|session|signature|first[_-]?run|(^|[_-])pin($|[_-])|(^|[_-])key($|[_-]))"
)
_PATTERNS: Final = (
    # Keys of programs, as the account page gives them.
    (re.compile(r"lyn_[A-Za-z0-9_-]+"), GONE),
    # A password in an address: scheme://name:password@host. SQLAlchemy takes whatever stands before the first @ as one,
    # / ? # : and blanks too; what was typed with an @ in it goes up to the last one.
    (re.compile(r"(://[^/:\n]*):[^@\n]*@(?:\S*@)?"), rf"\1:{GONE}@"),
    # One among an address's parameters goes up to the next of them: , and ; stand for themselves there.
    (re.compile(r"(?i)([?&][\w-]*pass\w*=)[^&\s]*"), rf"\1{GONE}"),
    (re.compile(r"(?i)\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]+"), rf"\1 {GONE}"),
    # argon2's hashes, and what a key pair's file holds.
    (re.compile(r"\$argon2[^\s\"']+"), GONE),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S), GONE),
    # name=value, name: value, "name": "value", with a name that sounds like one.
    (
        re.compile(
            r"(?i)([\"']?[\w-]*(?:pass(?:word|wd|phrase|code)?|secret|token|signature"
            r"|(?:api|access|private)[_-]?key|credential|cookie|lynceus_session)[\w-]*[\"']?\s*[=:]\s*)(\"[^\"\n]*\"|'[^'\n]*'|[^\s,;}\]]+)"
        ),
        rf"\1{GONE}",
    ),
)

_ADDRESS: Final = re.compile(r"(\s*[\w+.-]+://[^/:]*):.*@", re.S)
"""A value that is an address and nothing else: over line ends, too, what stands before the last @ is no host."""


def tail_of(file: Path, *, bytes_: int = TAIL_BYTES) -> str:
    """The end of a log, from the beginning of a line on, without secrets; empty where it cannot be read."""
    try:
        with file.open("rb") as opened:
            opened.seek(0, os.SEEK_END)
            size = opened.tell()
            opened.seek(max(0, size - bytes_))
            text = opened.read().decode("utf-8", "replace")
    except OSError:
        return ""
    whole = text if size <= bytes_ else text.partition("\n")[2]
    return without_secrets(whole)


def without_secrets(text: str) -> str:
    """The text with whatever looks like a secret taken out. Rather too much than too little."""
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text


def cleaned(value: Any, name: str = "") -> Any:
    """JSON-able values, of which those are removed whose name sounds like a secret, and texts cleaned."""
    if name and _SOUNDS_SECRET.search(name) and not isinstance(value, Mapping | list | tuple | bool):
        return GONE
    if isinstance(value, Mapping):
        return {str(key): cleaned(one, str(key)) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [cleaned(one, name) for one in value]
    if not isinstance(value, str):
        return value
    as_address = _ADDRESS.match(value)
    rest = value if as_address is None else f"{as_address[1]}:{GONE}@{value[as_address.end() :]}"
    return without_secrets(rest)


def this_computer() -> dict[str, Any]:
    """Programs and their versions, the system, where networks run, and the settings of the environment that are
    ours."""
    return {
        "at": datetime.now(UTC).isoformat(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "provider": chosen_provider(),
        "packages": {one.metadata["Name"]: one.version for one in distributions() if one.metadata["Name"]},
        "environment": {name: os.environ[name] for name in sorted(os.environ) if name.startswith("LYNCEUS_")},
    }


def bundle(*, documents: Mapping[str, Any], texts: Mapping[str, str], logs: Sequence[Path], by: str) -> bytes:
    """A zip of JSON documents, texts and the ends of logs, each cleaned.

    by  who asked for it, which stands in it
    """
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        about = {"made_at": datetime.now(UTC).isoformat(), "by": by, "removed": f"secrets stand as {GONE}"}
        for name, document in {"about": about, **documents}.items():
            text = json.dumps(cleaned(document), indent=1, ensure_ascii=False, default=str)
            archive.writestr(f"{name}.json", text)
        for name, text in texts.items():
            archive.writestr(name, without_secrets(text))
        for file in logs:
            archive.writestr(f"logs/{file.name}", tail_of(file))
    return packed.getvalue()
