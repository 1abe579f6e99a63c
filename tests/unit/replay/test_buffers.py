import pytest
import torch
from tensordict import TensorDict

from genreplay.config.schema import ReplayConfig
from genreplay.replay.buffers import MixedReplay
from genreplay.transitions.keys import IS_SYNTHETIC, OBSERVATION, REWARD, STORED_KEYS

NO_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
DEVICES = pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=NO_GPU)])
STORAGES = pytest.mark.parametrize("storage", ["memory", "memmap"])


def transitions(ids, synthetic=False):
    """Rows whose every number tells which row it is."""
    ids = torch.as_tensor(list(ids), dtype=torch.float32).unsqueeze(1)
    flag = torch.zeros(len(ids), 1, dtype=torch.bool)
    return TensorDict(
        {
            "observation": ids.repeat(1, 3),
            "action": ids.repeat(1, 2) / 1000,
            "next": {
                "observation": ids.repeat(1, 3) + 0.5,
                "reward": -ids,
                "duration": ids + 1,
                "terminated": ids % 2 == 0,
                "truncated": flag.clone(),
                "done": ids % 2 == 0,
                "failed": flag.clone(),
            },
            "is_synthetic": torch.full_like(flag, synthetic),
            "collector_book": ids,
        },
        batch_size=[len(ids)],
    )


def ids_of(rows):
    return rows[OBSERVATION][..., 0].reshape(-1).tolist()


def mixed(capacity=50, synthetic_fraction=0.5, storage="memory", **options):
    return MixedReplay(ReplayConfig(capacity, synthetic_fraction, storage=storage), **options)


def filled(storage="memory", num_real=40, num_synthetic=30, **options):
    replay = mixed(**{"storage": storage, **options})
    for i in range(0, num_real, 4):
        replay.extend_real(transitions(range(i, i + 4)))
    if num_synthetic:
        replay.replace_synthetic(transitions(range(1000, 1000 + num_synthetic), synthetic=True))
    return replay


@STORAGES
@pytest.mark.parametrize(
    ("fraction", "batch_size", "expected"),
    [
        (0.0, 7, 0),
        (0.5, 256, 128),
        (0.5, 7, 4),
        (0.3, 10, 3),
        (0.05, 256, 13),
        (0.99, 8, 8),
    ],
)
def test_every_batch_of_a_block_has_the_exact_number_of_synthetic_rows(storage, fraction, batch_size, expected):
    block = filled(storage, synthetic_fraction=fraction).sample_blocks(6, batch_size)
    assert block.batch_size == (6, batch_size)
    assert block[IS_SYNTHETIC].sum(dim=(1, 2)).tolist() == [expected] * 6
    assert ((block[OBSERVATION][..., :1] >= 1000) == block[IS_SYNTHETIC]).all()


def test_all_rows_are_real_while_nothing_was_generated():
    block = filled(num_synthetic=0).sample_blocks(3, 10)
    assert not block[IS_SYNTHETIC].any()


def test_rows_stay_whole_and_hold_the_stored_keys_alone():
    block = filled().sample_blocks(4, 32)
    ids = block[OBSERVATION][..., :1]
    assert set(block.keys(include_nested=True, leaves_only=True)) == set(STORED_KEYS)
    assert torch.equal(block[REWARD], -ids)
    assert torch.equal(block["next", "observation"][..., 2:], ids + 0.5)
    assert torch.equal(block["next", "terminated"], ids % 2 == 0)


def test_draws_are_uniform_with_replacement_over_all_rows():
    replay = filled(num_real=20, num_synthetic=0)
    counts = torch.bincount(torch.tensor(ids_of(replay.sample_blocks(100, 200))).long(), minlength=20)
    # 1000 expected draws of each row, standard deviation 31: five of them either way.
    assert counts.min() > 845
    assert counts.max() < 1155


def test_batches_of_a_block_differ():
    block = filled().sample_blocks(2, 64)
    assert not torch.equal(block[0][OBSERVATION], block[1][OBSERVATION])


@STORAGES
@pytest.mark.parametrize("num_real", [4, 48, 52, 100, 152])
def test_after_wrap_around_the_newest_rows_remain_in_order(storage, num_real):
    replay = filled(storage, num_real=num_real, num_synthetic=0)
    assert ids_of(replay.real_transitions()) == list(range(max(0, num_real - 50), num_real))
    assert replay.num_real == min(50, num_real)
    assert set(ids_of(replay.sample_blocks(20, 100))) == set(range(max(0, num_real - 50), num_real))


