"""Figures as a JSON holds them (``metrics.json``, or that beside weights), with the intervals their counts give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from stemo.training.report.statistics import Interval, mean_interval, wilson

Share: TypeAlias = tuple[float | None, Interval | None]  # in [0, 1], and its 95 % interval

END_TO_END = (
    "End to end, each picture is read as a user's photo: stemo finds the face, its landmarks and the crop by itself. A "
    "picture whose face is not found counts as wrong; the last two columns leave those pictures out."
)
COLUMNS = ("n", "found", "crops", "end to end", "found: crops", "found: end to end")


def accuracy(measured: Mapping[str, Any]) -> Share:
    """The accuracy with Wilson's interval, as far as known."""
    share, n = measured.get("accuracy"), measured.get("n")
    return share, wilson(round(share * n), n) if share is not None and n else None


def macro_recall(measured: Mapping[str, Any]) -> Share:
    """The macro recall with the interval built from those of the recalls, as far as known."""
    known = [(recall, ends) for _, recall, _, ends in recalls(measured) if recall is not None and ends]
    return measured.get("macro_recall"), mean_interval(known)


def recalls(measured: Mapping[str, Any]) -> list[tuple[str, float | None, int | None, Interval | None]]:
    """Each class with its recall in [0, 1], its number of faces and the recall's interval, as far as known."""
    rows = []
    for label, recall in measured.get("per_class_recall", {}).items():
        support = measured.get("support", {}).get(label)
        known = recall is not None and support
        rows.append((label, recall, support, wilson(round(recall * support), support) if known else None))
    return rows


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure on ``n`` faces, of which ``found`` were found: read from given crops and read end to end."""

    name: str
    n: int
    found: int
    crops: Share
    end_to_end: Share
    found_crops: Share
    found_end_to_end: Share

    @property
    def shares(self) -> tuple[Share, Share, Share, Share]:
        """The figure as :data:`COLUMNS` name it after the two counts."""
        return self.crops, self.end_to_end, self.found_crops, self.found_end_to_end


def compared(measured: Mapping[str, Any]) -> list[Compared]:
    """Accuracy, macro recall and each class's recall, crops beside end to end; empty where only crops were read."""
    read = measured.get("end_to_end")
    if not read:
        return []
    columns = [_shares(part) for part in (measured, read, read["crops_found_only"], read["found_only"])]
    support, found = read["support"], read["found_only"]["support"]
    return [
        Compared(name, support.get(name, read["n"]), found.get(name, read["found"]), *(part[name] for part in columns))
        for name in columns[0]
    ]


def _shares(measured: Mapping[str, Any]) -> dict[str, Share]:
    classes = {label: (recall, ends) for label, recall, _, ends in recalls(measured)}
    return {"accuracy": accuracy(measured), "macro recall": macro_recall(measured), **classes}
