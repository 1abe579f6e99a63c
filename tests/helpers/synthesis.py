"""Sources of synthetic transitions on a small kitchen."""

import numpy as np

from genreplay.config.schema import SynthesisConfig
from genreplay.replay.rollouts import OracleRollouts, Rollouts
from genreplay.replay.synthesis import Generated
from genreplay.transitions.codec import Codec

NUM_REAL = 400


SMALL = {"network.hidden_width": 16, "network.num_blocks": 1, "head.hidden_width": 16, "head.num_blocks": 1}


def synthesis(world, agent, team, **options):
    config, codec = SynthesisConfig(**options), Codec(world.layout)
    if config.source == "generated":
        return Generated(config, codec, team)
    if config.source == "counterfactual":
        return Rollouts(config, codec, team, agent)
    return OracleRollouts(config, codec, team, agent, world.oracle)


def drawn_by(synthesis, real, num_rows, relevance=None, seed=3):
    return synthesis.draw(synthesis.source(real, relevance), num_rows, seed)


def rows_of(transitions, *keys):
    return {tuple(np.concatenate([row[key].numpy().ravel() for key in keys]).tolist()) for row in transitions}
