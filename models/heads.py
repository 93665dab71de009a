"""What networks from elsewhere eat and give, made into what ours do.

Ours take RGB, 0..1, and give boxes as the YOLO networks since version 8: (1, 4 + K, N), rows x-centre, y-centre,
width, height in px of the input, then K scores 0..1. A card's `form` says how another network differs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

Answers = Mapping[str, NDArray[np.float32]]
Task = Literal["boxes", "maps", "masks", "classes"]
Positive = Annotated[float, Field(gt=0)]

# Luminance of RGB (ITU-R BT.601), as OpenCV makes grey of colour.
_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)


class NetworkForm(BaseModel):
    """How a network differs from ours. What is left out is as ours.

    head         of boxes: `yolo8` (versions 8, 9, 11, 12: no objectness), `yolo5` (versions 5 and 7: (1, N, 5 + C),
                 score times objectness), `end_to_end` (versions 10 and 26: (1, N, 6) with x1, y1, x2, y2, score,
                 class), `detr` (DETR, RT-DETR, D-FINE: centre and size as shares of the input and C scores, in one
                 answer (1, N, 4 + C) or in two), `detr_deployed` (RT-DETR and D-FINE as their authors export them:
                 labels, boxes, scores, and the picture's size asked for)
    opinions     how many answers about one input a network of head `yolo8` gives, along the first axis: an ensemble in
                 one file (`models/training/ensemble.py`). They are fused, so the card needs `fuse_above`
    scores       what the network's scores still need to be 0..1
    score_range  of maps: the answer that is 0 and the one that is 1; between them in proportion, beyond them cut
    no_defect    numbers of the network's classes that are no defect, such as "good" or DETR's "no object"
    classes      the network's own class names, in its order without those of `no_defect`; a network that names
                 its classes itself must name these
    channels     1: made grey by luminance
    white        what white is in the network's input, before mean and std
    mean, std    subtracted and divided by, in shares of white, one for each channel or one for all
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    head: Literal["yolo8", "yolo5", "end_to_end", "detr", "detr_deployed"] = "yolo8"
    opinions: Annotated[int, Field(ge=1)] = 1
    scores: Literal["as_given", "sigmoid", "softmax"] = "as_given"
    score_range: tuple[float, float] = (0.0, 1.0)
    no_defect: tuple[Annotated[int, Field(ge=0)], ...] = ()
    classes: tuple[str, ...] = ()
    channels: Literal[1, 3] = 3
    colours: Literal["rgb", "bgr"] = "rgb"
    white: Positive = 1.0
    mean: Annotated[tuple[float, ...], Field(min_length=1, max_length=3)] = (0.0,)
    std: Annotated[tuple[Positive, ...], Field(min_length=1, max_length=3)] = (1.0,)

    @model_validator(mode="after")
    def _numbers_fit(self) -> NetworkForm:
        for name in ("mean", "std"):
            if len(getattr(self, name)) not in (1, self.channels):
                raise ValueError(
                    f"{name} has {len(getattr(self, name))} numbers for {self.channels} channels"
                )
        if self.opinions > 1 and self.head != "yolo8":
            raise ValueError(f"{self.opinions} opinions are for the head yolo8, not for {self.head}")
        if self.score_range[0] >= self.score_range[1]:
            raise ValueError(f"score_range goes from {self.score_range[0]:g} to {self.score_range[1]:g}")
        return self

    def prepared(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """The network's input from (1, 3, height, width), RGB, 0..1. Ours is given as it is, not copied."""
        made = images
        if self.channels == 1:
            made = np.einsum("nchw,c->nhw", images, _LUMINANCE)[:, None]
        elif self.colours == "bgr":
            made = images[:, ::-1]
        if (self.mean, self.std, self.white) != ((0.0,), (1.0,), 1.0):
            mean, std = (np.array(one, np.float32).reshape(1, -1, 1, 1) for one in (self.mean, self.std))
            made = (made - mean) * (np.float32(self.white) / std)
        return np.ascontiguousarray(made, np.float32)

    def ours(
        self, answers: Answers, *, task: Task, kinds: int, input_hw: tuple[int, int]
    ) -> tuple[NDArray[np.float32], ...]:
        """The network's answers, by their names in its order, as ours gives them.

        Raises ValueError where they are not of this form for so many kinds.
        """
        given = list(answers.values())
        match task:
            case "masks":
                answer, prototypes = _ranks(given, 3, 4)
                _fits(
                    answer.shape[1] == 4 + kinds + prototypes.shape[1] and len(answer) == len(prototypes) == 1
                )
                return answer, prototypes
            case "maps":
                # Networks for anomalies may give a score and a mask beside their map.
                named = [one for name, one in answers.items() if "map" in name] if len(given) > 1 else given
                _fits(len(named) == 1 and named[0].ndim in (3, 4))
                maps = named[0] if named[0].ndim == 4 else named[0][:, None]
                _fits(len(maps) == 1)
                low, high = self.score_range
                scores = self._defects(maps[0], kinds)
                if (low, high) != (0.0, 1.0):
                    scores = np.clip((scores - np.float32(low)) / np.float32(high - low), 0, 1)
                return (scores[None],)
            case "classes":
                (scores,) = _ranks(given, 2)
                height, width = input_hw
                box = np.array([width / 2, height / 2, width, height], np.float32)
                return (np.concatenate([box, self._defects(scores[0], kinds)])[None, :, None],)
            case "boxes":
                return (self._boxes(answers, kinds, input_hw),)

    def _boxes(self, answers: Answers, kinds: int, input_hw: tuple[int, int]) -> NDArray[np.float32]:
        """(opinions, 4 + K, N)"""
        given = list(answers.values())
        of_input = np.array([input_hw[1], input_hw[0]] * 2, np.float32)[:, None]
        classes = kinds + len(self.no_defect)
        match self.head:
            case "yolo8":
                (rows,) = _ranks(given, 3)
                _fits(rows.shape[:2] == (self.opinions, 4 + classes))
                if self.scores == "as_given" and not self.no_defect:
                    return rows
                return np.stack(
                    [np.concatenate([one[:4], self._defects(one[4:], kinds)]) for one in rows]
                ).astype(np.float32)
            case "yolo5":
                # Beside the decoded boxes, version 5 may give the three grids that they come from.
                found = _ranks(given[:1], 3)[0]
                _fits(found.shape[0] == 1 and found.shape[2] == 5 + classes)
                boxes, scores = found[0, :, :4].T, found[0, :, 4:5].T * found[0, :, 5:].T
            case "end_to_end":
                (found,) = _ranks(given, 3)
                _fits(found.shape[0] == 1 and found.shape[2] == 6)
                boxes = _centred(found[0, :, :4].T)
                scores = _one_row_each(found[0, :, 5], found[0, :, 4], classes)
            case "detr":
                shares, scores = _detr(answers, classes)
                boxes = shares * of_input
            case "detr_deployed":
                _fits({"labels", "boxes", "scores"} == set(answers))
                boxes = _centred(answers["boxes"][0].T)
                scores = _one_row_each(answers["labels"][0], answers["scores"][0], classes)
        return np.concatenate([boxes, self._defects(scores, kinds)]).astype(np.float32)[None]

    def _defects(self, scores: NDArray[np.float32], kinds: int) -> NDArray[np.float32]:
        """Scores 0..1 of the classes that are defects; classes lie along the first axis."""
        _fits(
            len(scores) == kinds + len(self.no_defect)
            and all(number < len(scores) for number in self.no_defect)
        )
        if self.scores == "sigmoid":
            scores = np.asarray(1 / (1 + np.exp(-np.clip(scores, -80, 80))), np.float32)
        elif self.scores == "softmax":
            exact = np.exp(scores - scores.max(axis=0, keepdims=True))
            scores = exact / exact.sum(axis=0, keepdims=True)
        return np.delete(scores, self.no_defect, axis=0).astype(np.float32) if self.no_defect else scores


class NotOfThisForm(ValueError):
    """Answers of another form than the card says."""


def _detr(answers: Answers, classes: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Boxes (4, N) as shares of the input, and scores (C, N)."""
    given = _ranks(list(answers.values()), *([3] * len(answers)))
    if len(given) == 1:
        _fits(given[0].shape[0] == 1 and given[0].shape[2] == 4 + classes)
        return given[0][0, :, :4].T, given[0][0, :, 4:].T
    _fits(len(given) == 2)
    named = [one for name, one in answers.items() if "box" in name]
    boxes = named[0] if len(named) == 1 else given[1]
    (scores,) = [one for one in given if one is not boxes]
    _fits(boxes.shape[2] == 4 and scores.shape[2] == classes and len(boxes) == len(scores) == 1)
    return boxes[0].T, scores[0].T


def _centred(xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.concatenate([(xyxy[:2] + xyxy[2:]) / 2, xyxy[2:] - xyxy[:2]])


def _one_row_each(
    labels: NDArray[np.float32], scores: NDArray[np.float32], classes: int
) -> NDArray[np.float32]:
    """(C, N): each box's score in its class's row. Padding has labels below 0 or scores of 0."""
    number = np.round(labels).astype(np.intp)
    there = (number >= 0) & (scores > 0)
    _fits(not (number[there] >= classes).any())
    rows = np.zeros((classes, len(scores)), np.float32)
    rows[number[there], np.flatnonzero(there)] = scores[there]
    return rows


def _ranks(given: Sequence[NDArray[np.float32]], *ranks: int) -> Sequence[NDArray[np.float32]]:
    _fits([one.ndim for one in given] == list(ranks))
    return given


def _fits(fits: bool) -> None:
    if not fits:
        raise NotOfThisForm
