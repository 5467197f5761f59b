"""``--evaluate DATA``: the network's figures on labelled faces, printed, and as a report in a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stemo import assets
from stemo.config import RecognitionSettings
from stemo.errors import DataError
from stemo.records import EMOTIONS, Image
from stemo.training.datasets import Still

if TYPE_CHECKING:
    import numpy as np
    import torch

    from stemo.network.checkpoint import WeightFacts
    from stemo.network.model import FaceNetwork, Prediction
    from stemo.training.report.curves import RunCurve
    from stemo.training.report.findings import Findings

Say = Callable[[str], None]


def run_evaluate(
    data: Path,
    output: Path | None,
    settings: RecognitionSettings,
    split: str | None,
    say: Say,
    *,
    run: Path | None = None,
    groups: Sequence[str] = (),
    held_back: bool = False,
) -> int:
    """Score the network on ``data``, only its rows of ``split`` where given; returns 0.

    With ``output``, write the report there, with the curves of the training in ``run`` where given; ``groups`` are
    columns of the data's ``labels.csv`` to tell faces apart by; ``held_back`` keeps only the people whom a training
    of these weights kept apart. Faces that have real valence and arousal are scored
    on these too; data that have nothing else get their figures without a page.
    """
    from stemo.network.checkpoint import SHIPPED, load_weights
    from stemo.recognizer import choose_device
    from stemo.training.evaluation import groups_of, predict_stills
    from stemo.training.report.curves import read_run
    from stemo.training.report.writing import make_folder

    device = choose_device(settings.device)
    network, facts = load_weights(Path(settings.weights) if settings.weights else SHIPPED)
    stills = load(data, split, facts.labels)
    if held_back:
        stills = only_held_back(data, stills, facts)
    # what is wrong is said before the long part
    groups_of(stills, groups)
    curves = read_run(run) if run else []
    if output:
        make_folder(output)
    landmarks = _landmarks([still.image for still in stills], settings)
    prediction = predict_stills(network, stills, landmarks, facts.preprocessing, device)
    scored = Scored(data, split, network, facts, stills, landmarks, prediction)
    metrics, findings = scored.figures(groups, curves)
    scored.tell(metrics, findings, say)
    if motion := read_motion(scored, settings, device, held_back):
        metrics["motion"] = motion
        shown = ", ".join(f"{name.replace('_', ' ')} {value:.1%}" for name, value in motion.items() if name != "n")
        say(f"motion:        {shown} of {motion['n']} sequences")
    if output:
        say(f"wrote {_write(output, metrics, findings)}")
    return 0


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Faces that the network read, and what it read."""

    data: Path
    split: str | None
    network: FaceNetwork
    facts: WeightFacts
    stills: Sequence[Still]
    landmarks: np.ndarray  # (n 205), nan where none were found
    prediction: Prediction

    @property
    def note(self) -> str:
        """What a reader must know before the figures."""
        return trained_on(self.data, self.facts)

    def figures(self, groups: Sequence[str], run: Sequence[RunCurve]) -> tuple[dict[str, Any], Findings | None]:
        """``metrics.json``, and the findings for the report: ``None`` where no face has a category."""
        from stemo.training.affect_metrics import affect_facts, score_stills
        from stemo.training.layouts import rule_of

        rule = rule_of(self.data, self.facts.labels)
        scores = score_stills(self.stills, self.prediction.valence.cpu(), self.prediction.arousal.cpu())
        affect = affect_facts(scores or {})
        labelled = [place for place, still in enumerate(self.stills) if still.label is not None]
        if not labelled:
            return {"rule": rule, "n": 0, "affect": affect}, None
        metrics, findings = self._categories(labelled, rule, groups, run, affect)
        return {**metrics, **findings.facts(), **({"affect": affect} if affect else {})}, findings

    def _categories(
        self,
        labelled: Sequence[int],
        rule: str,
        groups: Sequence[str],
        run: Sequence[RunCurve],
        affect: Mapping[str, Mapping[str, Any]],
    ) -> tuple[dict[str, Any], Findings]:
        from stemo.network.model import Prediction
        from stemo.training.evaluation import evaluation_of, report, score_prediction
        from stemo.training.report.findings import Findings

        stills = [self.stills[place] for place in labelled]
        prediction = Prediction(*(part[list(labelled)] for part in self.prediction))
        probabilities = self.network.probabilities(prediction)
        evaluation = evaluation_of(
            stills,
            probabilities,
            labels=self.facts.labels,
            rule=rule,
            data=f"{self.data.name}{f' ({self.split})' if self.split else ''}",
            weights=in_words(self.facts),
            columns=groups,
            note=self.note,
        )
        result = score_prediction(prediction, stills, self.facts.labels)
        return report(result, rule, probabilities, stills), Findings(evaluation, run, affect)

    def tell(self, metrics: Mapping[str, Any], findings: Findings | None, say: Say) -> None:
        """Say the figures in words."""
        import numpy as np

        found = np.isfinite(self.landmarks).all(1).mean()
        say(f"data:          {self.data}{f' ({self.split})' if self.split else ''}")
        say(f"rule:          {metrics['rule']}")
        say(f"n:             {metrics['n'] or len(self.stills)} faces, landmarks found on {found:.1%}")
        if findings:
            _tell_categories(metrics, findings, say)
        for name, figures in metrics.get("affect", {}).items():
            shown = [f"{key} {value:.3f}" for key, value in figures.items() if key != "n" and value is not None]
            say(f"{name + ':':<15}{', '.join(shown) or 'cannot be said'} on {figures['n']} rated faces")
        if self.note:
            say(f"note:          {self.note}")


