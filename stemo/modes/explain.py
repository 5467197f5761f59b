"""``--explain IN``: what the network looks at, drawn on a picture or on every frame of a video."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from stemo.capture import Source, open_source
from stemo.config import RecognitionSettings, did_you_mean
from stemo.errors import ConfigError, InputError
from stemo.faces.alignment import crop_matrix
from stemo.faces.analyzer import FaceAnalyzer
from stemo.faces.geometry import BLENDSHAPE_NAMES, KEY_POINTS
from stemo.modes.video import check_not_input, make_recognizer, open_writer, with_progress
from stemo.network.exported import ExportedNetwork
from stemo.network.model import FaceNetwork
from stemo.output.data import default_output
from stemo.output.explanation import ExplanationDisplay, FaceExplanation
from stemo.output.pending import Pending, write_png
from stemo.output.video import VideoWriter
from stemo.pipeline import Overlap, Smoother
from stemo.processors import share_processors
from stemo.recognizer import Recognizer, observe
from stemo.records import Affect, Array, Face, Frame
from stemo.training.explanation import Explainer, Explanation, Look, blendshape_scores, point_scores

Say = Callable[[str], None]
Found = tuple[Frame, list[Face]]


class FrameExplainer:
    """Explains the faces of one frame after the other: the category they are read as, or always ``emotion``."""

    def __init__(
        self, explainer: Explainer, labels: Sequence[str], temperature: float, smoother: Smoother, emotion: str | None
    ) -> None:
        self._explainer, self._labels, self._temperature = explainer, tuple(labels), temperature
        self._smoother, self._emotion = smoother, emotion

    def explain(self, frame: Frame, faces: Sequence[Face]) -> list[FaceExplanation]:
        """Each face of ``frame``, in their order."""
        return [self._explain(face, frame.time) for face in faces]

    def _explain(self, face: Face, time: float) -> FaceExplanation:
        look = self._explainer.look(observe(face), time)
        affect = self._smoother.update(face.track_id, self._affect(look), time)
        emotion = self._emotion or affect.emotion
        found = look.explain(self._labels.index(emotion))
        return FaceExplanation(
            face,
            affect,
            emotion,
            crop_matrix(face.landmarks, face.box),
            found.heat.numpy(),
            found.frames.numpy(),
            weighed_points(face, found),
            weighed_blendshapes(found),
        )

    def _affect(self, look: Look) -> Affect:
        prediction = look.prediction
        chances = (prediction.logits[0].detach() / self._temperature).softmax(-1).tolist()
        return Affect(tuple(chances), prediction.valence.item(), prediction.arousal.item(), self._labels)


def run_explain(
    spec: str,
    output: Path | None,
    settings: RecognitionSettings,
    emotion: str | None,
    overwrite: bool,
    say: Say,
) -> int:
    """Explain the faces of ``spec`` into ``output``, a picture for a picture and a video for a video; returns 0.

    ``emotion`` names the category to explain (``None``: the one that is read). Raises :class:`StemoError` otherwise.
    """
    share_processors()
    with ExitStack() as stack:
        source = stack.enter_context(open_source(spec, start=settings.start, end=settings.end))
        still = source.info.kind == "image"
        output = output or default_output(spec, f"explained{ending(still)}")
        check_ending(output, still)
        check_not_input(output, source)
        recognizer = make_recognizer(settings)
        network = differentiable(recognizer)
        if settings.backend == "onnx":
            say("explaining takes gradients: PyTorch runs the network here, not ONNX Runtime")
        labels = recognizer.facts.labels
        explainer = FrameExplainer(
            Explainer(network, recognizer.facts.preprocessing, recognizer.device),
            labels,
            float(network.temperature),
            recognizer.smoother(),
            find_label(emotion, labels),
        )
        analyzer = stack.enter_context(recognizer.analyzer())
        if still:
            explain_picture(source, output, analyzer, explainer, overwrite, say)
        else:
            explain_video(source, open_writer(source, output, settings, overwrite), analyzer, explainer)
        say(f"wrote {output}")
    return 0


def differentiable(recognizer: Recognizer) -> FaceNetwork:
    """The recogniser's network. Raises :class:`ConfigError` for an exported one, which has no gradients."""
    if isinstance(recognizer.network, ExportedNetwork):
        raise ConfigError(
            f"weights {recognizer.facts.name!r} are an ONNX file, which has no gradients: --explain expected a "
            ".safetensors file. Give the weights that it was exported from."
        )
    return recognizer.network


