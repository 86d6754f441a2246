"""Write augmentation_goldens.npz: what keras-retinanet 1.0.0 makes of a small image.

Run with a Python in which keras-retinanet 1.0.0 imports (it needs Keras 2), from a folder that is
no checkout:

    python make_augmentation_goldens.py augmentation_goldens.npz
"""

import contextlib
import sys

import numpy as np

with contextlib.suppress(ImportError):
    import legacy  # noqa: F401  where Keras 2 has to be made importable first
from keras_retinanet.utils import image as old_image
from keras_retinanet.utils import transform as old

RANGES = {
    "min_rotation": -0.5,
    "max_rotation": 0.5,
    "min_translation": (-0.2, -0.1),
    "max_translation": (0.2, 0.3),
    "min_shear": -0.3,
    "max_shear": 0.3,
    "min_scaling": (0.7, 0.8),
    "max_scaling": (1.4, 1.2),
    "flip_x_chance": 0.5,
    "flip_y_chance": 0.5,
}
EFFECTS = [(0.5, 0, 0, 0), (0, 0.3, 0, 0), (0, 0, 0.3, 0), (0, 0, -0.7, 0), (1.2, -0.1, 0.1, 1.7)]


def main(path):
    rng = np.random.RandomState(0)
    image = rng.randint(0, 256, (13, 18, 3)).astype("uint8")
    goldens = {"image": image}
    seeded = [old.random_transform(prng=np.random.RandomState(seed), **RANGES) for seed in range(6)]
    source = old.random_transform_generator(prng=np.random.RandomState(3), **RANGES)
    np.random.seed(4)
    goldens["global"] = [old.random_transform(**RANGES) for _ in range(3)]
    goldens["seeded"], goldens["generated"] = seeded, [next(source) for _ in range(3)]
    goldens["boxes"] = [old.transform_aabb(matrix, [3, 4, 20, 30]) for matrix in seeded]
    goldens["centred"] = [old.change_transform_origin(matrix, (12, 20.5)) for matrix in seeded]
    for name, relative in {"relative": True, "absolute": False}.items():
        goldens[name] = [
            old_image.adjust_transform_for_image(matrix.copy(), image, relative)
            for matrix in seeded
        ]
    for fill in ("constant", "nearest", "reflect", "wrap"):
        for interpolation in ("nearest", "linear", "cubic", "area", "lanczos4"):
            # It fills the first channel alone where cval is one number.
            parameters = old_image.TransformParameters(fill, interpolation, cval=(77, 77, 77))
            goldens[f"{fill} {interpolation}"] = [
                old_image.apply_transform(matrix, image, parameters)
                for matrix in goldens["relative"][:3]
            ]
    np.random.seed(5)
    effects = old_image.random_visual_effect_generator()
    drawn = [next(effects) for _ in range(3)]
    goldens["drawn"] = [
        (one.contrast_factor, one.brightness_delta, one.hue_delta, one.saturation_factor)
        for one in drawn
    ]
    drawn += [old_image.VisualEffect(*values) for values in EFFECTS]
    goldens["coloured"] = [effect(image.copy()) for effect in drawn]
    np.savez_compressed(path, **{key: np.asarray(value) for key, value in goldens.items()})


if __name__ == "__main__":
    main(sys.argv[1])
