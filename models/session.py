"""One network, loaded by onnxruntime and run by it, or by OpenVINO. Detections come through this file alone."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as vendor

from inspection.errors import DetectionsInvalid
from models.card import restricted
from models.eight_bits import SMALL, WEIGHT_BITS, eight_bits_overflow
from models.errors import DetectionFailed, ModelDrifted, ModelMismatch, ProviderMissing
from models.heads import NotOfThisForm
from models.provider import CPU, OPENVINO, chosen_provider
from models.reference import Reference, textured
from models.store import ReleasedModel

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


_ALIKE = 0.1
"""In eight bits two runtimes round otherwise: scores and shares of a side differ by up to 0.04 where neither lets sums
overflow, and by 0.13 and more where one does (`tests/models/test_eight_bits.py`)."""

_GIVES = {
    "boxes": "[1, {boxes}, …]",
    "maps": "[1, {kinds}, …, …]",
    "masks": "[1, {boxes} + m, …] and [1, m, …, …]",
    "classes": "[1, {kinds}]",
}


def providers() -> tuple[str, ...]:
    """Where networks can run here; not on somebody's service in the internet, which onnxruntime offers too."""
    found = [one for one in onnxruntime.get_available_providers() if one != "AzureExecutionProvider"]
    return (*found, OPENVINO) if find_spec("openvino") else tuple(found)


class _Runs(Protocol):
    def run(self, names: None, given: Mapping[str, NDArray[Any]], /) -> list[NDArray[Any]]: ...


