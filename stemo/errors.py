"""Everything that stemo raises on purpose.

::

    StemoError                 the base; the CLI prints it in one line and exits with its `exit_code`
    ├── InputError        (2)  the input cannot be read: missing, empty, not a video, no camera
    │   └── TruncatedError(3)  the input ended early; what was decoded has been kept
    ├── OutputError       (2)  the output cannot be written: exists, unwritable, disk full
    ├── ConfigError       (2)  a setting or flag is unknown or out of range
    ├── WeightsError      (2)  weights are unreadable, tampered, of another kind, or pickled
    │   └── MissingError  (2)  weights are nowhere to be found
    └── DataError         (2)  a training or evaluation data set is not laid out as expected

Messages follow one pattern: ``<thing> <value!r> <problem>: expected <...>, got <...>. <next step>``.
"""


class StemoError(Exception):
    """Base of all of stemo's own errors."""

    exit_code = 2


class InputError(StemoError):
    """The input cannot be read."""


class TruncatedError(InputError):
    """The input ended early; everything decoded before has been kept."""

    exit_code = 3


class OutputError(StemoError):
    """The output cannot be written."""


class ConfigError(StemoError):
    """A setting is unknown or out of range."""


class WeightsError(StemoError):
    """Weights are unreadable, tampered with, of another kind, or pickled."""


class MissingError(WeightsError):
    """Weights are nowhere to be found: neither on this machine nor, where it is online, at their address."""


class DataError(StemoError):
    """A data set is not laid out as expected."""
