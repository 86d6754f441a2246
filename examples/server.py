"""A web server: POST a photo, get its objects as JSON.

pip install '.[server]' onnxruntime
retinanet-convert-model snapshot.keras detector.onnx
MODEL=detector.onnx uvicorn --app-dir examples server:app --port 8000
curl --data-binary @photo.jpg 'http://127.0.0.1:8000/detect?score=0.5'

Requests run in threads that share the detector. `--workers N` starts processes that each load it.
"""

import asyncio
import os
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool

from keras_retinanet import Detector

MAX_BYTES = 20 * 2**20
MAX_PIXELS = 50_000_000  # a small file may declare a huge picture
AT_ONCE = asyncio.Semaphore(2)  # photos in memory


@asynccontextmanager
async def load(app: FastAPI):
    """Load the model when the server starts, in the process that will use it."""
    app.state.detector = Detector.load(os.environ["MODEL"])
    yield


app = FastAPI(lifespan=load)


@app.post("/detect")
async def detect(request: Request, score: float = 0.5) -> dict:
    """Return boxes in pixels of the photo, scores, labels and names."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_BYTES:
            raise HTTPException(413, f"expected a photo of at most {MAX_BYTES} bytes")
    try:
        async with AT_ONCE:
            found = await run_in_threadpool(
                request.app.state.detector, data, score_threshold=score, max_pixels=MAX_PIXELS
            )
    except ValueError as error:
        raise HTTPException(400, str(error)) from None
    return found.to_dict()
