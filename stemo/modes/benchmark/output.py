"""Where the figures of a benchmark go: looked at before anything is measured, written whole or not at all."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stemo.errors import ConfigError
from stemo.output.pending import Pending, check_place, failed

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Output:
    """A file at ``path``, which replaces what is there only with ``overwrite``."""

    path: Path
    overwrite: bool = False

    @property
    def table(self) -> Output:
        """The Markdown beside it."""
        return Output(self.path.with_suffix(".md"), self.overwrite)

    def check(self, clips: Sequence[str]) -> None:
        """Raise, before the long part, :class:`ConfigError` where it is one of ``clips``.

        Or :class:`OutputError` where nothing can be written there, or nothing may.
        """
        if any(self.path.exists() and Path(clip).exists() and self.path.samefile(clip) for clip in clips):
            raise ConfigError(
                f"output {str(self.path)!r} is a clip to measure: expected another name, got the same. Change --output."
            )
        check_place(self.path, self.overwrite)

    def write_facts(self, facts: Mapping[str, Any], say: Say) -> None:
        """Keep ``facts`` as JSON, what is not known (NaN) as null; as :meth:`write`."""
        self.write(json.dumps(_known(facts), indent=2) + "\n", say)

    def write(self, text: str, say: Say) -> None:
        """Write ``text``, and say so. Raises :class:`OutputError` where that cannot be."""
        pending = Pending(self.path, overwrite=self.overwrite)
        try:
            pending.part.write_text(text, encoding="utf-8")
        except OSError as error:
            pending.discard()
            raise failed(self.path, error) from error
        say(f"wrote {pending.commit()}")


def _known(value: Any) -> Any:
    """``value`` with ``None`` for every NaN, which JSON does not know."""
    if isinstance(value, Mapping):
        return {name: _known(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_known(part) for part in value]
    return None if isinstance(value, float) and math.isnan(value) else value
