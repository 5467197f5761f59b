"""Sharing the processors among the stages: each library works on one, so that they do not wait for each other."""

from __future__ import annotations


def share_processors() -> None:
    """Let torch and OpenCV work on the thread that calls them; the network's engine has threads of its own.

    For a whole command only: these are settings of the process.
    """
    import cv2
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
