"""One onnxruntime session; the only file that knows onnxruntime."""

from __future__ import annotations

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as vendor

from models.errors import DetectionFailed, ModelMismatch
from models.store import ReleasedModel

PROVIDER = "CPUExecutionProvider"

_VENDOR_ERRORS: tuple[type[Exception], ...] = (
    vendor.EPFail,
    vendor.EngineError,
    vendor.Fail,
    vendor.InvalidArgument,
    vendor.InvalidGraph,
    vendor.InvalidProtobuf,
    vendor.ModelLoaded,
    vendor.NoModel,
    vendor.NoSuchFile,
    vendor.NotImplemented,
    vendor.RuntimeException,
    RuntimeError,
    ValueError,
)


_FORMS = {
    "boxes": "[1, {boxes}, …]",
    "maps": "[1, {kinds}, …, …]",
    "masks": "[1, {boxes} + m, …] and [1, m, …, …]",
}


class Session:
    """A network, loaded, checked against its card and warmed up. Used by one thread at a time.

    threads   cores one run may use. 1 is right beside other work: two were measured slower than one there.

    Raises ModelMismatch when the file cannot be run here, or eats or gives something other than its card says.
    """

    def __init__(self, model: ReleasedModel, *, threads: int = 1) -> None:
        self.card = model.card
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Spinning workers take a whole core from the lanes beside them and save under a millisecond.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(model.network, options, providers=[PROVIDER])
        except _VENDOR_ERRORS as error:
            raise self._mismatch(f"onnxruntime cannot load it: {error}") from error
        if self._session.get_providers() != [PROVIDER]:
            raise self._mismatch(f"it runs on {', '.join(self._session.get_providers())}, not on {PROVIDER}")
        self._check_shapes()
        self._warm_up()

    def run(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """The first of the network's answers to one input (1, 3, height, width), 0..1; most have only one.

        Raises DetectionFailed when onnxruntime gives up.
        """
        return self.run_all(images)[0]

    def run_all(self, images: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
        """All of the network's answers, as `_gives` says of its task. Raises as `run`."""
        try:
            answers = self._session.run(None, {self._input: images})
        except _VENDOR_ERRORS as error:
            raise DetectionFailed(
                f"{self.card.name} {self.card.version} gave up on an image: {error}",
                action="The frame counts as not inspected. If this repeats, restart the station.",
                model=f"{self.card.name} {self.card.version}",
                reason=str(error),
            ) from error
        return tuple(np.asarray(answer, np.float32) for answer in answers)

    def _check_shapes(self) -> None:
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1:
            raise self._mismatch(f"it has {len(inputs)} inputs, not one")
        self._input = inputs[0].name
        eats = [1, 3, *self.card.input_hw]
        if list(inputs[0].shape) != eats or inputs[0].type != "tensor(float)":
            raise self._mismatch(f"it eats {inputs[0].type} {inputs[0].shape}, its card says {eats}")
        gives = [list(output.shape) for output in outputs]
        if not self._gives(gives):
            raise self._mismatch(
                f"it gives {gives}; for {self.card.task} of the {len(self.card.kinds)} kinds of its card that should "
                f"be {_FORMS[self.card.task].format(kinds=len(self.card.kinds), boxes=4 + len(self.card.kinds))}"
            )

    def _gives(self, shapes: list[list[object]]) -> bool:
        """Whether answers of these shapes are of the card's task. Places may be as many as the network likes."""
        kinds = len(self.card.kinds)
        match self.card.task, shapes:
            case "boxes", [[1, rows, _]]:
                return rows == 4 + kinds
            case "maps", [[1, rows, _, _]]:
                return rows == kinds
            case "masks", [[1, int(rows), _], [1, int(masks), _, _]]:
                return rows == 4 + kinds + masks
            case _:
                return False

    def _warm_up(self) -> None:
        answers = self.run_all(np.full((1, 3, *self.card.input_hw), 0.5, np.float32))
        if not all(np.isfinite(answer).all() for answer in answers):
            raise self._mismatch("it answers an even grey image with numbers that are not finite")

    def _mismatch(self, wrong: str) -> ModelMismatch:
        model = f"{self.card.name} {self.card.version}"
        return ModelMismatch(
            f"The model {model} cannot be used: {wrong}.",
            action="Install the model again from its release, or choose another version in the recipe.",
            model=model,
            wrong=wrong,
        )
