"""The one palette of everything that stemo draws. RGB, 0 to 255.

The emotion colours descend from Okabe and Ito's set, which readers with any common colour blindness can tell apart,
lightened to read on dark glass. A colour never speaks alone: its word is always beside it.
"""

from __future__ import annotations

from typing import TypeAlias

Colour: TypeAlias = tuple[int, int, int]

INK: Colour = (13, 16, 23)  # the glass of panels, and every shadow
FAINT: Colour = (27, 31, 41)  # the height that a column could reach
LINE: Colour = (62, 69, 84)  # rules and empty tracks
MUTED: Colour = (152, 161, 176)  # words that are always there
TEXT: Colour = (238, 241, 246)  # words that carry the reading
QUIET: Colour = (206, 212, 222)  # scene objects and hints

VALENCE: Colour = (120, 214, 232)
AROUSAL: Colour = (246, 170, 92)

EMOTION_COLOURS: dict[str, Colour] = {
    "Angry": (240, 104, 68),
    "Disgust": (46, 190, 140),
    "Fear": (166, 138, 240),
    "Happy": (247, 205, 77),
    "Neutral": (186, 195, 208),
    "Sad": (92, 160, 236),
    "Surprise": (236, 138, 196),
}


def emotion_colour(label: str) -> Colour:
    """The colour of an emotion; a label of somebody else's model gets the neutral one."""
    return EMOTION_COLOURS.get(label, EMOTION_COLOURS["Neutral"])
