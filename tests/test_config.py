import configparser
import dataclasses
import os
import re
from pathlib import Path

import pytest

from keras_retinanet import config
from keras_retinanet.augmentation.settings import RANDOM_TRANSFORM
from keras_retinanet.geometry.anchors import AnchorParameters

GOOD = "[anchor_parameters]\nsizes = 16 32\nstrides = 8 16\nratios = 0.5 1\nscales = 1 1.2 1.6\n"


def write(tmp_path, text):
    path = tmp_path / "config.ini"
    path.write_text(text)
    return str(path)


def test_reads_anchors_and_levels(tmp_path):
    found = config.load_config(write(tmp_path, GOOD + "[pyramid_levels]\nlevels = 3 4\n"))
    assert found.pyramid_levels == (3, 4)
    assert found.anchor_params == AnchorParameters([16, 32], [8, 16], [0.5, 1], [1, 1.2, 1.6])


def test_augmentation_alone_is_enough(tmp_path):
    text = "[augmentation]\nflip_x_chance = 0.25\nrotation = -0.1  0.2\nscale_range=0.5 1\n"
    found = config.load_config(write(tmp_path, text))
    assert found == config.Config(
        augmentation={"flip_x_chance": 0.25, "rotation": (-0.1, 0.2), "scale_range": (0.5, 1)}
    )
    assert isinstance(hash(found), int)


def test_the_example_in_the_readme_is_random_transform_and_more(tmp_path):
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    text = re.search(r"```ini\n(\[augmentation\].*?)```", readme, re.DOTALL).group(1)
    found = config.load_config(write(tmp_path, text)).augmentation
    strong = dataclasses.asdict(RANDOM_TRANSFORM)
    more = {"random_crop", "crop_min_share", "scale_range", "mosaic", "copy_paste"}
    assert {name: found[name] for name in set(found) - more} == {
        name: strong[name] for name in set(strong) - more
    }
    assert set(found) == set(strong)


def test_levels_alone_are_enough_if_the_usual_anchors_fit(tmp_path):
    found = config.load_config(write(tmp_path, "[pyramid_levels]\nlevels = 2 3 4 5 6\n"))
    assert found == config.Config(pyramid_levels=(2, 3, 4, 5, 6))


def test_a_missing_file_is_named(tmp_path):
    for read in (config.load_config, config.read_config_file):
        with pytest.raises(FileNotFoundError, match=r"none\.ini"):
            read(tmp_path / "none.ini")


def test_old_functions_name_the_file_and_want_anchors(tmp_path):
    path = write(tmp_path, "[augmentation]\nhue = 0 0.1\n")
    with pytest.raises(ValueError, match=r"ini: expected a section \[anchor_parameters\]"):
        config.read_config_file(path)


def test_old_functions_take_any_parser():
    parser = configparser.ConfigParser()
    parser.read_string(GOOD + "[mine]\nkey = 1\n")
    assert config.parse_anchor_parameters(parser).sizes == [16, 32]
    assert config.Config.of(parser).anchor_params.strides == [8, 16]


