"""Somebody who sends events and does not give up before each of them is acknowledged."""

from __future__ import annotations

import random
import threading
import time
import uuid

import httpx

__all__ = ["Sender"]


class Sender(threading.Thread):
    """Sends batches, each again until it is acknowledged, and remembers which events were."""

    def __init__(self, url: str, token: str, seed: int) -> None:
        super().__init__(daemon=True)
        self.acknowledged: list[str] = []
        self.retries = 0
        self._random = random.Random(seed)
        self._client = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=5)
        self._ending = threading.Event()

    def run(self) -> None:
        while not self._ending.is_set():
            ids = [str(uuid.uuid4()) for _ in range(self._random.randint(1, 50))]
            self._deliver(ids)
        self._client.close()

    def _deliver(self, ids: list[str]) -> None:
        now = time.time()
        events = [
            {
                "id": id_,
                "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now - self._random.random() * 1e6)),
                "method": "GET",
                "path": f"/items/{self._random.randint(1, 9)}",
                "status_code": self._random.choice([200, 404, 500]),
                "request": {"elapsed_time": self._random.random()},
                "consumer": {"key": f"c{self._random.randint(1, 50)}"},
            }
            for id_ in ids
        ]
        while True:
            try:
                answer = self._client.post("/v1/events", json=events)
            except httpx.HTTPError:
                self.retries += 1
                time.sleep(0.02)
                continue
            if answer.status_code == httpx.codes.OK:
                receipt = answer.json()
                assert receipt["stored"] + receipt["duplicate"] == len(ids), receipt
                self.acknowledged += ids
                return
            self.retries += 1

    def end(self) -> None:
        self._ending.set()
