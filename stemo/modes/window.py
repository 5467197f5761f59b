"""The window of the live mode, and the question whether this machine can show one, asked without risk."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping

from stemo.errors import OutputError
from stemo.records import Image

LARGEST = (1280, 800)  # pixels: a larger picture opens scaled down to this; the user may resize it
QUIT_KEYS = {ord("q"), ord("Q"), 27}
PATIENCE = 15.0  # seconds for a display to answer
ADVICE = "Add --no-window, with --record OUT.mp4 or --output OUT."

# leaves before the toolkit has drawn anything, so that no window flashes up
PROBE = "import os, cv2; cv2.namedWindow('stemo'); os._exit(0)"


def check_display(environment: Mapping[str, str] | None = None) -> None:
    """Raise :class:`OutputError` where no window can be opened: no display, a refusing one, or OpenCV without windows.

    GUI toolkits end the whole process where a display refuses them, so on Linux a short-lived process tries first.
    """
    environment = os.environ if environment is None else environment
    if not _has_windows():
        raise _no_window("an OpenCV with windows", "one without (pip install opencv-python)")
    if not sys.platform.startswith("linux"):
        return
    named = any(environment.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"))
    if not named:
        raise _no_window("a display", "neither DISPLAY nor WAYLAND_DISPLAY")
    if (refusal := _refusal(environment)) is not None:
        raise _no_window("a display that accepts windows", refusal)


class Window:
    """A window that shows pictures, until the user presses q or closes it. Opens with the first picture.

    Call :meth:`pump` many times a second, from the main thread, or the window does not react.
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self.closed = False
        self._open = False

    def show(self, image: Image) -> None:
        """Show a picture (h w 3), RGB."""
        import cv2

        if self.closed:
            return
        if not self._open:
            _open_window(self.title)
            cv2.resizeWindow(self.title, *opening_size(image.shape[1], image.shape[0]))
            self._open = True
        cv2.imshow(self.title, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        self.pump()

    def pump(self) -> None:
        """Let the window react; sets :attr:`closed` when the user wants to end."""
        import cv2

        if not self._open or self.closed:
            return
        pressed = cv2.waitKey(1)
        self.closed = not _is_visible(self.title) or (pressed != -1 and pressed & 0xFF in QUIT_KEYS)

    def close(self) -> None:
        """Take the window away; may be called twice."""
        import cv2

        self.closed = True
        if self._open:
            self._open = False
            cv2.destroyAllWindows()


def _open_window(title: str) -> None:
    """Open a window of that title, on Linux while another one is open, which is gone before anything is drawn in it.

    Qt may lose the first events of a display on a busy machine, and a window that is never told that it is seen stays
    black: with five times the work that it can do, every second first window does, and one of ten opened so.
    """
    import cv2

    style = cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL
    linux = sys.platform.startswith("linux")
    if linux:
        cv2.namedWindow("stemo", style)
    cv2.namedWindow(title, style)
    if linux:
        cv2.destroyWindow("stemo")


def _is_visible(title: str) -> bool:
    import cv2

    try:
        return cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) >= 1
    except cv2.error:  # Qt ends with its last window, and there is nothing left to ask
        return False


def opening_size(width: int, height: int) -> tuple[int, int]:
    """The size in pixels at which a picture is first shown: its own, or as large as fits :data:`LARGEST`."""
    scale = min(1.0, LARGEST[0] / width, LARGEST[1] / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _has_windows() -> bool:
    import cv2

    lines = (line.split() for line in cv2.getBuildInformation().splitlines())
    return not any(words[:2] == ["GUI:", "NONE"] for words in lines)


def _refusal(environment: Mapping[str, str]) -> str | None:
    """What a process that tried to open a window complained of; ``None`` where it could."""
    try:
        tried = subprocess.run(
            [sys.executable, "-c", PROBE],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {PATIENCE:g} s"
    if tried.returncode == 0:
        return None
    lines = tried.stderr.strip().splitlines() or [f"exit code {tried.returncode}"]
    return textwrap.shorten(lines[0], 120).rstrip(".")


def _no_window(expected: str, got: str) -> OutputError:
    return OutputError(f"window 'stemo' cannot be opened: expected {expected}, got {got}. {ADVICE}")
