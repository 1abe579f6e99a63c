"""SUMO's command line, and files whose paths SUMO would split."""

import gzip
from itertools import pairwise

import pytest

from genreplay.envs.sumo.simulator.command import Options, episode_files, sumo_command
from tests.helpers.refusal import refusal

OPTIONS = Options(7, 3, 120)


def options_of(command):
    """Options with values, by name."""
    return {name: value for name, value in pairwise(command) if name.startswith("--")}


def test_a_network_is_used_where_it_lies(tmp_path):
    files = episode_files(tmp_path / "worker", tmp_path / "my net.net.xml")
    assert files.network == tmp_path / "my net.net.xml"
    given = options_of(sumo_command("sumo", files, OPTIONS))
    assert (given["--begin"], given["--seed"], given["--ignore-junction-blocker"]) == ("7", "3", "120")
    assert given["--error-log"] == str(tmp_path / "worker/sumo.log")
    assert "--additional-files" not in given
    assert "--junction-taz" not in sumo_command("sumo", files, OPTIONS)


def test_additional_file_and_programme_are_both_named(tmp_path):
    files = episode_files(tmp_path, tmp_path / "a.net.xml")
    command = sumo_command("sumo", files, OPTIONS._replace(has_programme=True, has_additional=True))
    assert options_of(command)["--additional-files"] == f"{files.additional},{files.programme}"
    assert "--junction-taz" in sumo_command("sumo", files, OPTIONS._replace(has_junction_zones=True))


@pytest.mark.parametrize("name", ["a,b.net.xml", "${HOME}.net.xml.gz"])
def test_a_network_that_sumo_would_split_is_copied(tmp_path, name):
    (tmp_path / name).write_bytes(gzip.compress(b"<net/>"))
    folder = tmp_path / "worker"
    folder.mkdir()
    files = episode_files(folder, tmp_path / name)
    assert files.network.parent == folder
    assert files.network.read_bytes() == (tmp_path / name).read_bytes()
    assert files.network.name.endswith(".gz") == name.endswith(".gz")


def test_a_temporary_folder_that_sumo_would_split_is_refused(tmp_path):
    folder = tmp_path / "a,b" / "worker"
    assert refusal(lambda: episode_files(folder, tmp_path / "a.net.xml")) == (
        f"env: SUMO splits the path of the temporary folder {tmp_path / 'a,b'}; set the environment variable TMPDIR to "
        "a folder whose path has no comma and no ${"
    )
