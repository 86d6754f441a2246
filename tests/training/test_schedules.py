from dataclasses import replace

import numpy as np
import pytest

from keras_retinanet.augmentation.settings import AugmentationSettings
from keras_retinanet.preprocessing.data import CSVData
from keras_retinanet.training import schedules
from keras_retinanet.training.plan import TrainingPlan

PLAN = TrainingPlan(data=CSVData("a", "b"), lr=1e-3, mixed_precision="none")


def rate(schedule, step):
    return float(schedule(step))


def test_rate_warms_up_and_falls_along_a_cosine():
    schedule = schedules.cosine_schedule(1e-3, 10_000)
    assert rate(schedule, 250) == pytest.approx(0.5e-3, rel=0.01)
    assert rate(schedule, 500) == pytest.approx(1e-3)
    assert rate(schedule, 500 + 4750) == pytest.approx(0.505e-3)
    assert rate(schedule, 10_000) == pytest.approx(1e-5)
    assert rate(schedule, 20_000) == pytest.approx(1e-5)
    of_plan = schedules.learning_rate(PLAN, 10_000)
    assert of_plan.get_config() == schedule.get_config()


def test_a_short_run_warms_up_for_a_tenth():
    schedule = schedules.cosine_schedule(1e-3, 50)
    assert rate(schedule, 0) < rate(schedule, 4) < 1e-3
    assert rate(schedule, 5) == pytest.approx(1e-3)


@pytest.mark.parametrize("steps", [1, 2])
def test_a_run_of_a_step_is_possible(steps):
    assert np.isfinite(rate(schedules.cosine_schedule(1e-3, steps), 0))


def test_a_cosine_may_begin_without_warm_up():
    schedule = schedules.learning_rate(replace(PLAN, warmup_steps=0), 100)
    assert rate(schedule, 0) == pytest.approx(1e-3)
    assert rate(schedule, 50) == pytest.approx(0.505e-3)


def test_a_step_schedule_drops_where_the_paper_does():
    plan = replace(PLAN, lr_schedule="step")
    assert schedules.drop_steps(plan, 90_000) == (60_000, 80_000)
    assert schedules.drop_steps(plan, 135_000) == (90_000, 120_000)
    assert schedules.warmup_length(plan, 90_000) == 500
    schedule = schedules.learning_rate(plan, 90)
    found = [rate(schedule, step) for step in (0, 8, 9, 59, 60, 79, 80, 89)]
    # A tenth of 90 steps to warm up: at 8, 1/9 and 8/9 of the other 8/9.
    expected = [1e-3 / 9, 1e-3 * (1 / 9 + 64 / 81), 1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5]
    assert found == pytest.approx(expected)


def test_steps_that_are_given_are_used():
    plan = replace(PLAN, lr_schedule="step", lr_drops=(4,), warmup_steps=2)
    schedule = schedules.learning_rate(plan, 90)
    assert [rate(schedule, step) for step in (0, 1, 2, 3, 4, 5)] == pytest.approx(
        [0.5e-3, 0.75e-3, 1e-3, 1e-3, 1e-4, 1e-4]
    )


def test_constant_and_plateau_are_numbers():
    assert schedules.learning_rate(replace(PLAN, lr_schedule="plateau"), 90) == 1e-3
    constant = replace(PLAN, lr_schedule="constant")
    assert schedules.learning_rate(constant, 90) == 1e-3
    schedule = schedules.learning_rate(replace(constant, warmup_steps=10), 90)
    assert [rate(schedule, step) for step in (0, 10, 89)] == pytest.approx([1e-4, 1e-3, 1e-3])


def test_steps_that_a_run_does_not_reach_are_named():
    plan = replace(PLAN, lr_schedule="step", lr_drops=(60, 80), warmup_steps=20)
    assert schedules.unreached(plan, 81) == {}
    assert schedules.unreached(plan, 80) == {
        "lr_drops": "not all of them have an effect: the run ends after 80 steps"
    }
    assert set(schedules.unreached(plan, 20)) == {"lr_drops", "warmup_steps"}
    assert set(schedules.unreached(replace(plan, lr_schedule="constant"), 20)) == {"warmup_steps"}
    # Of these the plan says that they are void.
    assert schedules.unreached(replace(plan, lr_schedule="plateau"), 20) == {}
    assert schedules.unreached(PLAN, 1) == {}


def test_a_run_is_described():
    assert schedules.describe(PLAN, 100).splitlines() == [
        "Optimizer: adam, gradients clipped to a norm of 0.001",
        "Learning rate: 0.001, cosine, warm-up over 10 steps",
        "Images: 1 per step, flip_x_chance 0.5, mosaic 0.5",
        "Losses: focal, divided by the positive anchors of each batch",
    ]
    plan = replace(
        PLAN,
        optimizer="sgd",
        weight_decay=1e-4,
        optimizer_clipnorm=0,
        lr_schedule="step",
        batch_size=16,
        augmentation=AugmentationSettings(scale_range=(0.8, 1)),
        hidden_initializer="normal",
        loss="balanced-ce",
        alpha=0.75,
        class_weights={"cat": 2},
        box_loss="giou",
        loss_normaliser="image",
    )
    assert schedules.describe(plan, 90_000).splitlines() == [
        "Optimizer: sgd, momentum 0.9, weight decay 0.0001, no clipping",
        "Learning rate: 0.001, step, warm-up over 500 steps, times 0.1 after 60,000 and 80,000 "
        "of 90,000 steps",
        "Images: 16 per step, scale_range 0.8 1",
        "Losses: balanced-ce, alpha 0.75, cat weighs 2, giou for boxes, divided by the positive "
        "anchors of each image",
        "Heads: hidden layers start normal",
    ]
    grouped = schedules.describe(replace(plan, head_norm="group"), 90_000)
    assert grouped.endswith("\nHeads: group normalisation, hidden layers start normal")
    more = schedules.describe(replace(plan, batch_size=2, accumulate=8, ema=0.999), 720_000)
    assert more.splitlines()[0].endswith(", no clipping, an update of 16 images every 8 steps")
    assert "warm-up over 4,000 steps, times 0.1 after 480,000 and 640,000 of 720,000" in more
    assert "Weights: a moving average with a decay of 0.999 is evaluated and saved" in more
    plateau = schedules.describe(replace(plan, lr_schedule="plateau", snapshot="s"), 9)
    assert "Learning rate: 0.001, plateau\n" in plateau
    assert "Heads" not in plateau
