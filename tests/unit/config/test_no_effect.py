"""Warnings about options without effect."""

import logging

import pytest

from genreplay import config


def _warnings(caplog: pytest.LogCaptureFixture, path: str, *overrides: str) -> list[str]:
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="genreplay"):
        config.load(path, overrides)
    return [record.getMessage() for record in caplog.records]


def test_an_option_without_effect_warns(write, caplog: pytest.LogCaptureFixture) -> None:
    path = write("x.yaml", "generator: {name: edm, sampler: {guidance_scale: 3.0}}\n")
    no_relevance = "has no effect: there is no relevance to condition on; name one, such as relevance.name=curiosity"
    assert _warnings(caplog, path) == [f"x.yaml: generator.sampler.guidance_scale: {no_relevance}"]
    assert _warnings(caplog, path, "relevance.name=reward") == []
    assert _warnings(caplog, path, "generator.name=none") == []
    assert _warnings(caplog, path, "relevance.name=reward", "replay.synthetic_fraction=0") == [
        "x.yaml: generator.name: has no effect: replay.synthetic_fraction is 0, so the agent never sees a synthetic row"
    ]
    fixed = ["agent.learn_temperature=false", "agent.target_entropy=-2.0"]
    assert _warnings(caplog, path, "relevance.name=reward", *fixed) == [
        "override 'agent.target_entropy=-2.0': agent.target_entropy: has no effect: agent.learn_temperature is false, "
        "so the temperature stays at agent.initial_temperature"
    ]
    empty = write("y.yaml", "")
    no_generator = "has no effect: there is no generator; name one, such as generator.name=edm"
    assert _warnings(caplog, empty, "loop.num_synthetic_rows=9") == [
        f"override 'loop.num_synthetic_rows=9': loop.num_synthetic_rows: {no_generator}"
    ]


def test_a_resolved_tree_warns_of_nothing(write, caplog: pytest.LogCaptureFixture) -> None:
    resolved = config.to_yaml(config.load(write("x.yaml", "")))
    assert _warnings(caplog, write("resolved.yaml", resolved)) == []


def test_an_override_of_a_checkpoint_warns_too(caplog: pytest.LogCaptureFixture) -> None:
    assert config.from_yaml("generator: {name: edm}", "checkpoint x", ["generator.sampler.guidance_scale=3"]).seed == 0
    assert caplog.messages == [
        "override 'generator.sampler.guidance_scale=3': generator.sampler.guidance_scale: has no effect: there is no "
        "relevance to condition on; name one, such as relevance.name=curiosity"
    ]
