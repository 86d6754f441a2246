import argparse
import itertools
import json
import warnings
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from keras_retinanet.augmentation.settings import USUAL
from keras_retinanet.bin import common, train_options
from keras_retinanet.preprocessing.data import CocoData, CSVData, ShapesData
from keras_retinanet.system.machine import cores
from keras_retinanet.training.plan import SettingWarning, TrainingPlan
from keras_retinanet.training.record import RunRecord
from tests.training.states import write_record as write_state


@pytest.fixture(autouse=True)
def empty_folder(tmp_path_factory, monkeypatch):
    """Look for the state of a run, by default in ./snapshots, where nobody has trained."""
    monkeypatch.chdir(tmp_path_factory.mktemp("here"))


def plan(*arguments):
    return train_options.make_plan(train_options.parse_args(list(arguments)))


def test_options_stand_before_or_after_the_data_set():
    before = train_options.parse_args(["--steps", "7", "--lr", "0.5", "csv", "a", "b"])
    after = train_options.parse_args(["csv", "a", "b", "--lr", "0.5", "--steps", "7"])
    assert vars(before) == vars(after)
    assert before.steps == 7
    both = train_options.parse_args(["--steps", "7", "csv", "a", "b", "--steps", "8"])
    assert both.steps == 8


def test_defaults_are_the_old_ones_but_for_those_that_changed():
    found = vars(train_options.parse_args(["coco", "folder"]))
    old = {
        **{"backbone": "resnet50", "batch_size": 1, "epochs": 50, "initial_epoch": 0},
        **{"optimizer_clipnorm": 0.001, "snapshot_path": "./snapshots", "snapshot": None},
        **{"weights": None, "imagenet_weights": True, "gpu": None, "multi_gpu": 0},
        **{"multi_gpu_force": False, "tensorboard_dir": "", "tensorboard_freq": "epoch"},
        **{"snapshots": True, "evaluation": True, "freeze_backbone": False},
        **{"random_transform": False, "image_min_side": 800, "image_max_side": 1333},
        **{"no_resize": False, "config": None, "weighted_average": False},
        **{"compute_val_loss": False, "group_method": "ratio", "multiprocessing": False},
        **{"max_queue_size": 10},
    }
    assert {name: found[name] for name in old} == old
    changed = {"steps": None, "lr": 1e-4, "lr_schedule": "cosine", "snapshot_format": "keras"}
    changed |= {"workers": cores(), "cache": "none", "pad_to_buckets": False}
    assert {name: found[name] for name in changed} == changed
    assert train_options.parse_args(["shapes"]).workers == cores()


def test_old_flags_of_the_plateau_still_mean_it():
    found = train_options.parse_args(["csv", "a", "b", "--reduce-lr-patience", "5"])
    assert found.lr_schedule == "plateau"
    with pytest.warns(UserWarning, match="threads make the batches"):
        train_options.parse_args(["csv", "a", "b", "--multiprocessing"])


def test_drops_of_the_rate_mean_a_step_schedule():
    assert plan("csv", "a", "b", "--lr-drops", "60", "80").lr_schedule == "step"
    found = plan("csv", "a", "b", "--lr-drops", "60", "--lr-schedule", "cosine")
    assert set(found.void_settings(False)) == {"lr_drops"}


@pytest.mark.parametrize("text", ["none", "0"])
def test_gradients_need_not_be_clipped(text, capsys):
    assert plan("csv", "a", "b", "--optimizer-clipnorm", text).optimizer_clipnorm == 0
    with pytest.raises(SystemExit):
        plan("csv", "a", "b", "--optimizer-clipnorm", "some")
    assert "expected a number or none, got 'some'" in capsys.readouterr().err


