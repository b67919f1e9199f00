"""Asks a heart model about made-up patients, or tells later how it stands with them. They are older than those it learned from.

python3 traffic.py ask URL COUNT                          prints the inference id
TOKEN=... python3 traffic.py label COLLECTOR NAMESPACE INFERENCE_ID COUNT
"""

import json
import os
import random
import sys
import urllib.request
from typing import Any

BLOCKED = 3
"""Vessels that an X-ray shows to be narrow: as many as the data counts."""


def patients(count: int) -> list[dict[str, Any]]:
    """The same patients each time."""
    draw = random.Random(7)
    return [
        {
            "age": draw.randint(60, 90),
            "sex": draw.choice("01"),
            "cp": draw.choice("1234"),
            "trestbps": draw.randint(130, 200),
            "chol": draw.randint(180, 400),
            "fbs": draw.choice("01"),
            "restecg": draw.choice("012"),
            "thalach": draw.randint(70, 130),
            "exang": draw.choice("01"),
            "oldpeak": draw.randint(0, 40) / 10,
            "slope": draw.choice("123"),
            "ca": draw.randint(0, 3),
            "thal": draw.choice("367"),
        }
        for _ in range(count)
    ]


def is_ill(patient: dict[str, Any]) -> bool:
    """How it turns out among these: a slow heart says little at their age, vessels and the thallium test say much."""
    return patient["ca"] == BLOCKED or (patient["thal"] == "7" and patient["cp"] == "4")


def post(url: str, body: object, **headers: str) -> Any:
    """The answer to a body of JSON."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json", **headers})
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def ask(url: str, count: str) -> None:
    answered = post(f"{url}/v1/models/heart:predict", {"instances": patients(int(count))})
    print(answered["id"])


def label(collector: str, namespace: str, inference: str, count: str) -> None:
    found = [
        {"id": inference, "row": row, "label": str(int(is_ill(patient)))}
        for row, patient in enumerate(patients(int(count)))
    ]
    token = f"Bearer {os.environ['TOKEN']}"
    print(post(f"{collector}/v1/namespaces/{namespace}/models/heart/labels", found, Authorization=token))


{"ask": ask, "label": label}[sys.argv[1]](*sys.argv[2:])
