"""Films of a policy: what the camera notes is what SUMO says, pictures differ and contain vehicles."""

import itertools
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from genreplay import cli
from genreplay.common.errors import UserError
from genreplay.envs.facets import BaselineRun, FilmRequest
from genreplay.envs.sumo.config import SumoConfig
from genreplay.envs.sumo.pictures.film import record_policy
from genreplay.envs.sumo.pictures.traffic import MOVING, SLOW, STANDING
from genreplay.envs.sumo.simulator.recorder import KINDS
from genreplay.envs.sumo.world import SumoWorld
from genreplay.reporting.film import film
from genreplay.runs.policy import load_policy
from tests.helpers.paths import DATA
from tests.helpers.saved import save_untrained

CONFIG = "env: {name: sumo, scenario: 2way, episode_seconds: 300}\nagent: {hidden_width: 16}\n"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_untrained(tmp_path_factory.mktemp("saved"), CONFIG)


def num_pixels(picture: np.ndarray, color: str) -> int:
    wanted = np.array(to_rgb(color)) * 255
    return int((np.abs(picture.astype(float) - wanted).max(axis=-1) < 12).sum())


def test_the_gif_moves_and_contains_vehicles(saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    gif = tmp_path / "pictures" / "film.gif"
    command = ["render", "--checkpoint", str(saved), "--demand", "1800", "--begin", "120", "--seconds", "40"]
    assert cli.main([*command, "--stride", "5", "--baseline", "--output", str(gif)]) == 0
    assert capsys.readouterr().out.startswith(f"{gif}: 8 pictures, ")
    film: Any
    with Image.open(gif) as film:
        assert film.n_frames == 8
        frames = []
        for number in range(film.n_frames):
            film.seek(number)
            frames.append(np.asarray(film.convert("RGB")))
    for before, after in itertools.pairwise(frames):
        assert (before != after).any(axis=-1).sum() > 200, "vehicles and clock move from picture to picture"
    half = frames[0].shape[1] // 2
    map_rows = slice(75, 600)  # below the title, above who waits longest
    for side in (slice(0, half), slice(half, None)):
        vehicles = [
            sum(num_pixels(frame[map_rows, side], color) for color in (STANDING, SLOW, MOVING)) for frame in frames
        ]
        assert min(vehicles) > 300, "in the policy's panel and in the baseline's"


def test_an_mp4_shows_the_same_pictures(saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    command = ["render", "--checkpoint", str(saved), "--demand", "1800", "--begin", "120", "--seconds", "20"]
    for name in ("film.mp4", "film.gif"):
        assert cli.main([*command, "--stride", "5", "--output", str(tmp_path / name)]) == 0
        assert capsys.readouterr().out.startswith(f"{tmp_path / name}: 4 pictures, ")
    with av.open(str(tmp_path / "film.mp4")) as video:
        stream = video.streams.video[0]
        assert (stream.codec_context.name, stream.average_rate) == ("h264", 10)
        pictures = [frame.to_ndarray(format="rgb24").astype(float) for frame in video.decode(stream)]
    assert len(pictures) == 4
    with Image.open(tmp_path / "film.gif") as gif:
        for number, picture in enumerate(pictures):
            gif.seek(number)
            still = np.asarray(gif.convert("RGB"), dtype=float)
            here = np.abs(still - picture).mean()
            others = [np.abs(still - other).mean() for i, other in enumerate(pictures) if i != number]
            assert here < 8, "but for what compressing loses (of 255)"
            assert here < min(others)


def test_mp4_without_its_package_says_what_to_do(
    saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genreplay.reporting.film.find_spec", lambda name: None)
    assert cli.main(["render", "--checkpoint", str(saved), "--output", str(tmp_path / "film.mp4")]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "film.mp4: MP4 needs PyAV; get it with: pip install 'genreplay[video]'" in err


def test_the_camera_notes_each_second_of_its_window(saved: Path) -> None:
    loaded: Any = load_policy(saved)
    env = loaded.world.make_env(1, lambda worker, index: 0, evaluation=True)
    try:
        env.film = (100, 160)
        frames = record_policy(env, loaded.policy, 3, 160)
        again = record_policy(env, loaded.policy, 3, 160)
        env.film = None
        assert record_policy(env, loaded.policy, 3, 160) == []
    finally:
        env.close()
    assert [frame["second"] for frame in frames] == list(range(101, 161))
    assert [frame["clock"] for frame in frames] == list(range(101, 161))
    assert again == frames
    greens = [stage.state for stage in loaded.world.intersection.plan.stages]
    assert {frame["state"] for frame in frames} & set(greens)
    for before, after in itertools.pairwise(frames):
        assert after["held"] == (before["held"] + 1 if after["state"] == before["state"] else 1)
    for frame in frames:
        # Who stands on an approach is among those who stand anywhere (SUMO's threshold: 0.1 m/s).
        assert sum(frame["halting"]) <= sum(vehicle[3] < 0.1 for vehicle in frame["vehicles"])
    assert max(sum(frame["halting"]) for frame in frames) > 0


def frames_of(name: str, seconds: int) -> list[dict[str, Any]]:
    """The map's own plan with the traffic of a case."""
    files = {"net_file": f"{DATA}/signals/{name}.net.xml", "route_file": f"{DATA}/signals/{name}.rou.xml"}
    env = SumoWorld(SumoConfig(**files, episode_seconds=seconds)).make_env(1, lambda *_: 0, evaluation=True)
    try:
        env.film = (0, seconds)
        env.play_baseline(BaselineRun("fixed_plan"), {0: 5})
        return env.frames(0)
    finally:
        env.close()


def test_people_are_seen_and_their_wait_counts() -> None:
    frames = frames_of("ped", 240)
    assert max(len(frame["people"]) for frame in frames) > 3
    waits = [frame["longest"] for frame in frames if frame["longest"] is not None]
    assert {KINDS[wait[1]] for wait in waits} == {"car", "pedestrian"}
    for before, after in itertools.pairwise(frames):
        if before["longest"] and after["longest"]:
            assert after["longest"][0] <= before["longest"][0] + 1, "a second at a time"
    for frame in frames:
        stand = [vehicle for vehicle in frame["vehicles"] if vehicle[3] < 0.1]
        stand += [[x, y, 0.0, speed] for x, y, speed in frame["people"] if speed < 0.1]
        places = [(vehicle[0], vehicle[1]) for vehicle in stand]
        assert frame["longest"] is None or tuple(frame["longest"][3:5]) in places, "somebody who stands now"


def test_trams_and_lorries_are_told_from_cars() -> None:
    """The tram that waits before the light is found, in the approach of its track."""
    frames = frames_of("tram", 240)
    lengths: dict[str, set[float]] = {}
    for frame in frames:
        for vehicle in frame["vehicles"]:
            lengths.setdefault(KINDS[vehicle[6]], set()).add(vehicle[4])
    assert lengths == {"car": {5.0}, "bus": {12.0}, "tram": {22.0}, "lorry": {7.1}}


def test_filming_changes_nothing(saved: Path) -> None:
    world = load_policy(saved).world
    episodes = []
    for window in (None, (0, 300)):
        env = world.make_env(1, lambda worker, index: 0, evaluation=True)
        env.film = window
        episodes.append(env.play_baseline(BaselineRun("fixed_plan"), {0: 3})[0])
        env.close()
    assert episodes[0] == episodes[1]


def test_mistakes_are_one_line(saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    checkpoint = ["--checkpoint", str(saved)]
    for argv, message in (
        ([*checkpoint, "--begin", "300"], "--begin 300: the episode has 300 s; begin before its end"),
        ([*checkpoint, "--demand", "rainy"], "--demand rainy: there is no such demand"),
        ([*checkpoint, "--baseline", "constant_plan"], "--baseline constant_plan: cannot be filmed; choose one of"),
        ([*checkpoint, "--stride", "0"], "argument --stride: must be a whole number from 1 on, not '0'"),
        ([*checkpoint, "env.min_green=6"], "env.min_green=6: has no effect here"),
        (["--checkpoint", str(tmp_path)], "holds no checkpoint"),
    ):
        assert cli.main(["render", *argv]) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1), err
        assert message in err


def test_a_world_without_pictures_says_so(tmp_path: Path) -> None:
    loaded = load_policy(
        save_untrained(tmp_path / "saved", "env: {name: gymnasium, id: Pendulum-v1}\nagent: {hidden_width: 16}\n")
    )
    with pytest.raises(UserError, match="render: this environment has no camera; it draws no pictures"):
        film(loaded, FilmRequest(None, 1, 0, 10, 1, None))