def test_a_recipe_is_a_set_of_options(tmp_path):
    for name in ("paper", "long"):
        found = plan("coco", "folder", "--recipe", name, "--batch-size", "16")
        sides = {"backbone": "resnet50", "image_min_side": 800, "image_max_side": 1333}
        expected = TrainingPlan.for_data(CocoData("folder"), recipe=name, batch_size=16, **sides)
        assert found == expected
    # Flags take precedence, those of augmentation one by one.
    more = ("--lr", "0.5", "--epochs", "9", "--hue", "0", "0.1", "--scale-range", "0.9", "1")
    found = plan("coco", "folder", "--recipe", "long", "--batch-size", "16", *more)
    assert (found.lr, found.epochs, found.steps) == (0.5, 9, 15_000)
    assert (found.augmentation.hue, found.augmentation.scale_range) == ((0, 0.1), (0.9, 1))
    assert found.augmentation.flip_x_chance == 0.5
    config = tmp_path / "config.ini"
    config.write_text("[augmentation]\nbrightness = 0.5 0.5\n")
    found = plan("coco", "folder", "--recipe", "long", "--config", str(config))
    assert found.augmentation.scale_range == (0.8, 1)
    assert found.augmentation.brightness == (0.5, 0.5)
    with pytest.raises(ValueError, match="^--recipe: long changes the scale of images"):
        plan("coco", "folder", "--recipe", "long", "--no-resize")
    assert plan("coco", "folder", "--recipe", "paper", "--no-resize").no_resize


def test_a_recipe_goes_on_from_a_snapshot(tmp_path):
    write_record(tmp_path / "run.keras", batch_size=8, lr=0.5, augmentation={"hue": [0, 1]})
    snapshot = ("csv", "a", "b", "--snapshot", str(tmp_path / "run.keras"), "--recipe", "long")
    found = plan(*snapshot)
    assert (found.batch_size, found.lr, found.steps) == (8, 0.005, 15_000)
    assert (found.augmentation.hue, found.augmentation.scale_range) == ((0, 0), (0.8, 1))
    found = plan(*snapshot, "--hue", "0.1", "0.2")
    assert (found.augmentation.hue, found.augmentation.scale_range) == ((0.1, 0.2), (0.8, 1))
    assert found.void_settings(False) == {}


def test_without_options_the_plan_is_that_of_the_data():
    photos = {"backbone": "resnet50", "image_min_side": 800, "image_max_side": 1333}
    expected = TrainingPlan.for_data(CocoData("folder"), augmentation=USUAL, **photos)
    assert plan("coco", "folder") == expected
    assert plan("shapes") == TrainingPlan.for_data(ShapesData(), augmentation=USUAL)
    data = CSVData("a.csv", "b.csv", "c.csv")
    assert plan("csv", "a.csv", "b.csv", "--val-annotations", "c.csv").data == data


def test_what_is_given_is_in_the_plan():
    found = plan(
        *("csv", "a", "b", "--no-weights", "--epochs", "7", "--steps", "9", "--cache", "ram"),
        *("--image-min-side", "64", "--image-max-side", "96", "--tensorboard-freq", "5"),
    )
    assert (found.imagenet_weights, found.epochs, found.steps) == (False, 7, 9)
    assert (found.image_min_side, found.image_max_side) == (64, 96)
    assert (found.cache, found.tensorboard_freq) == ("ram", 5)


def test_a_snapshot_keeps_what_is_not_given():
    found = plan("csv", "a", "b", "--snapshot", "s.keras")
    assert (found.backbone, found.image_min_side, found.image_max_side) == (None, None, None)
    found = plan("shapes", "--snapshot", "s.keras", "--image-min-side", "99")
    assert (found.backbone, found.image_min_side, found.image_max_side) == (None, 99, None)


def test_flags_of_augmentation_take_precedence_over_the_config(tmp_path):
    config = tmp_path / "config.ini"
    config.write_text("[augmentation]\nscale_range = 0.5 0.5\nbrightness = 0.5 0.5\n")
    found = plan("csv", "a", "b", "--config", str(config), "--brightness", "0", "0").augmentation
    assert found.scale_range == (0.5, 0.5)
    assert found.brightness == (0, 0)
    assert found.flip_x_chance == 0.5


def test_errors_name_the_flag():
    with pytest.raises(ValueError, match="^--lr: expected a number above 0, got nan"):
        train_options.parse_args(["csv", "a", "b", "--lr", str(np.nan)])


