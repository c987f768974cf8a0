"""The evidence that a measurement leaves: a record of one line, and sums of each sentence or image for resampling.

- `record`: `Record`, one model on one split in one mode at one temperature, and its signature.
- `model`: `Model`, who was measured.
- `files`: reading and appending records, and files that appear whole.
- `provenance`: hashes and versions.
- `items`: the Parquet files beside the records.

Reading records needs neither torch nor fairseq.
"""

from ..smoothing.kinds import Smoothing
from .files import append, read, written_whole
from .model import Model, Sight, Teacher
from .provenance import code_hash, sha256_of, versions
from .record import SCHEMA, Record, RecordError, TeacherRun

__all__ = [
    "SCHEMA",
    "Model",
    "Record",
    "RecordError",
    "Sight",
    "Smoothing",
    "Teacher",
    "TeacherRun",
    "append",
    "code_hash",
    "read",
    "sha256_of",
    "versions",
    "written_whole",
]
