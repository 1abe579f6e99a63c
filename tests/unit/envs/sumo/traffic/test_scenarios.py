from genreplay.envs.sumo.config import SumoConfig
from genreplay.envs.sumo.traffic.scenarios import resolve
from tests.helpers.refusal import refusal


def test_unknown_scenario():
    assert refusal(lambda: resolve(SumoConfig(scenario="cologne7"))) == (
        "env.scenario: there is no scenario 'cologne7'; choose one of 2way, single, cologne1, ingolstadt1, or set "
        "env.net_file to a map of your own"
    )


def test_missing_files_are_named(tmp_path):
    assert (
        refusal(lambda: resolve(SumoConfig(net_file=str(tmp_path / "a.net.xml"))))
        == f"env.net_file: there is no file {tmp_path / 'a.net.xml'}; write the path of one"
    )
    net_file = str(resolve(SumoConfig(scenario="2way")).net_file)
    assert (
        refusal(lambda: resolve(SumoConfig(net_file=net_file, route_file=str(tmp_path / "b.rou.xml"))))
        == f"env.route_file: there is no file {tmp_path / 'b.rou.xml'}; write the path of one"
    )


def test_default_scenario_and_overridden_times():
    scenario = resolve(SumoConfig(episode_seconds=90, begin_time=7))
    assert scenario == resolve(SumoConfig(scenario="2way", episode_seconds=90, begin_time=7))
    assert (scenario.begin_time, scenario.episode_seconds, scenario.route_files) == (7, 90, ())


def test_several_route_files_are_separated_by_commas(tmp_path):
    net_file = str(resolve(SumoConfig(scenario="2way")).net_file)
    first, second, odd = (tmp_path / name for name in ("a.rou.xml", "b.rou.xml", "a,b.rou.xml"))
    for path in (first, second, odd):
        path.touch()
    named = {
        text: resolve(SumoConfig(net_file=net_file, route_file=text)).route_files
        for text in (f"{first}, {second}", str(odd))
    }
    assert list(named.values()) == [(first, second), (odd,)]
    missing = f"{first},{tmp_path / 'c.rou.xml'}"
    assert refusal(lambda: resolve(SumoConfig(net_file=net_file, route_file=missing))) == (
        f"env.route_file: there is no file {tmp_path / 'c.rou.xml'}; write the path of one"
    )


def test_additional_files_must_exist(tmp_path):
    net_file = str(resolve(SumoConfig(scenario="2way")).net_file)
    assert refusal(lambda: resolve(SumoConfig(net_file=net_file, additional_files=[str(tmp_path / "a.xml")]))) == (
        f"env.additional_files: there is no file {tmp_path / 'a.xml'}; write the path of one"
    )
