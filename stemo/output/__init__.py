"""Stage 5: what is known about a frame becomes something to look at or to compute with.

- ``hud``      draws a result on its picture (``palette``, ``text``, ``panels``, ``placement``)
- ``video``    writes pictures as H.264 with the source's sound (``sound``), in the ``background``
- ``data``     turns results into rows; ``schema.json`` describes them
- ``writers``  write rows as JSON, JSONL, CSV, Parquet
- ``meta``     writes the facts about a run beside its rows
- ``journal``  keeps the rows, ``pieces`` the video and ``saved`` the states of a run that can be resumed
- ``contact``  gathers a sheet of evenly spaced thumbnails
- ``pending``  every file above is written as ``name.part`` and renamed when complete
"""
