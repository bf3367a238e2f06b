"""Tables and summaries in plain text: aligned, and with nothing that a terminal would obey."""

from __future__ import annotations

from fashion_udf import console


def test_a_summary_shows_counts_and_shares_largest_first() -> None:
    counts = {"accepted": 7687, "status.image_none": 87, "status.ok": 7600, "rejected": 0, "modality.both": 1}
    assert console.summary(counts) == (
        "run       rows\n"
        "--------  ----\n"
        "accepted  7687\n"
        "rejected     0\n"
        "\n"
        "status      rows  share\n"
        "----------  ----  ------\n"
        "ok          7600  98.9 %\n"
        "image_none    87  1.1 %\n"
        "\n"
        "modality  rows  share\n"
        "--------  ----  -------\n"
        "both         1  100.0 %\n"
    )


def test_a_summary_of_nothing_is_empty() -> None:
    assert console.summary({}) == ""
    assert console.summary({"status.ok": 0}).splitlines()[2] == "ok         0  0.0 %"


def test_a_table_aligns_numbers_right_and_words_left() -> None:
    assert console.table(("id", "confidence"), [("007", 0.5), ("a", None)]) == (
        "id   confidence\n---  ----------\n007       0.500\na          null\n"
    )


def test_an_escape_sequence_in_the_data_never_reaches_the_terminal() -> None:
    text = console.table(("a\x1b[2J",), [("\x1b]0;owned\x07\n\u202e",), ("Größe",)])
    assert "\x1b" not in text and "\\x1b]0;owned\\x07\\n\\u202e" in text and "Größe" in text
    assert text.count("\n") == 4
