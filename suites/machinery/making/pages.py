"""Data that a gate hands to its page, made by hand: small, whole, and with everything that a page draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec.structs import replace
from scipy import special

from fixtures.clock.results import Pairing
from fixtures.record.claim import Effect, Unit, Verdict
from fixtures.record.fault_outcomes import FaultOutcome
from fixtures.record.plan import Case
from fixtures.record.run_folder import Run
from fixtures.record.subject import Subject
from fixtures.training.trajectory import PREFIX, Numbers, Trajectory
from fixtures.weights.sketch import COUNTS, SALT, SALTED
from reports.model import Records
from reports.verdict.gate import GateVerdict, gate
from reports.view.evidence import Evidence, evidence
from reports.view.gate import GateView, gate_view
from suites.machinery.making.model_records import hostile_records
from suites.machinery.making.runs import claim, contract, environment, plan, run, undecided, violated
from suites.machinery.making.times import pairing, timed

CORE = Subject("kaiming_normal_", (64, 32), "float32", nonlinearity="relu")
HALF = Subject("kaiming_normal_", (64, 32), "bfloat16", nonlinearity="relu")
NETWORK = Subject("kaiming_normal_", (16, 16), "float32", nonlinearity="relu", path="plain_relu(4, inputs=1)")
TRAINED = Subject("Adam(lr=0.001)", (), mode=None, nonlinearity=None, a=None, path="tutorial")
STD = 0.25
"""What CORE and HALF are promised: sqrt(2 / 32)."""


def normal_weights(n: int, std: float = STD) -> npt.NDArray[np.float32]:
    """Weights at the normal quantiles: as healthy as a sample can be, and the same everywhere."""
    return (std * special.ndtri((np.arange(n) + 0.5) / n)).astype(np.float32)


def counts_of(weights: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Weights by the upper 16 bits of their code, which is the value itself where they are bfloat16 values."""
    return np.bincount(weights.view(np.uint32) >> 16, minlength=1 << 16).astype(np.int64)


