"""_screening.c; what it asks of its arrays stands there and is checked there."""

from typing import Any

from numpy.typing import NDArray

def cell_statistics(image: NDArray[Any], out: NDArray[Any], way: int = -1, /) -> None: ...
def candidates(
    statistics: NDArray[Any],
    first: NDArray[Any],
    second: NDArray[Any],
    last: NDArray[Any],
    thresholds: NDArray[Any],
    out: NDArray[Any],
    rows: int,
    columns: int,
    kinds: int,
    way: int = -1,
    /,
) -> None: ...
def ways() -> int: ...
