"""Forked processes that share the photos of a folder: each loads the model after the fork.

retinanet-convert-model snapshot.keras detector.onnx
python examples/forked_workers.py detector.onnx photos/
"""

import multiprocessing
import sys
from pathlib import Path

from keras_retinanet import Detector

detector = None


def start(model):
    """Load the model in a worker; one that its parent had loaded would be refused."""
    global detector
    detector = Detector.load(model)


def detect(photo):
    """Return a line about a photo."""
    return f"{photo}: {', '.join(map(str, detector(photo).names)) or 'nothing'}"


def main(model, folder):
    photos = sorted(Path(folder).glob("*.[jp][pn]g"))
    with multiprocessing.get_context("fork").Pool(2, start, [model]) as workers:
        for line in workers.imap(detect, photos):
            print(line)


if __name__ == "__main__":
    main(*sys.argv[1:])
