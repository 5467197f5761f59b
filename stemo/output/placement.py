"""Where a panel goes: beside its face, never on one, and calm from frame to frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass

from stemo.records import Box, State

PATIENCE = 1.0  # seconds that a better layout must stay possible before the panel changes
GLIDE = 0.25  # share of the way to its target that a panel moves per frame
SIDES = ("right", "left", "below", "above")
CORNERS = ("top right", "top left", "bottom right", "bottom left")


@dataclass(frozen=True, slots=True)
class Layout:
    """A way to draw a panel: its name, and its size in pixels."""

    name: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Spot:
    """A chosen place: the layout, where it hangs, and its upper left corner in pixels."""

    layout: Layout
    anchor: str
    x: float
    y: float

    @property
    def box(self) -> Box:
        """The area that the panel takes."""
        return (self.x, self.y, self.x + self.layout.width, self.y + self.layout.height)


@dataclass(slots=True)
class _Memory:
    spot: Spot
    time: float
    better_since: float | None = None


class Placer:
    """Finds a spot for the panel of every face, and remembers it per track so that panels do not jump.

    A panel keeps its layout and side while they still fit; it takes a richer layout only after that has been possible
    for :data:`PATIENCE`; small movements are ignored and larger ones followed gently.
    """

    def __init__(self) -> None:
        self._memories: dict[int, _Memory] = {}

    def place(
        self,
        faces: Sequence[tuple[int, Box]],
        layouts: Sequence[Layout],
        frame: tuple[int, int],
        gap: float,
        time: float,
    ) -> dict[int, Spot]:
        """A spot for each ``(track id, box)``.

        ``layouts`` come richest first, ``frame`` is (width, height), ``gap`` the pixels between a box and its panel.
        """
        self._memories = {key: value for key, value in self._memories.items() if 0 <= time - value.time <= PATIENCE}
        spots: dict[int, Spot] = {}
        for track_id, box in sorted(faces):
            others = [other for other_id, other in faces if other_id != track_id]
            scene = _Scene(box, others, [spot.box for spot in spots.values()], frame, gap)
            spots[track_id] = self._settle(track_id, scene, layouts, time)
        return spots

    def state(self) -> State:
        """Where each panel is."""
        return {"memories": [(track_id, *astuple(memory)) for track_id, memory in self._memories.items()]}

    def restore(self, state: State) -> None:
        """Go on from :meth:`state`."""
        self._memories = {
            track_id: _Memory(Spot(Layout(*layout), *place), time, better_since)
            for track_id, (layout, *place), time, better_since in state["memories"]
        }

    def _settle(self, track_id: int, scene: _Scene, layouts: Sequence[Layout], time: float) -> Spot:
        best = _cheapest(scene, layouts)
        memory = self._memories.get(track_id)
        if memory is None:
            self._memories[track_id] = _Memory(best[1], time)
            return best[1]
        chosen = self._choose(memory, _again(memory.spot, scene, layouts), best, time)
        spot = _glide(memory.spot, chosen, scene) if _same(memory.spot, chosen) else chosen
        memory.spot, memory.time = spot, time
        return spot

    @staticmethod
    def _choose(memory: _Memory, kept: tuple[float, Spot] | None, best: tuple[float, Spot], time: float) -> Spot:
        if kept is None or (kept[0] >= _BLOCKED and best[0] < kept[0]):
            memory.better_since = None
            return best[1]
        if best[1].layout == kept[1].layout or best[0] >= kept[0]:
            memory.better_since = None
            return kept[1]
        memory.better_since = time if memory.better_since is None else memory.better_since
        if time - memory.better_since < PATIENCE:
            return kept[1]
        memory.better_since = None
        return best[1]


_BLOCKED = 1000.0  # the cost from which a spot covers something


@dataclass(frozen=True, slots=True)
class _Scene:
    """What one panel has to get along with."""

    face: Box
    others: Sequence[Box]
    panels: Sequence[Box]
    frame: tuple[int, int]
    gap: float

    def spots(self, layout: Layout) -> Iterator[Spot]:
        x1, y1, x2, y2 = self.face
        rows = {"top": y1, "centre": (y1 + y2 - layout.height) / 2, "bottom": y2 - layout.height}
        columns = {"centre": (x1 + x2 - layout.width) / 2, "left": x1, "right": x2 - layout.width}
        places = {f"right {name}": (x2 + self.gap, y) for name, y in rows.items()}
        places |= {f"left {name}": (x1 - self.gap - layout.width, y) for name, y in rows.items()}
        places |= {f"below {name}": (x, y2 + self.gap) for name, x in columns.items()}
        places |= {f"above {name}": (x, y1 - self.gap - layout.height) for name, x in columns.items()}
        for anchor in CORNERS:
            places[f"corner {anchor}"] = (1e9 if "right" in anchor else -1e9, 1e9 if "bottom" in anchor else -1e9)
        for anchor, (x, y) in places.items():
            yield Spot(layout, anchor, self._inside(x, layout.width, 0), self._inside(y, layout.height, 1))

    def cost(self, spot: Spot, rank: int) -> float:
        """Low is good: richer layouts and earlier sides first; :data:`_BLOCKED` and more where something is covered."""
        kind = spot.anchor.split()[0]
        price = rank * 10 + ((*SIDES, "corner").index(kind))
        covered = 40 * _share(spot.box, self.face, self.face)
        covered += sum(12 * _share(spot.box, other, other) for other in self.others)
        covered += sum(8 * _share(spot.box, other, spot.box) for other in self.panels)
        outside = spot.layout.width > self.frame[0] or spot.layout.height > self.frame[1]
        return price + (_BLOCKED * (1 + covered) if covered > 0 else 0.0) + (1e6 if outside else 0.0)

    def _inside(self, position: float, size: float, axis: int) -> float:
        margin = self.gap * 0.75
        return max(margin, min(position, self.frame[axis] - margin - size))


def _cheapest(scene: _Scene, layouts: Sequence[Layout]) -> tuple[float, Spot]:
    """The spot that costs least, with its cost; of equal ones the first."""
    least: tuple[float, Spot] | None = None
    for rank, layout in enumerate(layouts):
        for spot in scene.spots(layout):
            cost = scene.cost(spot, rank)
            if least is None or cost < least[0]:
                least = cost, spot
            if least[0] < _BLOCKED:
                return least  # spots come in the order of their price, so all that follow cost as much or more
    assert least is not None
    return least


def _again(spot: Spot, scene: _Scene, layouts: Sequence[Layout]) -> tuple[float, Spot] | None:
    """The spot with the layout and anchor of an earlier one, with its cost; ``None`` if that layout is not offered."""
    for rank, layout in enumerate(layouts):
        if layout == spot.layout:
            return next((scene.cost(new, rank), new) for new in scene.spots(layout) if new.anchor == spot.anchor)
    return None


def _glide(old: Spot, target: Spot, scene: _Scene) -> Spot:
    """Part of the way from ``old`` to ``target``, unless that would lie on a face."""
    still = scene.gap * 0.3
    moves = (target.x - old.x, target.y - old.y)
    x, y = (0.0 if abs(move) < still else GLIDE * move for move in moves)
    spot = Spot(target.layout, target.anchor, old.x + x, old.y + y)
    covers = any(_share(spot.box, box, box) > 0 for box in (scene.face, *scene.others, *scene.panels))
    return target if covers else spot


def _same(one: Spot, other: Spot) -> bool:
    return one.layout == other.layout and one.anchor == other.anchor


def _share(one: Box, other: Box, whole: Box) -> float:
    """The area common to two boxes, as a share of ``whole``."""
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    if across <= 0 or down <= 0:
        return 0.0
    return across * down / max(1e-9, (whole[2] - whole[0]) * (whole[3] - whole[1]))