def _landmarks(images: Sequence[Image], settings: RecognitionSettings) -> np.ndarray:
    import numpy as np
    from tqdm import tqdm

    from stemo.faces.stills import still_landmarker
    from stemo.training.landmark_cache import still_features

    model = Path(settings.landmarker) if settings.landmarker else None
    with still_landmarker(assets.locate("face_landmarker", model)) as landmarker:
        return np.stack([still_features(landmarker, image) for image in tqdm(images, disable=None)])


def _write(output: Path, metrics: Mapping[str, Any], findings: Findings | None) -> Path:
    from stemo.training.report.writing import write_metrics, write_report

    return write_report(output, findings, metrics) if findings else write_metrics(output, metrics)


def _tell_categories(metrics: Mapping[str, Any], findings: Findings, say: Say) -> None:
    say(f"accuracy:      {metrics['accuracy']:.2%}")
    say(f"macro recall:  {metrics['macro_recall']:.2%}")
    say(f"calibration:   expected error {metrics['calibration_error']:.3f}")
    for figures in findings.classes:
        recall = float("nan") if figures.recall is None else figures.recall
        say(f"  {figures.label:<12} recall {recall:7.2%}  n {figures.support}")
    for column, groups in findings.groups.items():
        for group in groups:
            low, high = group.accuracy_interval or (0.0, 1.0)
            say(f"  {column}={group.name}: accuracy {group.accuracy:.2%} ({low:.1%} to {high:.1%}), n {group.n}")


def share_held_back(facts: WeightFacts) -> float:
    """The share of the people that the training of these weights kept apart, in [0, 1]."""
    return float(facts.metrics.get("settings", {}).get("held_back", 0.2))


def only_held_back(data: Path, stills: Sequence[Still], facts: WeightFacts) -> Sequence[Still]:
    """The faces of people whom the training kept apart. Raises :class:`DataError` where there are none."""
    from stemo.training.collection import is_held_back

    kept = [still for still in stills if is_held_back(still.subject, share_held_back(facts))]
    if not kept:
        raise DataError(f"data {str(data)!r} has no held-back face: expected people by name. Leave out --held-back.")
    return kept


def read_motion(scored: Scored, settings: RecognitionSettings, device: torch.device, held_back: bool) -> dict[str, Any]:
    """How readings move from onset to apex, where the data are sequences; else nothing."""
    import numpy as np

    from stemo.training.collection import is_held_back
    from stemo.training.layouts import open_data
    from stemo.training.motion import read_movement

    facts = scored.facts
    read = open_data(scored.data).sequences
    if read is None or facts.labels != EMOTIONS:
        return {}
    sequences = [one for one in read(facts.labels) if one.label is not None]
    if held_back:
        sequences = [one for one in sequences if is_held_back(one.subject, share_held_back(facts))]
    if not sequences:
        return {}
    known = iter(_landmarks([image for one in sequences for image in one.images], settings))
    landmarks = [np.stack([next(known) for _ in one.images]) for one in sequences]
    return read_movement(scored.network, facts.preprocessing, sequences, landmarks, device).scores()


def in_words(facts: WeightFacts) -> str:
    """Which weights, so that nobody takes them for others."""
    return f"{facts.name} ({facts.architecture} {facts.size}, sha256 {facts.sha256[:12]})"


def trained_on(data: Path, facts: WeightFacts) -> str:
    """A warning where the weights were trained on a data set of this name; else nothing."""
    if data.stem not in [name.strip() for name in facts.training_data.split(",")]:
        return ""
    return (
        f"These weights were trained on a data set named {data.stem}: unless the faces scored here were kept apart, "
        "the figures flatter them."
    )


def load(data: Path, split: str | None, labels: Sequence[str]) -> Sequence[Still]:
    """The faces to score: those with a category among ``labels`` or with real valence and arousal.

    Raises :class:`DataError` when the split is unknown or nothing is left.
    """
    from stemo.training.layouts import load_any

    stills = load_any(data, labels)
    kept = [still for still in stills if (still.label is not None or still.rated) and split in (None, still.split)]
    if not kept:
        splits = ", ".join(sorted({still.split for still in stills}))
        raise DataError(f"data {str(data)!r} has no face to score: expected a split among {splits}, got {split!r}.")
    return kept