# What becomes of each option with a new model, with --weights and with --snapshot: it is obeyed,
# refused, or void, of which a warning tells; "kept" is obeyed too, and where it is not given, a
# continued run keeps what it was. A fourth word is for a run without a set to evaluate on.
OBEYED, KEPT, VOID, REFUSED = "obeyed", "kept", "void", "refused"
STARTS = ("new", "weights", "snapshot", "detector")
# What a detector such as coco has itself; all else is with it as with other weights.
OF_DETECTOR = ("--backbone", "--hidden-initializer", "--head-norm")
OPTION_TABLE = {
    "--snapshot s.keras": (OBEYED, REFUSED, OBEYED),
    "--resume": (OBEYED, OBEYED, OBEYED),
    "--weights w.h5": (OBEYED, OBEYED, REFUSED),
    "--imagenet-weights": (OBEYED, REFUSED, REFUSED),
    "--no-weights": (OBEYED, REFUSED, REFUSED),
    # `training.run` compares it with the snapshot's, see `test_run.py`.
    "--backbone resnet101": (OBEYED, OBEYED, OBEYED),
    "--match-every-box": (OBEYED, OBEYED, OBEYED),
    "--freeze-backbone": (OBEYED, OBEYED, KEPT),
    "--hidden-initializer normal": (OBEYED, OBEYED, VOID),
    "--head-norm group": (OBEYED, OBEYED, VOID),
    "--no-freeze-bn": (OBEYED, OBEYED, KEPT),
    "--batch-size 3": (OBEYED, OBEYED, KEPT),
    "--initial-epoch 5": (OBEYED, OBEYED, KEPT),
    "--epochs 60": (OBEYED, OBEYED, KEPT),
    "--steps 3": (OBEYED, OBEYED, KEPT),
    "--optimizer sgd": (OBEYED, OBEYED, KEPT),
    "--momentum 0.25": (VOID, VOID, VOID),
    "--momentum 0.25 --optimizer sgd": (OBEYED, OBEYED, KEPT),
    "--weight-decay 0.25": (REFUSED, REFUSED, REFUSED),
    "--weight-decay 0.25 --optimizer adamw": (OBEYED, OBEYED, KEPT),
    "--lr 0.25": (OBEYED, OBEYED, KEPT),
    "--lr-schedule plateau": (OBEYED, OBEYED, KEPT),
    "--lr-schedule step": (OBEYED, OBEYED, KEPT),
    "--warmup-steps 3": (OBEYED, OBEYED, KEPT),
    "--warmup-steps 3 --lr-schedule plateau": (VOID, VOID, VOID),
    "--lr-drops 60 80": (OBEYED, OBEYED, KEPT),
    "--lr-drops 60 80 --lr-schedule constant": (VOID, VOID, VOID),
    "--reduce-lr-patience 3": (OBEYED, OBEYED, KEPT),
    "--reduce-lr-patience 3 --lr-schedule step": (VOID, VOID, VOID),
    "--reduce-lr-factor 0.25": (OBEYED, OBEYED, KEPT),
    "--optimizer-clipnorm 3": (OBEYED, OBEYED, KEPT),
    "--loss balanced-ce": (OBEYED, OBEYED, KEPT),
    "--alpha 0.5": (OBEYED, OBEYED, KEPT),
    "--gamma 3": (OBEYED, OBEYED, KEPT),
    "--beta 3 --loss focal-star": (OBEYED, OBEYED, KEPT),
    "--class-weights cat=2,dog=0.5": (OBEYED, OBEYED, KEPT),
    "--box-loss giou": (OBEYED, OBEYED, OBEYED),
    "--loss-normaliser image": (OBEYED, OBEYED, KEPT),
    "--accumulate 4": (OBEYED, OBEYED, KEPT),
    "--ema 0.875": (OBEYED, OBEYED, KEPT),
    "--mixed-precision bfloat16": (OBEYED, OBEYED, KEPT),
    "--early-stopping": (OBEYED, OBEYED, KEPT, VOID),
    "--compute-val-loss": (OBEYED, OBEYED, KEPT, VOID),
    # Data that have a set to evaluate on refuse it: see `test_data_sets.py`.
    "--val-share 0.25": (OBEYED, OBEYED, KEPT),
    "--strict": (OBEYED, OBEYED, OBEYED),
    "--allow-empty": (OBEYED, OBEYED, OBEYED),
    "--seed 3": (OBEYED, OBEYED, KEPT),
    "--image-min-side 99": (OBEYED, OBEYED, OBEYED),
    "--image-max-side 2000": (OBEYED, OBEYED, OBEYED),
    "--no-resize": (OBEYED, OBEYED, KEPT),
    "--max-pixels 99": (OBEYED, OBEYED, OBEYED),
    "--group-method none": (OBEYED, OBEYED, KEPT),
    "--normalise-on-device": (OBEYED, OBEYED, OBEYED),
    "--pad-to-buckets": (OBEYED, OBEYED, KEPT),
    "--cache ram": (OBEYED, OBEYED, OBEYED),
    "--snapshot-path there": (OBEYED, OBEYED, OBEYED),
    "--snapshot-format h5": (OBEYED, OBEYED, OBEYED),
    "--no-snapshots": (OBEYED, OBEYED, OBEYED),
    "--save-steps 3": (OBEYED, OBEYED, OBEYED),
    "--save-steps 3 --no-snapshots": (VOID, VOID, VOID),
    "--keep 5": (OBEYED, OBEYED, KEPT),
    "--keep 5 --no-snapshots": (VOID, VOID, VOID),
    "--max-time 3": (OBEYED, OBEYED, OBEYED),
    "--no-evaluation": (OBEYED, OBEYED, OBEYED),
    "--max-detections 3": (OBEYED, OBEYED, KEPT, VOID),
    "--weighted-average": (OBEYED, OBEYED, KEPT, VOID),
    "--tensorboard-dir there": (OBEYED, OBEYED, OBEYED),
    "--tensorboard-freq batch": (VOID, VOID, VOID),
    "--wandb": (OBEYED, OBEYED, OBEYED),
    "--mlflow": (OBEYED, OBEYED, OBEYED),
    "--jit-compile": (OBEYED, OBEYED, OBEYED),
    "--deterministic": (OBEYED, OBEYED, KEPT),
    "--workers 3": (OBEYED, OBEYED, OBEYED),
    "--max-queue-size 3": (OBEYED, OBEYED, OBEYED),
}
# Options that are no setting of a plan by themselves, and the test that tells about them.
ELSEWHERE = {
    "help": "",
    "list_backbones": "test_list_backbones.py",
    "recipe": "test_a_recipe_is_a_set_of_options",
    "config": "test_flags_of_augmentation_take_precedence_over_the_config, test_run.py",
    "gpu": "test_devices.py",
    "multi_gpu": "test_options_that_need_others_say_so",
    "multi_gpu_force": "test_options_that_need_others_say_so",
    "multiprocessing": "test_options_that_need_others_say_so",
    "random_transform": "test_a_continued_run_keeps_its_augmentation",
}
CELLS = [
    pytest.param(option, start, has_validation, outcomes, id=f"{option}-{start}-{has_validation}")
    for option, outcomes in OPTION_TABLE.items()
    for start in STARTS
    for has_validation in (True, False)
]


