"""examples/server.py, with a small model and without a network."""

import importlib.util
from pathlib import Path

import cv2
import pytest

from keras_retinanet import models
from tests.fakes import detailed_finder, picture

testclient = pytest.importorskip("fastapi.testclient")
pytest.importorskip("httpx")


@pytest.fixture
def client(monkeypatch):
    path = Path(__file__).parents[1] / "examples" / "server.py"
    spec = importlib.util.spec_from_file_location("server", path)
    server = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(server)
    monkeypatch.setattr(models, "load_model", lambda path: detailed_finder())
    monkeypatch.setenv("MODEL", "model.keras")
    monkeypatch.setattr(server, "MAX_BYTES", 10_000)
    with testclient.TestClient(server.app) as client:
        yield client


def test_a_photo_gets_its_boxes(client):
    photo = cv2.imencode(".png", picture(40, 60, (10, 5, 30, 25), label=1))[1].tobytes()
    answer = client.post("/detect", content=photo)
    assert answer.status_code == 200
    assert answer.json() == {
        "boxes": [[10, 5, 30, 25]],
        "scores": [1],
        "labels": [1],
        "names": ["dog"],
    }
    assert client.post("/detect?score=2", content=photo).json()["boxes"] == []


@pytest.mark.parametrize(("data", "code"), [(b"text", 400), (b"", 400), (b"x" * 10_001, 413)])
def test_what_is_no_photo_is_refused(client, data, code):
    answer = client.post("/detect", content=data)
    assert answer.status_code == code
    assert "expected" in answer.json()["detail"]
