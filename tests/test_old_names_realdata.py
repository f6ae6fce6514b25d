"""The starter table of old names against another list of the 2025 mergers.

The other list is not part of the project; without it the comparison is skipped.
"""

import csv
import json
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

STARTER = Path(__file__).resolve().parents[1] / "layers" / "starter"
REALDATA = Path(__file__).resolve().parents[2] / "shared" / "realdata"
MERGES = REALDATA / "boundaries" / "haiphong_merges_new_to_old_2025.json"


def read(name):
    with (STARTER / name).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def spelling(text):
    """Letters and, for each syllable, its tone: hoà and hòa are one spelling."""
    syllables = []
    for word in unicodedata.normalize("NFD", text.casefold()).split():
        tone = "".join(char for char in word if char in "\u0300\u0301\u0303\u0309\u0323")
        syllables.append("".join(char for char in word if char not in tone) + tone)
    return " ".join(syllables)


ROWS = read("old_names.csv")


def test_columns_and_vocabulary():
    assert list(ROWS[0]) == [
        "ward_code",
        "old_name_vi",
        "old_type_vi",
        "old_district_vi",
        "part",
        "source",
        "source_date",
        "confidence",
    ]
    assert {row["old_type_vi"] for row in ROWS} == {"phường", "xã", "thị trấn", ""}
    assert {row["part"] for row in ROWS} <= {"whole", "part", "unknown"}
    assert {row["confidence"] for row in ROWS} <= {"high", "medium", "low"}
    for row in ROWS:
        assert row["old_name_vi"] == unicodedata.normalize("NFC", row["old_name_vi"]).strip()
        assert row["source"].count(" | ") == row["source_date"].count(" | ")


def test_every_ward_is_covered_and_known():
    assert {row["ward_code"] for row in ROWS} == {row["code"] for row in read("wards.csv")}


def test_whole_means_one_new_unit_and_part_more_than_one():
    def old(row):
        return row["old_name_vi"], row["old_type_vi"], row["old_district_vi"]

    count = Counter(map(old, ROWS))
    assert len({(row["ward_code"], old(row)) for row in ROWS}) == len(ROWS)
    for row in ROWS:
        assert (count[old(row)] > 1) == (row["part"] == "part"), row


@pytest.mark.skipif(not MERGES.exists(), reason="no other list to compare with")
def test_agrees_with_another_list():
    new_units = json.loads(MERGES.read_text(encoding="utf-8"))["data"][0]["level2s"]
    other = {
        (unit["level2_id"], spelling(old["name"])): {"full": "whole", "partial": "part"}[old["type"]]
        for unit in new_units
        for old in unit["merges"]
    }
    ours = {(row["ward_code"], spelling(f"{row['old_type_vi']} {row['old_name_vi']}")): row["part"] for row in ROWS}
    same_name = ours.keys() & other.keys()
    same_part = {key for key in same_name if ours[key] == other[key]}
    print(
        f"{len(ours)} rows, {len(same_name)} with the same name, {len(same_part)} also with the same part; "
        f"{len(other.keys() - ours.keys())} only in the other list"
    )
    assert len(same_name) >= 0.95 * len(ours)
    assert len(same_part) >= 0.95 * len(ours)
    assert len(same_name) >= 0.95 * len(other)