def all_options():
    """Return the parser's options: flags -> action."""
    parser = argparse.ArgumentParser()
    train_options.add_options(parser)
    return {action.option_strings[0]: action for action in parser._actions}


def write_record(path, **settings):
    """Write what is read of a snapshot of a run: 4 epochs are done."""
    run = {"epoch": 4, "settings": {"augmentation": {}, **settings}, "counters": {}}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps({"config": {"details": {"run": run}}}))


def test_every_option_is_in_the_table():
    told = {option.split()[0] for option in OPTION_TABLE}
    left = [
        action.dest
        for flag, action in all_options().items()
        if flag not in told and common.flag(action.dest) not in told
    ]
    augmentation = set(vars(USUAL))
    assert set(left) - augmentation == set(ELSEWHERE)


@pytest.mark.parametrize(("option", "start", "has_validation", "outcomes"), CELLS)
def test_no_option_is_silently_void(tmp_path, option, start, has_validation, outcomes):
    start_options = {
        "new": [],
        "weights": ["--weights", "other.h5"],
        "snapshot": ["--snapshot", str(tmp_path / "run.keras")],
        "detector": ["--weights", "coco"],
    }[start]
    write_record(tmp_path / "run.keras")
    outcome = outcomes[STARTS.index("weights" if start == "detector" else start)]
    if len(outcomes) == 4 and not has_validation:
        outcome = VOID
    flag, *rest = option.split()
    values = list(itertools.takewhile(lambda text: not text.startswith("--"), rest))
    if start == "detector" and flag in OF_DETECTOR:
        outcome = VOID
    given = ["csv", "a", "b", *start_options, *option.split()]
    same = flag in start_options
    if outcome == REFUSED and not same:
        with pytest.raises((SystemExit, ValueError)):
            plan(*given)
        return
    found, action = plan(*given), all_options()[flag]
    convert = action.type or str
    has_opposite = isinstance(action, argparse.BooleanOptionalAction)
    value = convert(values[0]) if values else action.const or has_opposite
    if action.nargs == "+":
        value = tuple(map(convert, values))
    assert getattr(found, action.dest) == value
    assert (action.dest in found.void_settings(has_validation)) == (outcome == VOID)
    if outcome == KEPT and start == "snapshot":
        kept = {} if flag == "--initial-epoch" else {action.dest: value}
        for other in all_options().keys() & set(rest):  # what this option needs
            kept[all_options()[other].dest] = getattr(found, all_options()[other].dest)
        write_record(tmp_path / "run.keras", **kept)
        expected = 4 if flag == "--initial-epoch" else value
        assert getattr(plan("csv", "a", "b", *start_options), action.dest) == expected
        again = plan("csv", "a", "b", *start_options, "--initial-epoch", "0")
        assert getattr(again, action.dest) != expected  # a new run has the usual settings