def test_a_batch_larger_than_the_ring_leaves_its_newest_rows():
    replay = filled(num_real=8, num_synthetic=0)
    replay.extend_real(transitions(range(100, 233)))
    assert ids_of(replay.real_transitions()) == list(range(183, 233))


@STORAGES
def test_synthetic_rows_never_touch_the_rollout_nor_the_real_buffer(storage):
    replay = mixed(storage=storage)
    rollout, generated = transitions(range(8)), transitions(range(1000, 1030), synthetic=True)
    rollout_before, generated_before = rollout.clone(), generated.clone()
    replay.extend_real(rollout)
    real_before = replay.real_transitions()
    replay.replace_synthetic(generated)
    replay.sample_blocks(4, 16)
    assert set(rollout.keys()) == set(rollout_before.keys())
    assert (rollout == rollout_before).all()
    assert (generated == generated_before).all()
    assert (replay.real_transitions() == real_before).all()


@STORAGES
def test_neither_what_came_in_nor_what_went_out_is_shared_with_the_buffer(storage):
    replay = mixed(synthetic_fraction=0.0, storage=storage)
    rollout = transitions(range(8))
    replay.extend_real(rollout)
    for rows in (rollout, replay.real_transitions(), replay.sample_real(8), replay.sample_blocks(2, 8)):
        rows[OBSERVATION].fill_(-7.0)
    assert ids_of(replay.real_transitions()) == list(range(8))


@STORAGES
def test_synthetic_rows_are_replaced_as_a_whole(storage):
    replay = filled(storage, synthetic_fraction=0.99)
    for first, num_rows in ((2000, 45), (3000, 5), (4000, 5)):
        replay.replace_synthetic(transitions(range(first, first + num_rows), synthetic=True))
        assert replay.num_synthetic == num_rows
        assert set(ids_of(replay.sample_blocks(10, 40))) == set(range(first, first + num_rows))
    replay.replace_synthetic(transitions([], synthetic=True))
    assert replay.num_synthetic == 0
    assert not replay.sample_blocks(1, 10)[IS_SYNTHETIC].any()


@STORAGES
def test_real_rows_stand_in_for_synthetic_ones_that_were_not_kept(storage, tmp_path):
    """Five rows of a hundred that passed a filter must not make up half of what is learned from."""
    replay = filled(storage, synthetic_fraction=0.5, num_synthetic=0)
    replay.replace_synthetic(transitions(range(1000, 1005), synthetic=True), kept=0.05)
    block = replay.sample_blocks(3, 40)
    assert block[IS_SYNTHETIC].view(3, 40).sum(dim=1).tolist() == [1, 1, 1]
    replay.state().memmap(tmp_path / "replay", copy_existing=True)
    resumed = mixed(storage=storage)
    resumed.load_state(TensorDict.load_memmap(tmp_path / "replay"))
    assert (resumed.sample_blocks(2, 200) == replay.sample_blocks(2, 200)).all()
    replay.replace_synthetic(transitions(range(1000, 1005), synthetic=True))
    assert replay.sample_blocks(1, 40)[IS_SYNTHETIC].sum() == 20


def test_memmap_holds_the_same_as_memory():
    memory, memmap = filled("memory", num_real=72), filled("memmap", num_real=72)
    assert (memory.real_transitions() == memmap.real_transitions()).all()
    assert (memory.sample_blocks(5, 20) == memmap.sample_blocks(5, 20)).all()
    assert (memory.sample_real(20) == memmap.sample_real(20)).all()


