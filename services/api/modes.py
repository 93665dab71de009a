"""How a lane works: it inspects, is worked on, lets units through, or is shown parts that are known to be bad."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from services.access import Caller, Right, RightMissing, check_right, signed_in
from services.api.serving import Here, Live, Serving
from services.api.station import known_lane
from services.live import LaneNow
from services.problems import BypassIncomplete, NoChallenge, problems
from services.station.messages import Mode, ModeWish
from traceability.accounts import note
from traceability.steps import place_of

router = APIRouter(tags=["station"])

LONGEST_BYPASS: Final = timedelta(hours=8)
"""A shift: who comes next decides anew."""

MAY: Final[dict[Mode, tuple[Right, ...]]] = {
    "run": (Right.OPERATE,),
    "setup": (Right.CONFIGURE, Right.BYPASS),
    "bypass": (Right.BYPASS,),
    "challenge": (Right.OPERATE,),
}
"""The rights of which one is needed. Back to inspecting is for everybody at the line."""


class ModeAsked(BaseModel):
    """`reason` and `minutes` are needed for a bypass, which ends by itself."""

    model_config = ConfigDict(extra="forbid")

    mode: Mode
    reason: str = Field(default="", max_length=1000)
    minutes: int | None = Field(default=None, ge=1, le=int(LONGEST_BYPASS.total_seconds() // 60))


class ModeAskedAnswer(BaseModel):
    """What the engine was asked for; `mode` of the lane says when it is so."""

    lane: str
    mode: Mode
    until: datetime | None


@router.post(
    "/lanes/{lane}/mode",
    status_code=HTTPStatus.ACCEPTED,
    responses=problems(
        HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY
    ),
)
def change_mode(
    here: Here, live: Live, caller: Annotated[Caller, Depends(signed_in)], lane: str, asked: ModeAsked
) -> ModeAskedAnswer:
    """Let a lane inspect (`run`), withhold all that it sees while somebody works on it (`setup`), let units through
    that nobody looks at (`bypass`), or show it parts that are known to be bad (`challenge`). Nothing of the last three
    is accepted."""
    wish = ask_mode(here, known_lane(live, lane), asked, caller)
    return ModeAskedAnswer(lane=wish.lane, mode=wish.mode, until=wish.until)


def may_change(caller: Caller | None) -> tuple[Mode, ...]:
    """The modes that somebody may put a lane into."""
    if caller is None:
        return ()
    return tuple(mode for mode, rights in MAY.items() if any(caller.may(right) for right in rights))


def ask_mode(here: Serving, now: LaneNow, asked: ModeAsked, caller: Caller) -> ModeWish:
    """Ask the engine for it, with a line in the audit. Raises RightMissing, BypassIncomplete."""
    try:
        check_right(caller, MAY[asked.mode][0])
    except RightMissing:
        if asked.mode not in may_change(caller):
            raise
    if asked.mode == "challenge" and (now.mode is None or now.mode.proof is None):
        raise NoChallenge(
            f"The lane {now.lane} is not to be challenged.",
            action="Set how often, and with how many parts, in the station's settings (lanes.challenge).",
            lane=now.lane,
        )
    reason = asked.reason.strip()
    is_bypass = asked.mode == "bypass"
    if is_bypass and (not reason or asked.minutes is None):
        raise BypassIncomplete(
            "A bypass has a reason and an end.", action="Say why, and for how many minutes.", lane=now.lane
        )
    at = datetime.now(UTC)
    until = at + timedelta(minutes=asked.minutes) if is_bypass and asked.minutes is not None else None
    wish = ModeWish(lane=now.lane, mode=asked.mode, until=until)
    with here.store.writing() as connection:
        note(
            connection,
            at=at,
            by=caller.person,
            action="lane.mode",
            subject=f"lane:{place_of(here.station, now.lane)}",
            before=None if now.mode is None else {"mode": now.mode.mode},
            after={"mode": wish.mode, "until": None if until is None else until.isoformat()},
            reason=reason or None,
        )
    here.wishes.ask_mode(wish)
    return wish
