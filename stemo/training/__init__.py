"""How the weights are made: data sets, augmentation, three stages of training, evaluation. ``run.py`` is the order."""
