import keras
import numpy as np

from keras_retinanet.detection.keras_runner import compiled


def test_a_compiled_model_gives_what_the_model_gives_for_all_sizes():
    # On several devices: training/test_distribution.py.
    traced = []

    class Double(keras.layers.Layer):
        def call(self, x):
            traced.append(x.shape)
            return 2 * x

    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, [Double()(inputs), inputs])
    traced.clear()
    run = compiled(model)
    for shape in ((1, 4, 5, 3), (2, 6, 3, 3)):
        batch = np.random.default_rng(0).uniform(size=shape).astype("float32")
        np.testing.assert_array_equal(run(batch)[0], 2 * batch)
    assert len(traced) == 1
