"""``--video`` over many videos: each read on its own into one result set, whatever happens to the others.

::

    inputs.py       a folder, a pattern or a list of videos -> the videos, each with its place in the output folder
    tasks.py        one video: Task -> Outcome, in whatever process, without an exception
    engines.py      where tasks run: in this process or in several
    ray_cluster.py  the same on a Ray cluster
    summary.py      the table, as text and as summary.csv
    run.py          the order of these

``stemo/modes/standing.py`` says what lies in a video's place already.
"""
