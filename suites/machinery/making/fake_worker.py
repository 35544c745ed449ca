"""A fake worker of the paired clock: an interpreter with no torch and a time of its own.

    python fake_worker.py PART [RATIO] -c CODE DEVICE THREADS

PARTS below; RATIO makes its workloads slower than those of a healthy worker. Each process adds a noise of its own, as
memory layout does: NOISE of the time.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from pathlib import Path

NOISE = 0.01
START_SECONDS = 4.0
"""Of the part that starts so slowly that the time for a second restart is never there."""
WORKLOADS = {"init/a": 1e-3, "init/b": 3e-2, "train/a": 2e-4}
"""Name -> seconds of one call."""
CONTROL = "guard/python"

PARTS = (
    "healthy",
    "dies",
    "dies at work",
    "hangs",
    "hangs at work",
    "answers nonsense",
    "answers NaN",
    "answers a huge number",
    "answers without an end",
    "answers half a letter",
    "answers too deep",
    "answers without being asked",
    "answers too few",
    "lists nonsense",
    "starts slowly",
    "cannot init/b",
    "has another python",
    "is another machine",
    "starts very slowly",
)


def say(answer):
    """One line."""
    print(json.dumps(answer), flush=True)


def raw(text):
    """Whatever it is, in one write: `print` sends the end of the line by itself where Python does not buffer."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def spoilt(part, slices):
    """Answer of this part instead of the seconds of a block; None if it does nothing strange."""
    if part == "dies at work":
        print("Segmentation fault, or so", file=sys.stderr, flush=True)
        os._exit(3)
    if part == "hangs at work":
        time.sleep(600)
    return {
        "answers nonsense": "certainly",
        "answers NaN": '{"seconds": [' + ", ".join(["NaN"] * slices) + "]}",
        "answers a huge number": '{"seconds": [' + ", ".join(["1" + "0" * 400] * slices) + "]}",
        "answers too deep": "[" * 100_000,
        "answers without being asked": '{"seconds": [' + ", ".join(["1"] * slices) + "]}\n{}",
        "answers too few": '{"seconds": []}',
    }.get(part)


ROUNDS = 50_000
"""Of a loop, in a call that a child makes: some five million instructions; a healthy worker's."""


def in_a_child(rounds):
    """The process that has gone round, and ended."""
    child = os.fork()
    if child == 0:
        for _ in range(rounds):
            pass
        os._exit(0)
    os.waitpid(child, 0)
    return child


def main():
    """Answer until the questions end."""
    words = sys.argv[1 : sys.argv.index("-c")]
    part, ratio = words[0], float(words[1]) if len(words) > 1 else 1.0
    if seen := os.environ.get("ACTORS"):
        Path(seen, str(os.getpid())).touch()
    if part == "dies":
        print("ModuleNotFoundError: No module named 'torch'", file=sys.stderr)
        sys.exit(1)
    if part == "hangs":
        time.sleep(600)
    if part == "starts slowly":
        time.sleep(1.5)
    if part == "starts very slowly":
        time.sleep(START_SECONDS)
    if part == "answers without an end":
        sys.stdout.write("x" * (1 << 21))
        sys.stdout.flush()
        time.sleep(600)
    noise = random.gauss(1.0, NOISE)
    version = "\ud800" if part == "answers half a letter" else "9.9.9"
    say({"torch": version, "python": "3.99.0" if part == "has another python" else "3.98.0", "threads": 1})
    seconds = 0.0
    for line in sys.stdin:
        question = json.loads(line)
        match question["do"]:
            case "list":
                named = [[name, name != "train/a", "quick"] for name in (*WORKLOADS, CONTROL)]
                say({"workloads": "all" if part == "lists nonsense" else named})
            case "prepare":
                name = question["workload"]
                if part == "cannot init/b" and name == "init/b":
                    say({"error": "AttributeError: no such function"})
                    continue
                slower = 2.0 if part == "is another machine" else 1.0 if name == CONTROL else ratio
                seconds = WORKLOADS.get(name, 1e-3) * slower * noise
                say({})
            case "release":
                say({})
            case "pin":
                if seen:
                    Path(seen, str(os.getpid())).write_text(str(question["core"]), encoding="ascii")
                say({})
            case "calibrate":
                say({"calls": max(1, round(question["seconds"] / seconds))})
            case "block":
                calls, slices = question["calls"], question["slices"]
                answer = spoilt(part, slices)
                if answer is None:
                    say({"seconds": [calls * seconds * random.gauss(1.0, NOISE / 4) for _ in range(slices)]})
                else:
                    raw(answer)
            case "peak":
                say({"count": 1 << 28})
            case "allocate":
                say({"count": round(ratio * (1 << 20))})
            case "instructions":
                say({"count": None})
            case "repeat" if part == "cannot init/b" and question["workload"] == "init/b":
                say({"error": "AttributeError: no such function"})
            case "repeat":
                say({"count": in_a_child(question["calls"] * round(ratio * ROUNDS))})


if __name__ == "__main__":
    main()
