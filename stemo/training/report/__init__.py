"""The evaluation report and the model card.

::

    evaluation.py   what was scored: truth, probabilities, faces, groups
    statistics.py   precision, recall, F1 and their intervals      ranking.py      ROC, precision-recall
    calibration.py  is a confidence a probability?                 groups.py       the same figures group by group
    curves.py       the training run, from its TensorBoard files
    themes.py, figures.py, plots.py, sheets.py                     pictures, light and dark
    style.py, markup.py, page.py                                   the page
    writing.py      all of it into one folder
    measured.py     figures as JSON holds them, crops beside end to end
    recording.py    figures of an evaluation into the JSON beside weights
    card.py         the model card, from that JSON
"""
