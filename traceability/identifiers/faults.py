"""What is wrong with a code, and where: the shared words of all schemes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One mistake in a text.

    index     of the first character that cannot be, from 0; the text's length where something is missing at its end
    reason    which rule it breaks, in the words of the GS1 linters where they have one: `incorrect_check_digit`
    expected  what could stand there, in signs that need no translation: `0-9`, `7`, `01–12`, `(01)`
    """

    index: int
    reason: str
    expected: str

    def moved(self, by: int) -> Fault:
        """The same fault in a text that holds the checked one from `by` on."""
        return Fault(index=self.index + by, reason=self.reason, expected=self.expected)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a scheme makes of a text.

    canon   the canonical spelling; nothing to go by while there are faults
    faults  why it is no code of this scheme; every one, in their order
    notes   what a code is that is taken, and should not be so
    parts   what it is made up of, as (name, value): names are keys of texts, or `(21) SERIAL` for GS1
    """

    canon: str
    faults: tuple[Fault, ...] = ()
    notes: tuple[Fault, ...] = ()
    parts: tuple[tuple[str, str], ...] = ()
