"""The recipes against the facts of the paper (arXiv 1708.02002, section 4.1)."""

import json
import zipfile

import pytest

from keras_retinanet.augmentation.settings import FLIP_ONLY, AugmentationSettings
from keras_retinanet.config import Config
from keras_retinanet.preprocessing.data import CocoData, ShapesData
from keras_retinanet.training import recipes, schedules
from keras_retinanet.training.plan import SHAPES_SETTINGS, SettingError, TrainingPlan

DATA = CocoData("folder")


def plan(**settings):
    return TrainingPlan.for_data(DATA, **settings)


def values(found, *names):
    return tuple(getattr(found, name) for name in names)


@pytest.fixture
def snapshot(tmp_path):
    """Return a function that writes what is read of a snapshot of a run after 4 epochs."""

    def write(**settings):
        run = {"epoch": 4, "settings": {"augmentation": {}, **settings}, "counters": {}}
        path = tmp_path / "run.keras"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", json.dumps({"config": {"details": {"run": run}}}))
        return str(path)

    return write


def test_the_paper():
    found = plan(recipe="paper", batch_size=16)
    assert values(found, "optimizer", "momentum", "weight_decay") == ("sgd", 0.9, 1e-4)
    assert values(found, "lr", "optimizer_clipnorm") == (0.01, 0)
    assert found.epochs * found.steps == 90_000
    assert schedules.drop_steps(found, 90_000) == (60_000, 80_000)
    rate = schedules.learning_rate(found, 90_000)
    steps = (500, 59_999, 60_000, 80_000)
    assert [float(rate(step)) for step in steps] == pytest.approx([0.01, 0.01, 1e-3, 1e-4])
    assert found.augmentation == AugmentationSettings(flip_x_chance=0.5)
    assert found.hidden_initializer == "normal"
    assert found.void_settings(True) == {}


def test_the_longer_run_of_the_paper():
    found = plan(recipe="long", batch_size=16)
    assert found.epochs * found.steps == 1.5 * 90_000
    assert schedules.drop_steps(found, 135_000) == (90_000, 120_000)
    assert found.augmentation == AugmentationSettings(flip_x_chance=0.5, scale_range=(0.8, 1))
    # Of the usual 800 pixels: Detectron's smallest and largest.
    assert [800 * factor for factor in found.augmentation.scale_range] == [640, 800]
    same = ("optimizer", "momentum", "weight_decay", "lr", "lr_schedule", "hidden_initializer")
    assert values(found, *same) == values(plan(recipe="paper", batch_size=16), *same)


@pytest.mark.parametrize("batch_size", [1, 2, 7, 8, 16, 32])
def test_the_rate_is_proportional_to_the_batch_and_the_steps_to_its_reciprocal(batch_size):
    found = plan(recipe="paper", batch_size=batch_size)
    assert found.lr == pytest.approx(0.01 * batch_size / 16)
    images = found.epochs * found.steps * batch_size
    assert 90_000 * 16 <= images < 90_000 * 16 * 1.001
    first, second = schedules.drop_steps(found, found.epochs * found.steps)
    assert first * batch_size == pytest.approx(60_000 * 16, rel=1e-3)
    assert second * batch_size == pytest.approx(80_000 * 16, rel=1e-3)


def test_accumulated_batches_count_as_one_for_the_rate_and_the_warm_up():
    found = plan(recipe="paper", batch_size=2, accumulate=8)
    assert (found.lr, found.epochs * found.steps) == (0.01, 720_000)
    # A step stays a batch: the 60,000 and 80,000 updates of the paper.
    assert schedules.drop_steps(found, 720_000) == (480_000, 640_000)
    assert schedules.warmup_length(found, 720_000) == 500 * 8
    assert plan(optimizer="sgd", batch_size=2, accumulate=8).lr == 0.01
    assert plan(batch_size=2, accumulate=8).lr == 4e-4


def test_epochs_or_steps_divide_the_run_and_both_replace_it():
    length = ("epochs", "steps")
    assert values(plan(recipe="paper", batch_size=16, steps=1000), *length) == (90, 1000)
    assert values(plan(recipe="paper", batch_size=16, epochs=9), *length) == (9, 10_000)
    assert values(plan(recipe="paper", batch_size=16, steps=1000, epochs=3), *length) == (3, 1000)
    assert values(plan(recipe="paper", batch_size=8), *length) == (12, 15_000)


def test_what_is_given_beats_the_recipe():
    given = {
        **{"lr": 0.5, "momentum": 0.5, "weight_decay": 0.0, "optimizer_clipnorm": 3},
        **{"lr_schedule": "cosine", "warmup_steps": 7, "hidden_initializer": "he_normal"},
        **{"augmentation": AugmentationSettings(), "epochs": 2, "steps": 3},
    }
    found = plan(recipe="long", **given)
    assert values(found, *given) == tuple(given.values())
    assert found.optimizer == "sgd"
    config = Config(augmentation={"hue": (0.1, 0.2), "scale_range": (0.9, 1)})
    expected = AugmentationSettings(flip_x_chance=0.5, scale_range=(0.9, 1), hue=(0.1, 0.2))
    assert plan(recipe="long", config=config).augmentation == expected


