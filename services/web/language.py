"""Which language a request is answered in: what it asks for, else what was chosen, else what the browser prefers."""

from __future__ import annotations

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from services.text import LANGUAGES

COOKIE = "lynceus_language"
PARAMETER = "lang"
A_YEAR_S = 365 * 24 * 3600


def language_of(connection: HTTPConnection) -> str:
    """One of LANGUAGES. `?lang=` beats the cookie, the cookie beats Accept-Language."""
    for asked in (connection.query_params.get(PARAMETER), connection.cookies.get(COOKIE)):
        if asked in LANGUAGES:
            return asked
    default: str = connection.app.state.serving.default_language
    return _preferred(connection.headers.get("accept-language", "")) or default


def keep_choice(request: Request, response: Response) -> None:
    """A language asked for in the address stays chosen."""
    asked = request.query_params.get(PARAMETER)
    if asked in LANGUAGES:
        response.set_cookie(COOKIE, asked, max_age=A_YEAR_S, samesite="lax", httponly=True)


def _preferred(accept_language: str) -> str | None:
    """The one of ours that the header weighs most; on a tie the one named first."""
    weighed: list[tuple[float, str]] = []
    for entry in accept_language.split(","):
        tag, _, parameter = entry.strip().partition(";")
        language = tag.strip().lower().split("-")[0]
        if language in LANGUAGES:
            weighed.append((_weight(parameter), language))
    best = max(weighed, key=lambda pair: pair[0], default=(0.0, ""))
    return best[1] if best[0] > 0 else None


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
