"""Stage 2, Frame -> list[Face]: detect, landmarks and blendshapes, stable track ids, aligned crops; scene objects.

::

    Frame -> finding (landmarks, detection) -> tracking -> alignment -> list[Face]
    Frame -> objects (in the background)    -> list[SceneObject]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stemo.faces.analyzer import FaceAnalyzer
    from stemo.faces.objects import ObjectDetector

__all__ = ["FaceAnalyzer", "ObjectDetector"]


def __getattr__(name: str) -> Any:
    # the models' libraries are imported with the first name that needs them, not with the package
    if name == "FaceAnalyzer":
        from stemo.faces.analyzer import FaceAnalyzer

        return FaceAnalyzer
    if name == "ObjectDetector":
        from stemo.faces.objects import ObjectDetector

        return ObjectDetector
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