def test_memmap_files_go_where_they_are_told_and_vanish(tmp_path):
    replay = filled("memmap", directory=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    replay.replace_synthetic(transitions(range(9), synthetic=True))
    assert len(list(tmp_path.iterdir())) == 2
    del replay
    assert list(tmp_path.iterdir()) == []


@STORAGES
@pytest.mark.parametrize("num_real", [0, 12, 52, 72, 100])
def test_a_resumed_replay_draws_and_overwrites_the_same(storage, num_real, tmp_path):
    replay = filled(storage, num_real=num_real, num_synthetic=30 if num_real else 0)
    if num_real:
        replay.sample_blocks(3, 10)
    replay.state().memmap(tmp_path / "replay", copy_existing=True)
    resumed = mixed(storage=storage, seed=99)
    resumed.load_state(TensorDict.load_memmap(tmp_path / "replay"))
    for i in range(0, 60, 4):
        for each in (replay, resumed):
            each.extend_real(transitions(range(500 + i, 504 + i)))
        assert (replay.sample_blocks(2, 10) == resumed.sample_blocks(2, 10)).all()
        assert (replay.sample_real(10) == resumed.sample_real(10)).all()
    assert (replay.real_transitions() == resumed.real_transitions()).all()


@pytest.mark.parametrize(("capacity", "kept"), [(20, range(52, 72)), (50, range(22, 72)), (200, range(22, 72))])
def test_resuming_with_another_capacity_keeps_the_newest_rows(capacity, kept):
    state = filled(num_real=72).state()
    resumed = mixed(capacity)
    resumed.load_state(state)
    assert ids_of(resumed.real_transitions()) == list(kept)
    resumed.extend_real(transitions([900]))
    assert ids_of(resumed.real_transitions()) == [*kept, 900][-capacity:]


def test_draws_do_not_depend_on_the_global_generator():
    torch.manual_seed(0)
    first = filled().sample_blocks(2, 10)
    torch.manual_seed(1)
    assert (filled().sample_blocks(2, 10) == first).all()
    assert not (filled(seed=1).sample_blocks(2, 10) == first).all()


def test_the_blocks_of_a_seed_never_change():
    """However rows are stored: the draws are these, first of real rows, then of synthetic ones."""
    replay, generator = filled(num_real=48, synthetic_fraction=0.4, seed=5), torch.Generator().manual_seed(5)
    for _ in range(2):
        real = torch.randint(48, (3 * 6,), generator=generator).view(3, 6)
        synthetic = 1000 + torch.randint(30, (3 * 4,), generator=generator).view(3, 4)
        assert ids_of(replay.sample_blocks(3, 10)) == torch.cat([real, synthetic], dim=1).view(-1).tolist()
    assert ids_of(replay.sample_real(9)) == torch.randint(48, (9,), generator=generator).tolist()


@DEVICES
@STORAGES
def test_what_is_drawn_is_on_the_device_that_trains(device, storage):
    replay = filled(storage, num_real=72, device=device)
    rows = [replay.sample_blocks(2, 10), replay.sample_real(4), replay.real_transitions()]
    assert {row.device.type for row in rows} == {device}
    assert replay.state()["real", OBSERVATION].device.type == (device if storage == "memory" else "cpu")
    assert ids_of(rows[2].cpu()) == list(range(22, 72))
    resumed = mixed(storage=storage, device=device, seed=99)
    resumed.load_state(replay.state().cpu().clone())
    assert (resumed.sample_blocks(2, 10) == replay.sample_blocks(2, 10)).all()


def test_draws_begin_anew_after_a_checkpoint_of_another_kind_of_device():
    state = filled(seed=3).state()
    state["generator"] = torch.zeros(16, dtype=torch.uint8)
    resumed = mixed(seed=4)
    resumed.load_state(state)
    assert (resumed.sample_blocks(2, 10) == filled(seed=4).sample_blocks(2, 10)).all()


def test_gradients_do_not_enter_the_buffer():
    replay = mixed(capacity=10, synthetic_fraction=0.0)
    rows = transitions(range(4))
    rows["action"].requires_grad_()
    replay.extend_real(rows)
    assert not replay.sample_real(4)["action"].requires_grad


def test_synthetic_rows_cannot_enter_the_real_buffer_nor_real_rows_the_synthetic_one():
    replay = filled()
    with pytest.raises(ValueError, match=r"^extend_real: got synthetic rows; the real buffer holds transitions of"):
        replay.extend_real(transitions(range(3), synthetic=True))
    with pytest.raises(ValueError, match=r"^replace_synthetic: got real rows; decode the generator's rows"):
        replay.replace_synthetic(transitions(range(3)))


def test_empty_buffers_say_so():
    replay = mixed(capacity=10)
    replay.extend_real(transitions([]))
    with pytest.raises(ValueError, match=r"^sample: no real rows are stored yet; collect before learning$"):
        replay.sample_blocks(2, 4)
    with pytest.raises(ValueError, match=r"^real_transitions: no real rows are stored yet$"):
        replay.real_transitions()
