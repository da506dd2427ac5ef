"""The records department's own part of a manifest: all that turns a record into a prediction."""

from polyclinic.diagnosis.answers import AnswerSpec
from polyclinic.diagnosis.records.inputs import Encoding

KIND = "diagnosis.record"


class RecordSpec(AnswerSpec):
    """What serving needs beside the model: which variables become which features."""

    encoding: Encoding