def rounded_to_bfloat16(weights: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """To nearest, ties away from zero: there are hardly any."""
    return ((weights.view(np.uint32) + 0x8000) & 0xFFFF0000).view(np.float32)


def bands(shift: float = 0.0, depths: int = 4) -> dict[str, npt.NDArray[Any]]:
    """A trajectory's arrays, its measured logs `shift` above the exact ones."""
    levels = np.array([0.005, 0.05, 0.25, 0.5, 0.75, 0.95, 0.995])
    depth = np.arange(1, depths + 1)
    exact = -0.1 * depth[:, None] + np.sqrt(0.3 * depth)[:, None] * special.ndtri(levels)
    lines = np.tile(exact[:, 3], (3, 1)) + 0.1
    return {"depths": depth, "levels": levels, "exact": exact, "measured": exact + shift, "lines": lines}


STRAY = 1e-4
"""By what share of themselves quantities stray when weights are moved by what rounding can amount to."""


def numbers(steps: int = 6, layers: int = 3, **departs: tuple[Any, float]) -> Numbers:
    """A training run whose losses halve and whose gradients double from layer to layer.

    `departs`: places of `losses`, `gradient_norms` or `update_norms`, and by what to multiply what is there.
    """
    step, layer = np.arange(steps), np.arange(layers)
    norms = 0.5 ** step[:, None] * 2.0**layer
    plain = {"losses": 2.0**-step, "gradient_norms": norms, "update_norms": 0.01 * norms}
    digests = np.zeros((steps, layers), np.uint64)
    for name, (place, factor) in departs.items():
        plain[name][place] *= factor
        digests[:] = 1
    moved = [
        Trajectory(*(np.stack([array * (1 - stray), array * (1 + stray)]) for array in plain.values()))
        for stray in (STRAY / 1024, STRAY)
    ]
    return Numbers(np.zeros(layers + 1, np.uint64), digests, Trajectory(**plain), *moved)


def training_arrays(found: Numbers, key: str = TRAINED.key) -> dict[str, npt.NDArray[Any]]:
    """A training run's arrays as they lie in sketches.npz."""
    return {f"{PREFIX}{key}/{name}": array for name, array in found.arrays().items()}


def sketches(half: npt.NDArray[np.float32] | None = None) -> dict[str, npt.NDArray[Any]]:
    """Arrays of sketches.npz; `half` are the bfloat16 weights, healthy ones if None."""
    healthy = normal_weights(200_000)
    named = {
        f"{CORE.key}/counts": counts_of(healthy),
        f"{HALF.key}/counts": counts_of(rounded_to_bfloat16(healthy if half is None else half)),
    }
    for direction in ("forward", "backward"):
        named |= {f"trajectory/{NETWORK.key}/{direction}/{name}": array for name, array in bands().items()}
    return named | training_arrays(numbers())


FAULTS = (
    FaultOutcome("healthy", "suites/weights", (), 0, {}, 1.0, ()),
    FaultOutcome(
        "half_percent", "suites/weights", ("weights.marginal.scale",), 1, {"weights.marginal.scale": 3}, 1.0, ()
    ),
    FaultOutcome("unseen", "suites/weights", ("weights.marginal.zeros",), 0, {}, 1.0, ()),
)


@dataclass(frozen=True)
class Material:
    """Everything a page is made of."""

    verdict: GateVerdict
    baseline: Run
    candidate: Run
    references: Mapping[str, str] = field(default_factory=dict)
    faults: tuple[FaultOutcome, ...] = FAULTS

    @property
    def view(self) -> GateView:
        """The view of the gate."""
        return gate_view(self.verdict, self.baseline, self.candidate, references=self.references, faults=self.faults)

    @property
    def evidence(self) -> Evidence:
        """Numbers that the page draws."""
        return evidence(self.verdict, self.baseline, self.candidate)

    def page(self) -> str:
        """The page itself."""
        from reports.renderers.page.document import (
            render_page,  # not before it is asked for: see reports.renderers.page
        )

        return render_page(self.view, self.evidence)


def material(claims: int = 60, clock: Pairing | None = None, model: Records | None = None, **fields: Any) -> Material:
    """A gate that stops: bfloat16 weights that are cut.

    Args:
        claims: that hold on both sides, beside those that do not.
        clock: session of the paired clock, if any.
        model: records of a user's own model, if any.
        fields: others of the material.
    """
    scale = "weights.marginal.scale"
    held = [claim("weights.fan.scale", subject=Subject("kaiming_normal_", (n, 2))) for n in range(2, claims + 2)]
    before = [
        claim(scale, subject=CORE),
        claim(scale, subject=HALF),
        violated("weights.marginal.location", subject=HALF, known="half"),
        contract(),
        undecided("cuda is not there", subject=Subject("kaiming_normal_", (8, 8), device="cuda")),
    ]
    after = [
        before[0],
        violated(scale, subject=HALF, effect=Effect(-0.7, Unit.STD), p=1e-40),
        before[2],
        contract(Verdict.VIOLATED, "a weight of 0.5 lies outside [-0.4, 0.4]"),
        before[4],
    ]
    cases = (
        *(
            Case(family="weights.marginal", subject=subject, draws=100, resolution=0.1, core=True)
            for subject in (CORE, HALF, NETWORK)
        ),
        Case(family="training.numbers.repeatable", subject=TRAINED, draws=0, resolution=0.0),
    )
    planned = plan([each.id for each in before + held], cases=cases)
    cut = np.clip(normal_weights(200_000), -3.33 * STD, 3.33 * STD)
    sides = [
        run(*claims_of, *held, label=label, torch=torch, plan=planned, sketches=kept)
        for claims_of, label, torch, kept in (
            (before, "base", "2.13.0+cpu", sketches()),
            (after, "candidate", "2.14.1+cpu", sketches(cut)),
        )
    ]
    verdict = gate(*sides, pairing=clock, model=model)
    return Material(verdict, *sides, **{"references": {"half": "https://github.com/pytorch/pytorch/issues/1"}} | fields)


CARD = "cuda"
WIDER = 1.03
"""By what the candidate's float32 normals on the card are wider: drift, though their claim holds."""


def of_two_devices() -> tuple[Run, Run]:
    """Two runs that were asked on the processor and on a card: what differs differs on the card alone.

    The candidate's bfloat16 weights are cut there, its float32 ones are wider, digests and a loss have changed; what
    is known of the processor is known on both sides.
    """
    planned: list[Case] = []
    sides: dict[str, list[Any]] = {"base": [], "candidate": []}
    kept: dict[str, dict[str, npt.NDArray[Any]]] = {label: {} for label in sides}
    digests: dict[str, dict[str, str]] = {label: {} for label in sides}
    for device in ("cpu", CARD):
        core, half, trained = (replace(subject, device=device) for subject in (CORE, HALF, TRAINED))
        planned += [
            Case(family="weights.law", subject=subject, draws=100, resolution=0.1, core=True)
            for subject in (core, half)
        ]
        planned.append(Case(family="training.numbers.repeatable", subject=trained, draws=0, resolution=0.0))
        for label, claims in sides.items():
            is_changed = device == CARD and label == "candidate"
            claims.extend((claim("weights.marginal.scale", subject=core), contract(subject=core)))
            exact = {"p": None, "effect": None, "detectable": None}
            claims.append(claim("training.numbers.repeatable", subject=trained, **exact))
            if device == "cpu":
                claims.append(violated("weights.marginal.location", subject=half, known="half-uniform-upper-end"))
            cut = violated("weights.marginal.scale", subject=half, effect=Effect(-0.7, Unit.STD), p=1e-40)
            claims.append(cut if is_changed else claim("weights.marginal.scale", subject=half))
            healthy = normal_weights(200_000)
            wide = normal_weights(200_000, STD * (WIDER if is_changed else 1))
            least = -3.33 * STD
            weights = {
                core: wide,
                half: rounded_to_bfloat16(np.clip(healthy, least, -least) if is_changed else healthy),
            }
            for subject, values in weights.items():
                named = {COUNTS: counts_of(values), SALTED: counts_of(values)}
                kept[label] |= {f"{subject.key}/{name}": array for name, array in named.items()}
                kept[label][f"{subject.key}/{SALT}"] = np.asarray(len(label))
                digests[label][subject.key] = f"{label if is_changed else 'same'}-{device}"
            kept[label] |= training_arrays(numbers(losses=(3, 2.0)) if is_changed else numbers(), trained.key)
    names = [each.id for each in sides["base"]]
    asked = plan(names, cases=tuple(planned), devices=("cpu", CARD))
    base, candidate = (
        run(
            *sides[label],
            label=label,
            torch=f"{version}+cu130",
            environment=environment(
                f"{version}+cu130", options={"tier": "quick", "seed": 17, "devices": ["cpu", CARD]}
            ),
            plan=asked,
            sketches=kept[label],
            digests=digests[label],
        )
        for label, version in (("base", "2.13.0"), ("candidate", "2.14.1"))
    )
    return base, candidate


MARKUP = (
    "</script><script>window.ran='a'</script>",
    "<img src=x onerror=\"window.ran='b'\">",
    "'\"><svg onload=window.ran='c'>",
    "{{ 7*7 }}{% raw %}",
    "javascript:window.ran='d'",
    "<!--",
    "$\\frac{1}{0}$ \\alpha_",
    "\u202egnirts\x1b[31m\x00",
    "]]>&lt;&#60;b&#62;",
)
"""Text that is markup, script, template, mathematics or worse to somebody."""


def hostile_material() -> Material:
    """A gate between two runs in which every text is `MARKUP`."""
    everything = " ".join(MARKUP)
    subjects = [Subject(f"kaiming_normal_{text}", (64, 32), "float32", layout=text, device=text) for text in MARKUP]
    claims = [
        (violated if number % 2 else claim)(
            f"weights.{text}.scale", subject=subject, statement=text, note=text, known=text
        )
        for number, (text, subject) in enumerate(zip(MARKUP, subjects, strict=True))
    ]
    told = environment(
        everything,
        python=everything,
        packages={text: text for text in MARKUP},
        machine={text: [text] for text in MARKUP},
        options={text: {text: text} for text in MARKUP},
        skipped=dict.fromkeys(MARKUP, 1),
        started=everything,
    )
    added = msgspec.structs.replace(told, packages=dict.fromkeys(MARKUP, everything), added={everything: MARKUP})
    cases = tuple(
        Case(family=subject.device, subject=subject, draws=1, resolution=0.1, core=True)
        for subject in (*subjects, CORE, NETWORK)
    )
    planned = plan(
        [each.id for each in claims],
        cases=cases,
        target=everything,
        devices=MARKUP,
        selection=everything,
        tier=everything,
    )
    named = {f"{text}/counts": np.ones(1 << 16, np.int64) for text in (*MARKUP, *(s.key for s in subjects))}
    named |= sketches() | {f"trajectory/{everything.replace('/', '')}/forward/{n}": a for n, a in bands().items()}
    named |= training_arrays(numbers(), everything.replace("/", ""))
    baseline = run(*claims, label="base", plan=planned, environment=told, sketches=named, digests={everything: "a"})
    other = [violated(each.family, subject=each.subject, statement=everything, note=each.note) for each in claims]
    candidate = run(
        *other, label="candidate", plan=planned, environment=added, sketches=named, digests={everything: everything}
    )
    clock = pairing(
        *(timed(text, 2.0, "regressed", notes=(text,)) for text in MARKUP),
        baseline={"torch": everything},
        candidate={"torch": everything},
        reason=everything,
    )
    faults = tuple(FaultOutcome(t, t, (t,), 1, {t: 1, f"a.{t}": 2}, 1.0, (t,)) for t in MARKUP)
    references = {text: text for text in MARKUP}
    verdict = gate(baseline, candidate, pairing=clock, model=hostile_records(everything, MARKUP))
    return Material(verdict, baseline, candidate, references, faults)


class Elements(HTMLParser):
    """Every element of a page with its attributes, and the text outside of scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.inside: dict[str, list[str]] = {"script": [], "style": []}
        self._raw: str | None = None
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        self.found.append((tag, dict(attrs)))
        if tag in self.inside:
            self._raw = tag
            self.inside[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        """An element ends."""
        self._raw = None if tag == self._raw else self._raw

    def handle_data(self, data: str) -> None:
        """Text, or the content of a script or a style."""
        if self._raw:
            self.inside[self._raw][-1] += data
        else:
            self.text += data

    def names(self) -> set[str]:
        """Names of all elements."""
        return {tag for tag, _ in self.found}

    def attributes(self, name: str) -> list[str | None]:
        """Values of one attribute, wherever it stands."""
        return [attributes[name] for _, attributes in self.found if name in attributes]
