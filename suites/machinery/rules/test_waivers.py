"""Waivers: what they cover, when they end, and a stanza to paste that covers what it was made for and nothing else."""

from __future__ import annotations

import tomllib
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.rules.known_violations import PLACEHOLDERS, KnownError
from fixtures.rules.waivers import Found, Waiver, Waivers, _quoted, apply, read_waivers, stanza
from suites.machinery.making.runs import subject

TODAY = date(2026, 6, 30)

WAIVER = """\
[[waiver]]
id = "slow-trunc"
claims = ["speed.regressed"]
subject = { workload = ["init/trunc_normal_/*"] }
reason = "exact now, and drawn once"
reference = "https://github.com/pytorch/pytorch/issues/182116"
owner = "Ada"
expires = 2026-06-30
"""

SLOW = Found("speed.regressed", {"workload": "init/trunc_normal_/1024x1024/float32"})
LOW = Found("weights.marginal.scale", subject("bfloat16").fields)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    """A path to write to, again and again."""
    return tmp_path_factory.mktemp("waivers") / "waivers.toml"


@pytest.fixture
def written(tmp_path):
    """Writes a file of waivers and returns its path."""

    def write(text):
        (tmp_path / "waivers.toml").write_text(text, encoding="utf-8")
        return tmp_path / "waivers.toml"

    return write


@pytest.fixture
def waived(written):
    """Classification of findings under these waivers today."""

    def waived(text, *findings, torch_version="2.14.1", tier="quick", today=TODAY):
        return apply(read_waivers(written(text), today), findings, torch_version=torch_version, tier=tier)

    return waived


def named(text, name):
    """The same waiver under another name."""
    return text.replace("slow-trunc", name)


def test_each_finding_is_told_who_covers_it(waived):
    applied = waived(WAIVER + named(WAIVER, "again"), LOW, SLOW)

    assert applied.covering == ((), ("slow-trunc", "again"))
    assert (applied.unused, applied.expired) == ((), ())


def test_a_waiver_holds_to_the_end_of_its_day(waived):
    assert waived(WAIVER, SLOW, today=date(2026, 6, 30)).covering == (("slow-trunc",),)

    expired = waived(WAIVER, SLOW, today=date(2026, 7, 1))
    assert expired.covering == ((),)
    assert [waiver.id for waiver in expired.expired] == ["slow-trunc"]
    assert expired.unused == (), "told once, as expired"


def test_a_waiver_that_covers_nothing_is_unused(waived):
    assert [waiver.id for waiver in waived(WAIVER, LOW).unused] == ["slow-trunc"]
    assert [waiver.id for waiver in waived(WAIVER).unused] == ["slow-trunc"]


def test_a_waiver_of_other_releases_covers_nothing_and_is_not_called_unused(waived):
    text = WAIVER + 'releases = "<2.14"'

    other = waived(text, SLOW)
    assert (other.covering, other.unused) == (((),), ())
    assert waived(text, SLOW, torch_version="2.13.0+cpu").covering == (("slow-trunc",),)
    assert [waiver.id for waiver in waived(text, torch_version="2.13.0").unused] == ["slow-trunc"]


def test_tiers_say_where_a_waiver_is_sure_to_be_used(waived):
    text = WAIVER + 'tiers = ["full", "soak"]'

    assert waived(text, SLOW, tier="quick").covering == (("slow-trunc",),)
    assert waived(text, tier="quick").unused == ()
    assert [waiver.id for waiver in waived(text, tier="full").unused] == ["slow-trunc"]


def test_no_waivers_waive_nothing(waived):
    assert waived("", SLOW).covering == ((),)
    assert apply(Waivers(), [SLOW], torch_version="unknown", tier="quick").covering == ((),)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (WAIVER.replace('owner = "Ada"', ""), "waivers.toml: slow-trunc: owner is missing"),
        (WAIVER.replace("Ada", ""), "waivers.toml: slow-trunc: owner is empty"),
        (WAIVER.replace("expires = 2026-06-30", ""), "waivers.toml: slow-trunc: expires is missing"),
        (WAIVER.replace("2026-06-30", '"2026-06-30"'), "slow-trunc: Expected `date`, got `str` - at `$.expires`"),
        (WAIVER.replace("2026-06-30", "2026-06-30T00:00:00Z"), "slow-trunc: Expected `date`, got `datetime`"),
        (WAIVER.replace("2026-06-30", "2026-06-31"), "waivers.toml: not valid TOML ("),
        (WAIVER.replace("expires", "expired"), "slow-trunc: unknown key 'expired'; did you mean 'expires'?"),
        (WAIVER.replace("[[waiver]]", "[[waivers]]"), "unknown key 'waivers'; did you mean 'waiver'?"),
        (WAIVER.replace("[[waiver]]", "[waiver]"), "waiver: tables headed [[waiver]] are accepted"),
        (WAIVER.replace("Ada", PLACEHOLDERS["owner"]), "slow-trunc: owner: the placeholder '<who answers for this>'"),
        (
            WAIVER.replace("speed.regressed", "*").replace('workload = ["init/trunc_normal_/*"]', ""),
            "slow-trunc: would match everything; name the claims, or the subjects, that it is about",
        ),
        (WAIVER + WAIVER, "waivers.toml: slow-trunc stands twice"),
    ],
)
def test_a_mistake_is_one_line_that_names_file_and_waiver(written, text, says):
    with pytest.raises(KnownError) as error:
        read_waivers(written(text), TODAY)

    assert says in str(error.value)
    assert "\n" not in str(error.value)


# Whatever is in the file