def test_a_run_that_is_done_says_how_to_go_on(tmp_path):
    write_record(tmp_path / "run.keras", epochs=4)
    with pytest.raises(ValueError, match=r"^--epochs: .* \(4\), got 4: the run .* is done; more"):
        plan("csv", "a", "b", "--snapshot", str(tmp_path / "run.keras"))


def test_a_continued_run_keeps_its_augmentation(tmp_path):
    write_record(tmp_path / "run.keras", augmentation={"hue": [0.1, 0.2]})
    snapshot = ("--snapshot", str(tmp_path / "run.keras"))
    kept = plan("csv", "a", "b", *snapshot).augmentation
    assert (kept.hue, kept.flip_x_chance) == ((0.1, 0.2), 0)
    write_record(tmp_path / "run.keras", augmentation={"mosaic": 0.3, "hue": [0.1, 0.2]})
    assert plan("csv", "a", "b", *snapshot).augmentation.mosaic == 0.3
    for more in (["--flip-x-chance", "0.5"], ["--random-transform"]):
        assert plan("csv", "a", "b", *snapshot, *more).augmentation.flip_x_chance == 0.5
    write_record(tmp_path / "run.keras", augmentation={"hue": "red"})
    with pytest.raises(ValueError, match="^--snapshot: its augmentation is malformed: hue"):
        plan("csv", "a", "b", *snapshot)


def test_a_value_that_the_loss_does_not_have_is_refused_by_its_flag(tmp_path):
    with pytest.raises(ValueError, match="^--beta: the loss focal has none, got 2.0: focal-star "):
        plan("csv", "a", "b", "--beta", "2")
    with pytest.raises(ValueError, match="^--gamma: the loss ce has none"):
        plan("csv", "a", "b", "--loss", "ce", "--gamma", "2")
    # A continued run with another loss has the defaults of that loss.
    write_record(tmp_path / "run.keras", loss="focal", gamma=3, alpha=0.5, loss_normaliser="image")
    snapshot = ("csv", "a", "b", "--snapshot", str(tmp_path / "run.keras"))
    found = plan(*snapshot, "--loss", "focal-star")
    assert (found.loss, found.gamma, found.alpha) == ("focal-star", None, None)
    assert found.loss_normaliser == "image"
    with pytest.raises(ValueError, match="^--gamma: the loss balanced-ce has none"):
        plan(*snapshot, "--loss", "balanced-ce", "--gamma", "3")


