import pytest

from keras_retinanet import config
from keras_retinanet.anchors import AnchorParameters

GOOD = "[anchor_parameters]\nsizes = 16 32\nstrides = 8 16\nratios = 0.5 1\nscales = 1 1.2 1.6\n"


def write(tmp_path, text):
    path = tmp_path / "config.ini"
    path.write_text(text)
    return str(path)


def test_reads_anchors_and_levels(tmp_path):
    found = config.load_config(write(tmp_path, GOOD + "[pyramid_levels]\nlevels = 3 4\n"))
    assert found.pyramid_levels == (3, 4)
    assert found.anchor_params == AnchorParameters([16, 32], [8, 16], [0.5, 1], [1, 1.2, 1.6])


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
        (GOOD, r"sizes: expected one for each of the pyramid levels \[3, 4, 5, 6, 7\]"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(ValueError, match=message) as error:
        config.load_config(path)
    assert str(error.value).startswith(path)