VALUES = st.recursive(
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.dates()
    | st.sampled_from(["", "*", "[", "<who answers for this>", ">=2", "==", "quick", "\x1b[31m", "\n", "None"])
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["dtype", "x"]), inner, max_size=2),
    max_leaves=4,
)


def as_toml(value):
    """A value as TOML writes it."""
    match value:
        case bool():
            return str(value).lower()
        case dict():
            return "{" + ", ".join(f"{name} = {as_toml(inner)}" for name, inner in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(as_toml, value)) + "]"
        case str():
            return _quoted(value)
        case _:
            return str(value)


def read_or_refused(path):
    """Reads a file of waivers and uses them, or checks that the refusal is one line that names the file."""
    said = None
    try:
        apply(read_waivers(path, TODAY), [SLOW, LOW], torch_version="2.14.1", tier="quick")
    except KnownError as error:
        said = str(error)
    assert said is None or (said.startswith(f"{path}: ") and said.isprintable())
    return said


@pytest.mark.large_draws
@given(changes=st.dictionaries(st.sampled_from([*Waiver.__struct_fields__, "x"]), VALUES | st.none(), max_size=3))
def test_any_value_in_a_waiver_is_taken_or_refused_in_one_line(scratch, changes):
    content = tomllib.loads(WAIVER)["waiver"][0] | changes
    lines = [f"{name} = {as_toml(value)}" for name, value in content.items() if value is not None]
    scratch.write_text("\n".join(["[[waiver]]", *lines]), encoding="utf-8")
    tomllib.loads(scratch.read_text(encoding="utf-8"))

    said = read_or_refused(scratch)

    assert said or changes.get("x") is None


@pytest.mark.large_draws
@given(content=st.binary(max_size=60), start=st.integers(0, len(WAIVER)), end=st.integers(0, len(WAIVER)))
def test_bytes_that_were_changed_are_read_or_refused_in_one_line(scratch, content, start, end):
    scratch.write_bytes(WAIVER.encode()[:start] + content + WAIVER.encode()[end:])

    read_or_refused(scratch)


# The stanza


def filled_in(text):
    """A stanza as its reader completes it."""
    for name, value in PLACEHOLDERS.items():
        text = text.replace(f'"{value}"', "2026-12-31" if name == "expires" else '"told"')
    return text


def test_the_stanza_in_full():
    effect = "-0.65% of the promised std"

    assert stanza([LOW], torch_version="2.6.0+cu124", effect=effect) == (
        """\
[[waiver]]
id = "weights.marginal.scale-kaiming_normal_-bfloat16"
claims = ["weights.marginal.scale"]
subject = { initializer = ["kaiming_normal_"], shape = ["256x128"], dtype = ["bfloat16"], mode = ["fan_in"], \
nonlinearity = ["leaky_relu"], a = ["0.0"], layout = ["contiguous"], device = ["cpu"], path = ["eager"] }
releases = "==2.6.0"
effect = "-0.65% of the promised std"
owner = "<who answers for this>"
expires = "<YYYY-MM-DD, without quotes>"
reason = "<why it may pass>"
reference = "<where it is discussed>"
"""
    )


@pytest.mark.parametrize("name", PLACEHOLDERS)
def test_a_placeholder_that_nobody_filled_in_is_refused(written, name):
    text = stanza([SLOW], torch_version="2.14.1")
    with pytest.raises(KnownError, match="the placeholder '<"):
        read_waivers(written(text), TODAY)

    one_left = tomllib.loads(text)["waiver"][0][name]
    done = filled_in(text)
    value = "2026-12-31" if name == "expires" else '"told"'
    with pytest.raises(KnownError, match=f": {name}: the placeholder"):
        read_waivers(written(done.replace(f"{name} = {value}", f'{name} = "{one_left}"')), TODAY)


def test_several_findings_share_a_stanza(waived):
    findings = [Found(family, subject(dtype).fields) for family in ("a.b", "a.c") for dtype in ("float16", "bfloat16")]
    text = filled_in(stanza(findings, torch_version="2.14.1"))

    assert 'id = "a.b-kaiming_normal_"' in text
    assert all(waived(text, *findings).covering)
    assert waived(text, Found("a.b", subject("float32").fields), Found("a.d", subject("float16").fields)).covering == (
        (),
        (),
    )


def test_a_release_that_cannot_be_ordered_is_left_out(waived):
    text = stanza([SLOW], torch_version="unknown")

    assert "releases" not in text
    assert waived(filled_in(text), SLOW, torch_version="unknown").covering != ((),)


TEXT = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=8) | st.sampled_from(
    ["trunc_normal_(a=1.0, b=3.0)", "[x]", "*", "?", '"', "\\", "None"]
)
"""Texts as findings have them: what cannot be shown is replaced where a run is read (test_safe_text.py)."""
FIELDS = st.dictionaries(st.sampled_from(["initializer", "dtype", "shape", "path"]), TEXT, min_size=1) | TEXT.map(
    lambda text: {"workload": text}
)


@pytest.mark.large_draws
@given(family=TEXT, fields=FIELDS, other=FIELDS)
def test_a_stanza_covers_the_finding_that_it_was_made_for_and_no_other(scratch, family, fields, other):
    scratch.write_text(filled_in(stanza([Found(family, fields)], torch_version="2.14.1")), encoding="utf-8")
    waivers = read_waivers(scratch, TODAY)

    def covered(finding):
        return apply(waivers, [finding], torch_version="2.14.1", tier="quick").covering != ((),)

    told = {name: text for name, text in fields.items() if text != "None"}
    assert covered(Found(family, fields))
    assert not covered(Found(family + "x", fields))
    assert covered(Found(family, other)) == (told.items() <= other.items())