def explain_video(source: Source, writer: VideoWriter, analyzer: FaceAnalyzer, explainer: FrameExplainer) -> None:
    """Explain every frame into ``writer``; where the input ends early, what was drawn is kept."""
    display = ExplanationDisplay()
    complete = False
    try:
        with Overlap(find(source, analyzer)) as found:
            for frame, faces in with_progress(found, source):
                writer.write(display.draw(frame, explainer.explain(frame, faces)), frame.time)
        complete = True
    finally:
        writer.close(keep=not complete)


def explain_picture(
    source: Source, output: Path, analyzer: FaceAnalyzer, explainer: FrameExplainer, overwrite: bool, say: Say
) -> None:
    """Explain a picture's faces into a PNG at ``output``, and say in words what weighed most.

    Raises :class:`InputError` for a picture without a face.
    """
    pending = Pending(output, overwrite=overwrite)
    try:
        (found,) = find(source, analyzer)
        frame, faces = found
        if not faces:
            raise InputError(
                f"picture {source.info.name!r} shows no face: expected one at least, got none. "
                "Try --detector yunet, which finds small and turned faces."
            )
        explained = explainer.explain(frame, faces)
        write_png(pending, ExplanationDisplay().draw(frame, explained))
    except BaseException:
        pending.discard()
        raise
    for item in explained:
        say(in_words(item))


def in_words(item: FaceExplanation) -> str:
    """``face 1: Happy 87 %; for it: mouth smile left +0.52, ...``."""
    chance = item.affect.probabilities[item.affect.labels.index(item.emotion)]
    weights = ", ".join(f"{name} {added:+.2f}" for name, added in item.blendshapes[:3]) or "no landmarks"
    return f"face {item.face.track_id}: {item.emotion} {chance:.0%} (read as {item.affect.emotion}); {weights}"


def find(frames: Iterable[Frame], analyzer: FaceAnalyzer) -> Iterator[Found]:
    """Each frame with its faces."""
    for frame in frames:
        yield frame, analyzer.analyze(frame)


def weighed_points(face: Face, found: Explanation) -> Array:
    """The key points of a face (50 3): x and y in pixels, and what each adds to the logit; (0 3) without landmarks."""
    if face.landmarks is None or found.landmarks is None:
        return np.zeros((0, 3), np.float32)
    places = face.landmarks[list(KEY_POINTS), :2]
    return np.column_stack([places, point_scores(found.landmarks).numpy()]).astype(np.float32)


def weighed_blendshapes(found: Explanation) -> tuple[tuple[str, float], ...]:
    """The blendshapes by name with what each adds to the logit, the weightiest first; empty without landmarks."""
    if found.landmarks is None:
        return ()
    pairs = zip(BLENDSHAPE_NAMES, blendshape_scores(found.landmarks).tolist(), strict=True)
    return tuple(sorted(pairs, key=lambda pair: -abs(pair[1])))


def find_label(name: str | None, labels: Sequence[str]) -> str | None:
    """The label of that name, however it is written. Raises :class:`ConfigError` for one the network does not know."""
    if name is None:
        return None
    for label in labels:
        if label.casefold() == name.casefold():
            return label
    raise ConfigError(
        f"emotion {name!r} is unknown to these weights: expected one of {', '.join(labels)}, got {name!r}."
        + did_you_mean(name.capitalize(), labels)
    )


def ending(still: bool) -> str:
    """What the output's name ends in."""
    return ".png" if still else ".mp4"


def check_ending(output: Path, still: bool) -> None:
    """Raise :class:`ConfigError` where the name is not one of a picture or video, as the input is."""
    if output.suffix.lower() != ending(still):
        raise ConfigError(
            f"output {str(output)!r} has another kind than the input: expected a name ending in {ending(still)}, "
            f"got {output.suffix!r}. Change --output."
        )
