"""Asks a heart model about made-up patients: python3 traffic.py URL COUNT. They are older and sicker than those it learned from."""

import json
import random
import sys
import urllib.request

url, count = sys.argv[1], int(sys.argv[2])
draw = random.Random(7)  # the same patients each time

patients = [
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
body = json.dumps({"instances": patients}).encode()
request = urllib.request.Request(f"{url}/v1/models/heart:predict", body, {"Content-Type": "application/json"})
with urllib.request.urlopen(request) as response:
    answered = json.load(response)
print(f"{len(answered['predictions'])} answers, inference id {answered['id']}")