def test_another_optimizer_than_the_recipes_has_its_own_settings():
    names = ("lr", "weight_decay", "optimizer_clipnorm")
    assert values(plan(recipe="paper", optimizer="adam"), *names) == (1e-4, 0, 0.001)
    found = plan(recipe="paper", optimizer="adamw", batch_size=16)
    assert values(found, *names) == (4e-4, 0.05, 0.001)
    assert values(found, "lr_schedule", "epochs", "steps") == ("step", 12, 7500)


def test_defaults_suit_the_optimizer():
    names = ("lr", "weight_decay", "optimizer_clipnorm")
    assert values(plan(), *names) == (1e-4, 0, 0.001)
    assert values(plan(optimizer="adamw", batch_size=4), *names) == (2e-4, 0.05, 0.001)
    assert values(plan(optimizer="sgd", batch_size=4), *names) == (0.0025, 0, 0)
    shapes = TrainingPlan.for_data(ShapesData(), optimizer="adamw")
    assert values(shapes, *names) == (SHAPES_SETTINGS["lr"], 0.05, 0.001)
    assert TrainingPlan.for_data(ShapesData(), optimizer="sgd").lr == 0.0025


def test_a_recipe_for_shapes_goes_by_their_batch():
    found = TrainingPlan.for_data(ShapesData(), recipe="paper")
    assert values(found, "lr", "batch_size", "epochs", "steps") == (0.0025, 4, 12, 30_000)


@pytest.mark.parametrize("start", [{"snapshot": "s.keras"}, {"weights": "coco"}])
def test_a_model_that_has_heads_is_not_started_anew(start):
    found = plan(recipe="paper", **start)
    names = ("hidden_initializer", "box_loss", "match_every_box")
    assert values(found, *names) == ("he_normal", None, None)
    assert values(plan(recipe="paper"), *names) == ("normal", "smooth-l1", False)
    assert found.void_settings(True) == {}
    found = plan(recipe="paper", hidden_initializer="normal", **start)
    assert set(found.void_settings(True)) == {"hidden_initializer"}


def test_a_continued_run_keeps_what_the_recipe_set(snapshot):
    first = plan(recipe="long", batch_size=8, epochs=9)
    kept = json.loads(json.dumps(first.kept_settings()))
    again = plan(snapshot=snapshot(**kept))
    assert again.kept_settings() == first.kept_settings()
    assert again.initial_epoch == 4


def test_a_recipe_that_is_given_beats_the_earlier_run(snapshot):
    path = snapshot(lr=0.5, batch_size=8, optimizer="sgd", epochs=5, augmentation={"hue": [0, 1]})
    found = plan(snapshot=path, recipe="paper")
    assert values(found, "batch_size", "lr", "epochs", "steps") == (8, 0.005, 12, 15_000)
    assert found.augmentation == FLIP_ONLY
    # What the earlier run says of another optimizer, Adam's by default, is not kept either.
    names = ("lr", "weight_decay", "optimizer_clipnorm", "epochs")
    path = snapshot(lr=0.5, optimizer_clipnorm=3, epochs=5)
    assert values(plan(snapshot=path, optimizer="sgd"), *names) == (0.01 / 16, 0, 0, 5)
    path = snapshot(lr=0.5, optimizer="sgd", weight_decay=0.1, optimizer_clipnorm=0, epochs=5)
    assert values(plan(snapshot=path, optimizer="adam"), *names) == (1e-4, 0, 0.001, 5)
    assert values(plan(snapshot=path), *names) == (0.5, 0.1, 0, 5)


def test_what_does_not_go_together_is_named(snapshot):
    with pytest.raises(SettingError, match="^recipe: expected one of paper, long, got 3x"):
        plan(recipe="3x")
    with pytest.raises(SettingError, match="^recipe: long changes the scale of images"):
        plan(recipe="long", no_resize=True)
    assert plan(recipe="paper", no_resize=True).no_resize
    for name in ("batch_size", "accumulate", "epochs", "steps"):
        for value in (0, "x"):
            with pytest.raises(SettingError, match=f"^{name}: expected a number above 0, got"):
                plan(recipe="paper", **{name: value})
    with pytest.raises(SettingError, match="^batch_size: expected a number above 0, got x"):
        plan(recipe="paper", snapshot=snapshot(batch_size="x"))


def test_every_recipe_makes_a_plan():
    for name in recipes.RECIPES:
        assert recipes.recipe_settings(name, 16).keys() <= vars(plan(recipe=name)).keys()
