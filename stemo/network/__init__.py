"""Clip -> affect: spatial CNN, temporal, channel and spatial attention, landmark stream, fusion, heads.

Pure tensors: no pictures from disk, no OpenCV, no settings. ``model.py`` is the whole network on one screen.
"""