def test_malformed_class_weights_are_told(capsys):
    with pytest.raises(SystemExit):
        plan("csv", "a", "b", "--class-weights", "cat=2,dog")
    assert "--class-weights: expected name=weight,name=weight" in capsys.readouterr().err


def test_a_continued_run_of_shapes_has_no_void_settings(tmp_path):
    write_record(tmp_path / "run.keras", lr=1.5e-3, batch_size=4, epochs=9)
    found = plan("shapes", "--snapshot", str(tmp_path / "run.keras"))
    assert found.void_settings(True) == {}
    assert (found.lr, found.batch_size, found.image_min_side) == (1.5e-3, 4, None)


def test_forged_settings_of_a_loss_are_refused_by_name(tmp_path):
    forged = {"loss": ["focal"], "alpha": "x", "gamma": -1, "beta": "x", "class_weights": ["cat"]}
    for name, value in {**forged, "loss_normaliser": None}.items():
        write_record(tmp_path / "run.keras", **{name: value})
        with pytest.raises(ValueError, match=f"^{common.flag(name)}: expected "):
            plan("csv", "a", "b", "--snapshot", str(tmp_path / "run.keras"))


@pytest.mark.parametrize("value", ["x", [], {}, -1])
def test_a_forged_record_is_refused_by_name(tmp_path, value):
    write_record(tmp_path / "run.keras", lr=value)
    with pytest.raises(ValueError, match="^--lr: expected a number above 0, got"):
        plan("csv", "a", "b", "--snapshot", str(tmp_path / "run.keras"))


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["csv", "a", "b", "--reduce-lr-patience", "3", "--lr-schedule", "cosine"], "reduce_lr_"),
        (["csv", "a", "b", "--no-snapshots", "--snapshot-format", "h5"], "snapshot_format"),
        (["csv", "a", "b", "--no-evaluation", "--early-stopping"], "early_stopping"),
        (["csv", "a", "b", "--no-resize", "--image-min-side", "99"], "image_min_side"),
        (["csv", "a", "b", "--no-weights", "--freeze-backbone"], "freeze_backbone"),
        (["coco", "a", "--weighted-average"], "weighted_average"),
        (["shapes", "--freeze-backbone"], "freeze_backbone"),
    ],
)
def test_options_that_undo_each_other_are_void(arguments, name):
    assert any(found.startswith(name) for found in plan(*arguments).void_settings(True))
    usual = {"csv": 3, "coco": 2, "shapes": 1}[arguments[0]]
    assert not plan(*arguments[:usual]).void_settings(True)


def test_options_that_need_others_say_so():
    train_options.parse_args(["csv", "a", "b", "--multi-gpu", "2", "--batch-size", "2"])
    with pytest.warns(UserWarning, match="--multi-gpu-force has no effect without --multi-gpu"):
        train_options.parse_args(["csv", "a", "b", "--multi-gpu-force"])
    train_options.parse_args(["shapes", "--export", "folder"])
    with pytest.warns(UserWarning, match="^--epochs, --no-resize: no effect beside --export"):
        train_options.parse_args(["shapes", "--export", "folder", "--epochs", "3", "--no-resize"])
    with pytest.warns(UserWarning, match="--multiprocessing has no effect"):
        train_options.parse_args(["csv", "a", "b", "--multiprocessing"])


@pytest.mark.filterwarnings("default:early_stopping")
def test_warnings_name_the_flag(capsys):
    warn = common.report_errors(lambda: warn_of_early_stopping())
    warn()
    assert "warning: --early-stopping: why" in capsys.readouterr().err


def warn_of_early_stopping():
    with train_options.naming_flags():
        warnings.warn(SettingWarning("early_stopping", "why"), stacklevel=1)


INTERRUPTED = ("csv", "a", "b", "--no-weights", "--lr", "0.5", "--hue", "0", "0.1", "--no-resize")