def test_old_functions_agree(tmp_path):
    parser = config.read_config_file(write(tmp_path, GOOD + "[pyramid_levels]\nlevels = 3 4\n"))
    assert config.parse_pyramid_levels(parser) == [3, 4]
    assert config.Config.of(parser).anchor_params == config.parse_anchor_parameters(parser)
    assert config.Config.of(None) == config.Config()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sizes = 1", "expected an .ini file"),
        ("[other]\n", r"expected a section \[anchor_parameters\]"),
        (GOOD + "size = 3\n", r"\[anchor_parameters\]: expected the keys .* got \['size'\]"),
        (GOOD.replace("0.5 1", "half"), r"\[anchor_parameters\] ratios: .* got 'half'"),
        (GOOD.replace("0.5 1", "0 1"), r"ratios: expected float numbers above 0"),
        (GOOD.replace("8 16", "8"), "equal number of values"),
        (GOOD.replace("ratios = 0.5 1\n", ""), r"\[anchor_parameters\]: expected the key ratios"),
        (GOOD + "[pyramid_levels]\n", r"\[pyramid_levels\]: expected the key levels"),
        ("", r"expected a section .*, got \[\]"),
        ("[augmentations]\n", r"got \['augmentations'\] \(did you mean 'augmentation'\?\)"),
        (GOOD + "[pyramid_level]\nlevels = 3 4\n", "did you mean 'pyramid_levels'"),
        (GOOD + "size = 3\n", "did you mean 'sizes'"),
        (GOOD + "[pyramid_levels]\nlevel = 3 4\n", r"\[pyramid_levels\]: .* mean 'levels'"),
        (GOOD + "sizes = 3\n", "expected an .ini file: .* 'sizes' .* already exists"),
        (GOOD.replace("16 32", ""), r"\[anchor_parameters\] sizes: .* got ''"),
        (GOOD.replace("16 32", "16, 32"), r"sizes: expected int numbers .* got '16, 32'"),
        (GOOD.replace("16 32", "50% 32"), r"sizes: .* got '50% 32'"),
        (GOOD.replace("1.2", "nan"), r"scales: .* got '1 nan 1.6'"),
        (GOOD + "[pyramid_levels]\nlevels = 3 8\n", r"levels: expected .* from 2 to 7, got \[3, 8"),
        (GOOD + "[pyramid_levels]\nlevels = 3 3\n", r"levels: expected different numbers"),
        (GOOD + "[pyramid_levels]\nlevels = 5 7\n", r"levels: expected 6, from which 7 is made"),
        ("[pyramid_levels]\nlevels = 3 4\n", r"without the section there are \[32, 64"),
        ("[augmentation]\nrotate = 1 2\n", r"\[augmentation\]: .*did you mean 'rotation'"),
        ("[augmentation]\nhue = x\n", r"\[augmentation\] hue: expected numbers .* got 'x'"),
        ("[augmentation]\nhue =\n", r"\[augmentation\] hue: expected two .* got nothing"),
        ("[augmentation]\nhue = 0 2\n", r"\[augmentation\] hue: .* in -1\.\.1, got 0 2"),
        (GOOD, r"sizes: expected one for each of the pyramid levels \[3, 4, 5, 6, 7\]"),
        (GOOD + GOOD, "expected an .ini file: .* section 'anchor_parameters' already exists"),
        (
            GOOD.replace("16 32", "1000000000 32"),
            r"sizes: .* at most 1e\+06, .* got '1000000000 32'",
        ),
        (GOOD.replace("8 16", "8 1" + "0" * 400), r"strides: .* at most 1e\+06"),
        (GOOD.replace("8 16", "8 " + "1" * 5000), r"strides: .* got '8 111.* \.\.\. .*111'"),
        (GOOD.replace("8 16", "8 inf"), r"strides: expected int numbers .* got '8 inf'"),
        (GOOD.replace("8 16", "8 -16"), r"strides: expected int numbers above 0"),
        (GOOD.replace("0.5 1", "0.5 inf"), r"ratios: .* got '0.5 inf'"),
        (GOOD.replace("0.5 1", "1e-320 1"), r"ratios: .* got '1e-320 1'"),
        (GOOD.replace("0.5 1", "1e300 1"), r"ratios: .* got '1e300 1'"),
        (GOOD.replace("1 1.2 1.6", "1 " * 30_000), r"scales: expected at most 100 numbers"),
        (GOOD.replace("1 1.2 1.6", ""), r"scales: expected float numbers .* got ''"),
        (GOOD + f"{'x' * 60_000} = 3\n", r"expected the keys .* got \['xxx"),
        ("[" + "x" * 60_000 + "]\n", "expected a section"),
        ("x" * 60_000, "expected an .ini file: File contains no section headers"),
        ("[]\n", "expected an .ini file|expected a section"),
        ("\0", "expected an .ini file"),
        ("[pyramid_levels]\nlevels = " + "3 " * 101, "levels: expected at most 100 numbers"),
        ("[pyramid_levels]\nlevels =\n", r"levels: expected int numbers .* got ''"),
        ("[augmentation]\nhue = nan 1\n", r"\[augmentation\] hue: .* got nan 1"),
        ("[augmentation]\nhue = -inf 1\n", r"\[augmentation\] hue: .* got -inf 1"),
        ("[augmentation]\nhue = " + "1 " * 30_000, r"\[augmentation\] hue: expected two"),
        ("[DEFAULT]\nsizes = 1\n", r"expected a section .*, got \[\]"),
        ("[DEFAULT]\nsize = 1\n" + GOOD, r"\[anchor_parameters\]: .* got \['size'\]"),
        ("#" * 2**16 + "\n", "expected a file of at most 65536 bytes"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(ValueError, match=message) as error:
        config.load_config(path)
    assert str(error.value).startswith(path)
    assert len(str(error.value)) < 300 + len(path)


def test_values_without_end_are_refused_by_old_functions_too(tmp_path):
    parser = config.read_config_file(write(tmp_path, GOOD.replace("0.5 1", "1 " * 101)))
    with pytest.raises(ValueError, match="ratios: expected at most 100 numbers, got 101"):
        config.parse_anchor_parameters(parser)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD.replace("16 32", "%(none)s 32"), r"\[anchor_parameters\] sizes: .*none"),
        (GOOD.replace("16 32", "50% 32"), r"\[anchor_parameters\] sizes: .*'%' must be followed"),
        (
            GOOD.replace("16 32", "%(sizes)s"),
            r"\[anchor_parameters\] sizes: Recursion limit exceeded",
        ),
        (GOOD + "[augmentation]\nhue = %(none)s\n", r"\[augmentation\] hue: .*none"),
        (GOOD + "[augmentation]\nhues = 1\n", r"\[augmentation\] hues: expected one of"),
        (GOOD + "[pyramid_levels]\n", r"\[pyramid_levels\]: expected the key levels"),
    ],
)
def test_parsers_with_interpolation(text, message):
    parser = configparser.ConfigParser()
    parser.read_string(text)
    with pytest.raises(ValueError, match=message):
        config.Config.of(parser)


def test_a_section_that_is_not_there_is_named():
    parser = configparser.ConfigParser()
    for parse in (config.parse_anchor_parameters, config.parse_pyramid_levels):
        with pytest.raises(ValueError, match=r"\[\w+\]: expected the key"):
            parse(parser)
    parser = configparser.ConfigParser(allow_no_value=True)
    parser.read_string(GOOD.replace("sizes = 16 32", "sizes"))
    with pytest.raises(ValueError, match=r"sizes: expected int numbers above 0"):
        config.parse_anchor_parameters(parser)


def test_only_regular_files_are_read(tmp_path):
    os.mkfifo(tmp_path / "fifo.ini")
    for read in (config.load_config, config.read_config_file):
        with pytest.raises(ValueError, match=r"fifo\.ini: expected a regular file"):
            read(tmp_path / "fifo.ini")
