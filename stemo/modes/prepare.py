"""``--prepare DATA --output FOLDER``: any data set as an ImageFolder, split by people, with copies on one side."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from stemo.config import TrainingSettings
from stemo.errors import ConfigError, DataError

if TYPE_CHECKING:
    from stemo.training.datasets import Still
    from stemo.training.duplicates import Duplicates
    from stemo.training.prepared import Prepared

Say = Callable[[str], None]


def run_prepare(
    data: Path, output: Path | None, settings: TrainingSettings, split: str | None, overwrite: bool, say: Say
) -> int:
    """Write the labelled faces of ``data`` (a data set, or a folder of them) to ``output``; returns 0.

    ``split`` holds the shares of train, val and test, such as ``0.8,0.1,0.1``.
    """
    from stemo.training.class_set import class_set
    from stemo.training.duplicates import find_duplicates
    from stemo.training.prepared import TABLE, check_place, divide, write_folder
    from stemo.training.splitting import parse_shares

    shares, labels = parse_shares(split), class_set(settings.classes).labels
    if output is None:
        raise ConfigError("output folder is not given: expected --output FOLDER, got none. See: python main.py --help")
    _check_apart(data, output)
    check_place(output, overwrite)
    stills = _labelled(data, labels, say)
    duplicates = find_duplicates(stills)
    prepared = divide(stills, labels, duplicates, shares, settings.seed)
    _say_copies(stills, labels, duplicates, say)
    _say_table(prepared, list(shares), say)
    write_folder(prepared, output)
    say(f"wrote {output} and {output / TABLE}; train on it with: python main.py --train --data {output}")
    return 0


def _labelled(data: Path, labels: tuple[str, ...], say: Say) -> list[Still]:
    """The faces with a label, of every data set in ``data``; raises :class:`DataError` where a class has none."""
    from stemo.training.class_set import UNNAMED, ClassSet
    from stemo.training.datasets import hold
    from stemo.training.layouts import data_sets, open_data

    classes, kept, left_out = ClassSet(labels), [], Counter[str]()
    paths = data_sets(data)
    for path in paths:
        # only what has a category is of use here: without their ratings, the others are left out by their own names
        stills, outside = classes.stills(replace(face, rating=None) for face in open_data(path).faces())
        kept += [still for still in stills if still.label is not None]
        left_out += outside
        left_out[UNNAMED] += sum(still.label is None for still in stills)
    left_out += Counter()  # drops zeros
    if not kept:
        found = ", ".join(f"{name} {count}" for name, count in left_out.most_common(8)) or "none"
        raise DataError(
            f"data {str(data)!r} holds no labelled face of {', '.join(labels)}: expected some, got {found}. "
            "Name other categories with --classes."
        )
    classes.check([still.label or 0 for still in kept], "labelled")
    say(f"data:       {', '.join(path.name for path in paths)}: {len(kept)} faces")
    if left_out:
        say(f"left out:   {', '.join(f'{count} {name}' for name, count in left_out.most_common())}")
    return hold(kept)


def _say_copies(stills: Sequence[Still], labels: Sequence[str], duplicates: Duplicates, say: Say) -> None:
    groups = duplicates.groups
    people = {still.subject for still in stills if still.has_subject}
    named = f"{len(people)} people, clips or the like, each on one side" if people else "nobody"
    say(f"named:      {named}")
    say(
        f"copies:     {len(duplicates.exact)} exact, {len(duplicates.near)} near pairs, "
        f"{len(groups)} groups, each on one side"
    )
    splits = [still.split for still in stills]
    names = [labels[still.label or 0] for still in stills]
    for what, marks in (("lay across the data's own splits", splits), ("have several labels", names)):
        mixed = [group for group in groups if len({marks[place] for place in group}) > 1]
        if mixed:
            one_each = {marks[place]: stills[place].name for place in mixed[0]}
            example = ", ".join(f"{name} ({mark})" for mark, name in one_each.items())
            say(f"            {len(mixed)} groups {what}, such as {example}")


def _say_table(prepared: Prepared, splits: Sequence[str], say: Say) -> None:
    counts = prepared.counts
    width = max(len(label) for label in (*prepared.labels, "class"))
    say("")
    say(f"{'class':<{width}}" + "".join(f"{split:>9}" for split in (*splits, "all")))
    for label in prepared.labels:
        row = [counts[split][label] for split in splits]
        say(f"{label:<{width}}" + "".join(f"{number:>9,}" for number in (*row, sum(row))))
    totals = [counts[split].total() for split in splits]
    say(f"{'all':<{width}}" + "".join(f"{number:>9,}" for number in (*totals, sum(totals))))
    say("")
    for split in splits:
        missing = [label for label in prepared.labels if not counts[split][label]]
        if missing:
            say(f"warning: {split} has no {', '.join(missing)}: too few people or pictures")


def _check_apart(data: Path, output: Path) -> None:
    """Raise :class:`ConfigError` where the output is the data, or holds it, or lies in it."""
    one, other = (Path(os.path.realpath(path)) for path in (data, output))
    if os.path.exists(one) and (one == other or one in other.parents or other in one.parents):
        raise ConfigError(
            f"output {str(output)!r} overlaps with data {str(data)!r}: expected two places, got one. Change --output."
        )