def interrupted(folder, *more):
    """Write what is read of the state of a run with some options; return those that resume it."""
    options = ("--snapshot-path", str(folder), *more)
    found = plan(*INTERRUPTED, *options)
    write_state(folder, RunRecord(1, found.fixed_settings(), step=2))
    return (*options, "--resume")


def test_the_same_command_goes_on_and_so_does_one_that_leaves_options_out(tmp_path):
    resumed = interrupted(tmp_path)
    same = plan(*INTERRUPTED, *resumed)
    assert same.resume
    assert (same.lr, same.no_resize, same.augmentation.hue) == (0.5, True, (0, 0.1))
    assert plan("csv", "a", "b", *resumed) == same
    # With those that change nothing of what is learned.
    other = plan("csv", "a", "b", *resumed, "--workers", "1", "--save-steps", "5")
    assert (other.workers, other.save_steps) == (1, 5)


def test_a_run_from_weights_or_a_snapshot_goes_on(tmp_path):
    for start in (("--weights", "coco"), ("--snapshot", "s.keras", "--initial-epoch", "3")):
        folder = tmp_path / start[0]
        folder.mkdir()
        words = [word for word in INTERRUPTED if word != "--no-weights"]
        found = plan(*words, *start, "--snapshot-path", str(folder))
        write_state(folder, RunRecord(4, found.fixed_settings()))
        resumed = ("--snapshot-path", str(folder), "--resume")
        for again in (plan(*words, *start, *resumed), plan("csv", "a", "b", *resumed)):
            assert again.fixed_settings() == found.fixed_settings()


@pytest.mark.parametrize(
    "other",
    ["--lr 0.25", "--seed 3", "--batch-size 2", "--backbone vgg16", "--hue 0 0.2", "--steps 7"]
    + ["--mosaic 0 --hue 0 0.1"]
    + ["--weights w.h5", "--imagenet-weights", "--freeze-backbone", "--image-min-side 900"]
    + ["--epochs 60", "--loss ce", "--deterministic", "--match-every-box", "--optimizer sgd"],
)
def test_an_option_that_contradicts_the_state_is_refused_by_its_flag(tmp_path, other):
    resumed = interrupted(tmp_path)
    with pytest.raises(
        ValueError, match=f"^{other.split()[0]}: the run to go on with has .*leave it out"
    ):
        plan("csv", "a", "b", *resumed, *other.split())


def test_other_weights_contradict_the_state(tmp_path):
    found = plan("csv", "a", "b", "--snapshot-path", str(tmp_path))
    write_state(tmp_path, RunRecord(1, found.fixed_settings()))
    resumed = ("csv", "a", "b", "--snapshot-path", str(tmp_path), "--resume")
    assert plan(*resumed).imagenet_weights
    with pytest.raises(ValueError, match="^--imagenet-weights: .* has True, got False"):
        plan(*resumed, "--no-weights")
    found = plan("csv", "a", "b", "--match-every-box", "--snapshot-path", str(tmp_path))
    write_state(tmp_path, RunRecord(1, found.fixed_settings()))
    with pytest.raises(ValueError, match="^--match-every-box: .* has True, got False"):
        plan(*resumed, "--no-match-every-box")


def test_without_a_state_resume_changes_nothing(tmp_path):
    found = plan(*INTERRUPTED, "--snapshot-path", str(tmp_path), "--resume")
    assert replace(found, resume=False) == plan(*INTERRUPTED, "--snapshot-path", str(tmp_path))
    with pytest.raises(ValueError, match="^--resume: needs the state of a run"):
        plan("csv", "a", "b", "--resume", "--no-snapshots")


def test_a_name_of_no_detector_is_refused_at_once(tmp_path, monkeypatch):
    for option in ("--weights", "--snapshot"):
        with pytest.raises(ValueError, match="no published model .*did you mean coco"):
            plan("csv", "a", "b", option, "cocoo")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "coco").mkdir()
    message = "coco .*hides the published model of this name: write torchvision_resnet50_v2"
    with pytest.raises(ValueError, match=message):
        plan("csv", "a", "b", "--weights", "coco")