class Session:
    """A network, loaded, checked against its card and its reference run, and warm. Used by one thread at a time.

    threads   cores one run may use. 1 is right beside other work: two were measured slower than one there.
    provider  where it runs: all of it there, or not at all; None: where this computer runs networks

    `runtime` says in what, and in which version of it.

    Raises ModelMismatch when the file cannot be run here, or eats or gives something other than its card says;
    ProviderMissing when it would run elsewhere than asked; ModelDrifted when it answers the reference input of its
    bundle otherwise than where it was released, or in OpenVINO otherwise than onnxruntime does here.
    """

    def __init__(self, model: ReleasedModel, *, threads: int = 1, provider: str | None = None) -> None:
        self.card = model.card
        self._shapes: list[list[int]] = []
        provider = provider or chosen_provider()
        if provider not in providers():
            raise self._not_there(provider, providers())
        # For OpenVINO this one tells what the file eats, gives and says of itself, and is let go.
        by = CPU if provider == OPENVINO else provider
        session = self._opened(model.network, by, threads)
        if session.get_providers()[0] != by:
            raise self._not_there(by, session.get_providers())
        self._check_inputs(session)
        told = session.get_modelmeta().custom_metadata_map
        self._check_classes(told)
        self._check_licence(told)
        self.runtime = f"onnxruntime {onnxruntime.__version__}, {provider}"
        self._session: _Runs = session
        self._warm_up()
        if provider == OPENVINO:
            image = textured(self.card.input_hw)
            by_onnxruntime = Reference(image=image, answers=self._in_shares(image), tolerance=_ALIKE)
            self.runtime, self._session = self._in_openvino(model.network, threads)
            self._warm_up()
            # On a processor without VNNI it lets sums of products in eight bits overflow, and has no word against it.
            self._check_differs(by_onnxruntime, by_onnxruntime.differs_by(self._in_shares(image)))
        if model.reference is not None:
            self._check_reference(model.reference)

    def _opened(self, network: bytes, by: str, threads: int) -> onnxruntime.InferenceSession:
        def opened(*, exactly: bool) -> onnxruntime.InferenceSession:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            options.inter_op_num_threads = 1
            # Spinning workers take a whole core from the lanes beside them and save under a millisecond.
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
            if exactly:
                # Takes twice the time for the same answers where nothing can overflow.
                options.add_session_config_entry("session.x64quantprecision", "1")
            options.log_severity_level = 3
            if by != CPU:
                # What the provider cannot do would silently be done by the CPU, at a tenth of the speed.
                options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
            try:
                return onnxruntime.InferenceSession(network, options, providers=[by])
            except _VENDOR_ERRORS as error:
                raise self._mismatch(f"onnxruntime cannot load it: {error}") from error

        session = opened(exactly=eight_bits_overflow())
        weights_are_small = session.get_modelmeta().custom_metadata_map.get(WEIGHT_BITS) == SMALL
        return opened(exactly=False) if eight_bits_overflow() and weights_are_small else session

    def run(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """The first of the network's answers to one input (1, 3, height, width), 0..1; most have only one.

        Raises DetectionFailed when what runs it gives up, DetectionsInvalid when it answers with what is no number.
        """
        return self.run_all(images)[0]

    def run_all(self, images: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
        """All of the network's answers, as ours give them (see `models/heads.py`). Raises as `run`."""
        try:
            answers = self._answer(images)
        except _VENDOR_ERRORS as error:
            raise DetectionFailed(
                f"{self.card.name} {self.card.version} gave up on an image: {error}",
                action="The frame counts as not inspected. If this repeats, restart the station.",
                model=f"{self.card.name} {self.card.version}",
                reason=str(error),
            ) from error
        # Compared with a threshold, what is no number would be no defect.
        if invalid := sum(answer.size - int(np.count_nonzero(np.isfinite(answer))) for answer in answers):
            found = sum(answer.size for answer in answers)
            raise DetectionsInvalid(
                f"{invalid} of the {found} numbers of {self.card.name} {self.card.version}'s answer are none.",
                action="The frame counts as not inspected. If this repeats, install the model again from its release.",
                invalid=invalid,
                found=found,
            )
        return answers

    def _answer(self, images: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
        given = self._session.run(None, {self._input: self.card.form.prepared(images), **self._beside})
        self._shapes = [list(answer.shape) for answer in given]
        answers = {
            name: np.asarray(answer, np.float32) for name, answer in zip(self._outputs, given, strict=True)
        }
        card = self.card
        return card.form.ours(answers, task=card.task, kinds=len(card.kinds), input_hw=card.input_hw)

    def _in_openvino(self, network: bytes, threads: int) -> tuple[str, _Runs]:
        eats = [1, self.card.form.channels, *self.card.input_hw]
        try:
            # An extra: most stations do without.
            from models.in_openvino import InOpenVino, version

            return f"OpenVINO {version()}", InOpenVino(network, eats=eats, threads=threads)
        except (ImportError, RuntimeError) as error:
            raise self._mismatch(f"OpenVINO cannot load it: {error}") from error

    def _check_inputs(self, session: onnxruntime.InferenceSession) -> None:
        images, *beside = session.get_inputs()
        self._outputs = tuple(output.name for output in session.get_outputs())
        self._input = images.name
        eats = [1, self.card.form.channels, *self.card.input_hw]
        if not _may_be(images.shape, eats) or images.type != "tensor(float)":
            raise self._mismatch(f"it eats {images.type} {images.shape}, its card says {eats}")
        self._beside: dict[str, NDArray[np.int64]] = {}
        if self.card.form.head == "detr_deployed" and len(beside) == 1:
            self._beside[beside[0].name] = np.array([self.card.input_hw[::-1]], np.int64)
        elif beside:
            raise self._mismatch(f"it has {1 + len(beside)} inputs, not one")

    def _check_classes(self, told: Mapping[str, str]) -> None:
        """A network that names its classes is believed before its card."""
        stated = told.get("names")
        if stated is None:
            return
        try:
            named = [str(name) for _, name in sorted(ast.literal_eval(stated).items())]
        except (ValueError, SyntaxError, AttributeError, TypeError):
            return
        form = self.card.form
        theirs = [name for number, name in enumerate(named) if number not in form.no_defect]
        ours = list(form.classes or self.card.kinds)
        if theirs != ours:
            raise self._mismatch(
                f"it names its classes {', '.join(theirs)}, its card says {', '.join(ours)} "
                f"({len(theirs)} against {len(ours)} kinds)"
            )

    def _check_licence(self, told: Mapping[str, str]) -> None:
        """So is one that states its licence: a plant's policy goes by what the card says."""
        stated = told.get("license") or told.get("licence") or ""
        if left_out := [one for one in restricted(stated) if one not in self.card.restrictions]:
            raise self._mismatch(
                f"it states the licence {stated!r}, its card names nothing of it ({', '.join(left_out)})"
            )

    def _warm_up(self) -> None:
        try:
            answers = self._answer(np.full((1, 3, *self.card.input_hw), 0.5, np.float32))
        except NotOfThisForm as error:
            kinds = len(self.card.kinds) + len(self.card.form.no_defect)
            raise self._mismatch(
                f"it gives {self._shapes}; for {self.card.task} of the {len(self.card.kinds)} kinds of its card "
                f"(head {self.card.form.head}) that should be "
                f"{_GIVES[self.card.task].format(kinds=kinds, boxes=4 + kinds)}"
            ) from error
        except _VENDOR_ERRORS as error:
            raise self._mismatch(f"it cannot answer an even grey image: {error}") from error
        if not all(np.isfinite(answer).all() for answer in answers):
            raise self._mismatch("it answers an even grey image with numbers that are not finite")

    def _check_reference(self, reference: Reference) -> None:
        """The reference run, on what it will run on. Raises ModelDrifted."""
        if reference.image.shape != (1, 3, *self.card.input_hw):
            raise self._mismatch(f"its reference input is {reference.image.shape}")
        self._check_differs(reference, reference.differs_by(self.run_all(reference.image)))

    def _in_shares(self, image: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
        """The answers with boxes as shares of the input's longer side: two pixels of rounding are not much, of whatever
        box."""
        first, *others = self.run_all(image)
        if self.card.task in ("boxes", "masks"):
            first = first.copy()
            first[:, :4] /= max(self.card.input_hw)
        return first, *others

    def _check_differs(self, reference: Reference, by: float) -> None:
        if not by <= reference.tolerance:
            raise ModelDrifted(
                f"{self.card.name} {self.card.version} answers its reference input otherwise in {self.runtime} than "
                f"where it was released, or by onnxruntime: by {by:.3g}, allowed is {reference.tolerance:.3g}.",
                action="Do not use it here. Run it where it was released for (LYNCEUS_PROVIDER, and a version of "
                "the bundle's range), or release the model again for this machine.",
                model=f"{self.card.name} {self.card.version}",
                by=f"{by:.3g}",
                allowed=f"{reference.tolerance:.3g}",
                runtime=self.runtime,
            )

    def _not_there(self, provider: str, instead: Sequence[str]) -> ProviderMissing:
        return ProviderMissing(
            f"{self.card.name} {self.card.version} was to run on {provider}; here it can on {', '.join(instead)}.",
            action="Install what runs it there (the onnxruntime package and the driver of that device; for OpenVINO "
            "lynceus[openvino]), or name another in LYNCEUS_PROVIDER.",
            model=f"{self.card.name} {self.card.version}",
            provider=provider,
            instead=", ".join(instead),
        )

    def _mismatch(self, wrong: str) -> ModelMismatch:
        model = f"{self.card.name} {self.card.version}"
        return ModelMismatch(
            f"The model {model} cannot be used: {wrong}.",
            action="Install the model again from its release, or choose another version in the recipe.",
            model=model,
            wrong=wrong,
        )


def _may_be(shape: Sequence[object], eats: Sequence[int]) -> bool:
    """Whether an input of this shape, some sides of which may be open, takes what we give."""
    return len(shape) == len(eats) and all(
        side == ours or not isinstance(side, int) for side, ours in zip(shape, eats, strict=True)
    )
