"""Tables as text."""

from analysis.tables.layout import Table, markdown, text


def test_a_missing_cell_is_empty_and_numbers_are_not_touched():
    cells = [["a", "", "1.230"], ["long name", "x", ""]]
    assert text(("", "one", "two"), cells).splitlines() == [
        "           one    two",
        "a               1.230",
        "long name    x",
    ]
    assert Table("name", "title", "how", ("", "one", "two"), cells).text() == text(("", "one", "two"), cells)


def test_markdown_has_a_line_a_row():
    lines = markdown(("claim", "ours"), [["1. x", "0.10"]]).splitlines()
    assert [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[::2]] == [
        ["claim", "ours"],
        ["1. x", "0.10"],
    ]
