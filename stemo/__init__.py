"""stemo reads facial expression in video: seven probabilities, valence and arousal for every frame and face.

::

    capture/  ->  faces/  ->  network/  ->  insight/  ->  output/
    Frame         Face        Affect        smoothed      video, JSON, ...
      file          detect      CNN           readings      drawing
      camera        landmarks   attention                   writers
      folder        track       fusion
      stream        align       heads

The stages meet in ``records.py``; ``pipeline.py`` is the one file that knows their order; ``modes/`` are what the
command line offers over it. ``training/`` makes the weights that ``network/`` loads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stemo.errors import StemoError

if TYPE_CHECKING:
    from stemo.recognizer import Recognizer
    from stemo.records import EMOTIONS, Affect, Face, Frame, FrameResult, Reading, SceneObject

__version__ = "0.3.4"
__all__ = [
    "EMOTIONS",
    "Affect",
    "Face",
    "Frame",
    "FrameResult",
    "Reading",
    "Recognizer",
    "SceneObject",
    "StemoError",
    "__version__",
]


def __getattr__(name: str) -> object:
    """Import what needs other packages only when it is asked for: ``--doctor`` tells which of them are missing."""
    if name == "Recognizer":
        from stemo.recognizer import Recognizer

        return Recognizer
    if name in __all__:
        from stemo import records

        return getattr(records, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
