"""Files that users ask for: whole or not at all, and one line where they cannot be written."""

import pytest

from genreplay.common.files import make_folder, read_csv, whole, write_csv
from tests.helpers.refusal import refusal


def test_a_table_has_the_columns_of_all_rows(tmp_path):
    path = tmp_path / "x.csv"
    write_csv(path, [{"a": 1, "b": "x, y"}, {"a": 2, "c": 0.5}])
    assert path.read_bytes() == b'a,b,c\n1,"x, y",\n2,,0.5\n'
    assert read_csv(path) == [{"a": "1", "b": "x, y", "c": ""}, {"a": "2", "b": "", "c": "0.5"}]
    write_csv(path, [{"a": 1, "b": 2}], ["b"])
    assert path.read_text() == "b\n2\n"


def test_a_file_is_whole_or_as_it_was(tmp_path):
    path = tmp_path / "new" / "x.txt"
    with whole(path) as part:
        part.write_text("one")
        assert not path.exists()
    assert path.read_text() == "one"
    with pytest.raises(UnicodeEncodeError), whole(path) as part:
        part.write_text("two \ud800", encoding="utf-8")
    assert path.read_text() == "one"


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    assert refusal(lambda: make_folder(tmp_path / "file")) == (
        f"--output {tmp_path}/file: cannot be written to (File exists); name another folder"
    )
