"""A record as one line of JSON, its signature and key, the identity of a model, and the cost of an import."""

import json
import sys

import msgspec
import numpy as np
import pytest
from commands import run

from mt_ls import __version__
from mt_ls.calibration.bins import FINE_BINS, Bins
from mt_ls.records import SCHEMA, Model, Record, RecordError, Teacher, TeacherRun
from mt_ls.smoothing.kinds import Smoothing


def _fields(record, **changes):
    """The JSON fields of a record, changed; a value of None removes its field."""
    fields = {**json.loads(record.to_json()), **changes}
    return json.dumps({name: value for name, value in fields.items() if value is not None})


def test_a_round_trip_keeps_everything(record):
    equal_mass = Bins.of(np.linspace(0, 1, 99), np.ones(99), FINE_BINS).equal_mass()
    teacher = Teacher(architecture="resnet_56", smoothing=Smoothing(), temperature=None, beta=0.5)
    original = record(
        model=Model(corpus="toy", smoothing=Smoothing("unigram", 0.2), precision="bf16", teacher=teacher),
        teacher_run=TeacherRun(run="teacher_s1", checkpoint="f" * 64, gamma=0.1),
        bins_equal_mass=equal_mass,
        smooth_ece=0.0125,
        bins_by_class={"others": Bins.of([0.5], [1]), "eos": Bins.zeros()},
        geometry={"nc1": 0.5, "planes": [{"classes": ["a", "b", "c"], "points": [[0.1, 0.2, 0]]}]},
        bleu={"score": 20.1, "signature": "x"},
        mode="beam",
        beam=5,
        lenpen=0.6,
        items="beam5.parquet",
        unit="bpe",
    )
    line = original.to_json()
    restored = Record.from_json(line)
    assert restored.to_json() == line and "\n" not in line
    assert restored.model == original.model and restored.teacher_run == original.teacher_run
    np.testing.assert_array_equal(restored.bins_equal_mass.edges, equal_mass.edges)
    np.testing.assert_array_equal(restored.bins_by_class["others"].hits, original.bins_by_class["others"].hits)


def test_a_line_has_its_schema_and_signature_and_only_what_was_measured(record):
    fields = json.loads(record().to_json())
    assert fields["schema"] == SCHEMA and fields["signature"] == record().signature
    assert not {"ece", "bleu", "items", "unit", "beam"} & fields.keys()
    assert "teacher" not in fields["model"] and "edges" not in fields["bins"]


def test_the_signature_of_an_ece(record):
    assert record().signature == (
        "ECE|mode:forced|hit:argmax|unit:spm|split:test|bins:15w|T:1.00|a:0.10paper|n:2|s:1|ck:cccccccc|data:dddddddd"
        "|code:eeeeeee|v:0.1.0"
    )
    beam = record(mode="beam", beam=4, seed=None, model=Model(corpus="references"), unit="word", temperature=0.8)
    assert beam.signature == (
        "ECE|mode:beam|hit:ter|unit:word|split:test|bins:15w|T:0.80|b:4|n:2|ck:cccccccc|data:dddddddd"
        "|code:eeeeeee|v:0.1.0"
    )
    assert "|b:4|search:fp16|a:0.10paper|" in record(mode="beam", beam=4, search_precision="fp16").signature
    unigram = record(model=Model(corpus="toy", smoothing=Smoothing("unigram", 0.2)))
    assert "|a:0.20unigram|" in unigram.signature


def test_the_key_tells_work_apart(record):
    sha = record().sha
    changes = (
        {},
        {"temperature": 1.1},
        {"mode": "beam"},
        {"split": "valid"},
        {"beam": 4},
        {"lenpen": 0.6},
        {"search_precision": "fp16"},
        {"sha": {**sha, "data": "f" * 64}},
        {"sha": {**sha, "checkpoint": "f" * 64}},
    )
    assert len({record(**change).key for change in changes}) == len(changes)


def test_the_key_is_that_of_the_work_alone(record):
    sha = {**record().sha, "code": "f" * 40}
    for change in ({"sha": sha}, {"seed": 2}, {"run": "x"}, {"nll": 2.0}, {"temperature": 1.0 + 1e-9}):
        assert record(**change).key == record().key


def test_names_are_different_within_a_folder(record):
    beam = {"mode": "beam", "beam": 5}
    assert record().name == "forced_test_T1.0000_cccccccc_dddddddd"
    assert record(**beam, lenpen=1.0).name == "beam5_test_T1.0000_cccccccc_dddddddd"
    assert record(**beam, lenpen=0.6, temperature=0.75).name == "beam5_lenpen0.6_test_T0.7500_cccccccc_dddddddd"
    assert record(**beam, search_precision="bf16").name == "beam5_bf16_test_T1.0000_cccccccc_dddddddd"
    assert record(sha={**record().sha, "data": "f" * 64}).name == "forced_test_T1.0000_cccccccc_ffffffff"


@pytest.mark.parametrize(
    "fields", [{"nll": np.inf}, {"geometry": {"nc1": np.nan}}, {"bleu": {"score": 1.0, "counts": [1.0, -np.inf]}}]
)
def test_a_number_that_is_not_finite_is_named(record, fields):
    (name,) = fields
    with pytest.raises(RecordError, match=rf"toy_a0\.1_s1: not finite on test at T = 1: {name}; .* diverged"):
        record(**fields).to_json()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": None}, "of schema 1, and this version reads schema 2"),
        ({"schema": 3}, "of schema 3, and this version reads schema 2"),
        ({"run": None}, "run"),
        ({"run": 1}, "run"),
        ({"alpha": 0.1}, "alpha"),
        ({"mode": "penultimate"}, "mode 'penultimate' is none of forced, beam, activations, images, information"),
        ({"mode": None}, "mode None is none of forced"),
        ({"mode": ["forced"]}, r"mode \['forced'\] is none of forced"),
        ({"split": "a/b"}, "split 'a/b' is no name"),
        ({"split": ""}, "split '' is no name"),
        ({"fitted_temperature": -1.0}, "a fitted temperature is greater than 0"),
        ({"beam": 0}, "a beam is at least 1"),
        ({"model": {"corpus": "toy", "smoothing": {"amount": 0.1, "decay": 2}}}, "unknown field `decay`"),
        ({"temperature": 0}, "a temperature is greater than 0"),
        ({"n_tokens": -1}, "a count is not negative"),
        ({"sha": {"data": "d" * 64}}, "sha needs data, checkpoint and code"),
        ({"versions": {}}, "versions needs mt_ls"),
        ({"bleu": {"signature": "x"}}, "a score has no number"),
        ({"items": "../x.parquet"}, "not the name of a file beside the records"),
        ({"model": {"corpus": "toy", "smoothing": {"amount": 2.0}}}, r"label smoothing must lie in \[0, 1\)"),
        ({"bins": {"count": [1.0], "confidence": [1.0, 2.0], "hits": [0.0]}}, "bins need one finite number"),
        ({"bins": {"count": [-1.0], "confidence": [1.0], "hits": [0.0]}}, "bins need one finite number"),
    ],
)
def test_what_is_no_record_is_refused(record, changes, message):
    with pytest.raises(RecordError, match=rf"not a record \(.*{message}"):
        Record.from_json(_fields(record(), **changes))


@pytest.mark.parametrize("changes", [{"shiny": 1}, {"schema": 3}, {"model": {"corpus": "toy", "shiny": 1}}])
def test_a_record_of_another_version_says_so(record, changes):
    line = _fields(record(versions={"mt_ls": "9.0"}), **changes)
    with pytest.raises(RecordError, match=rf"written by another version \(mt_ls 9\.0; this is {__version__}\): .*"):
        Record.from_json(line)
    assert Record.from_json(_fields(record(versions={"mt_ls": "9.0"}))).versions == {"mt_ls": "9.0"}
    with pytest.raises(RecordError, match=r"not a record \((?!written)"):
        Record.from_json(_fields(record(versions={"mt_ls": __version__}), **changes))


@pytest.mark.parametrize("line", ["", "{", "[]", "1", "null", '{"nll": NaN}', "[" * 100_000])
def test_json_that_is_no_record_is_refused(line):
    with pytest.raises(RecordError, match="not a record"):
        Record.from_json(line)


BASE = Model(corpus="toy", architecture="micro", smoothing=Smoothing("uniform", 0.1), checkpoint="last")
TEACHER = Teacher(architecture="resnet_56", smoothing=Smoothing(), temperature=4.0, beta=1.0)


def test_two_trainings_that_differ_in_their_seed_are_one_model():
    again = Model(corpus="toy", architecture="micro", smoothing=Smoothing("uniform", 0.1), checkpoint="last")
    assert again == BASE and hash(again) == hash(BASE) and len({again, BASE}) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"corpus": "other"},
        {"architecture": "small"},
        {"architecture": None},
        {"smoothing": None},
        {"smoothing": Smoothing()},
        {"smoothing": Smoothing("uniform", 0.2)},
        {"smoothing": Smoothing("uniform", 0.1, "fairseq")},
        {"smoothing": Smoothing("unigram", 0.1)},
        {"precision": "fp16"},
        {"teacher": TEACHER},
        {"checkpoint": "best"},
    ],
)
def test_a_difference_makes_another_model(change):
    other = msgspec.structs.replace(BASE, **change)
    assert other != BASE and len({other, BASE}) == 2


@pytest.mark.parametrize(
    "change", [{"architecture": "mlp"}, {"smoothing": Smoothing("uniform", 0.1)}, {"temperature": None}, {"beta": 0.5}]
)
def test_a_teacher_is_part_of_its_students_identity(change):
    replace = msgspec.structs.replace
    student, other = (replace(BASE, teacher=teacher) for teacher in (TEACHER, replace(TEACHER, **change)))
    assert student != other and student == replace(BASE, teacher=TEACHER)


def test_json_holds_what_is_known():
    assert msgspec.to_builtins(Model(corpus="references")) == {"corpus": "references"}
    student = msgspec.structs.replace(BASE, teacher=TEACHER)
    assert msgspec.json.decode(msgspec.json.encode(student), type=Model) == student
    with pytest.raises(msgspec.ValidationError, match="alpha"):
        msgspec.json.decode(b'{"corpus": "toy", "alpha": 0.1}', type=Model)
    with pytest.raises(msgspec.ValidationError, match="corpus"):
        msgspec.json.decode(b"{}", type=Model)


CODE = """
import sys, time
import mt_ls.records
heavy = {"torch", "pyarrow", "scipy", "pandas", "fairseq", "sacrebleu"} & set(sys.modules)
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(int(peak) // 1024, time.process_time(), *sorted(heavy))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of its memory from /proc")
def test_importing_records_takes_60_mb_and_half_a_second_at_most():
    """A new interpreter with its import: the peak of resident memory, and seconds of the processor."""
    process = run([sys.executable, "-c", CODE])
    assert process.returncode == 0, process.stderr
    megabytes, seconds, *heavy = process.stdout.split()
    assert heavy == [] and int(megabytes) < 60 and float(seconds) < 0.5


def test_the_pure_packages_need_no_fairseq():
    modules = "mt_ls.smoothing, mt_ls.calibration, mt_ls.records.items, mt_ls.measure.plan, mt_ls.measure.text"
    process = run([sys.executable, "-c", f"import sys, {modules}\nassert 'fairseq' not in sys.modules"])
    assert process.returncode == 0, process.stderr


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"bins_by_class": {"others": Bins.zeros()}}, "bins_by_class needs others and eos"),
        ({"mutual_information": {"classes": []}}, "no number of nats"),
        ({"geometry": {"planes": "x"}}, "planes of geometry"),
        ({"geometry": {"planes": [{"classes": ["a", "b", "c"], "points": [[1, 2]]}]}}, "planes of geometry"),
    ],
)
def test_a_field_that_no_measurement_gives_is_refused(record, fields, message):
    with pytest.raises(RecordError, match=message):
        Record.from_json(record(**fields).to_json())


def test_a_number_beyond_floats_is_refused(record):
    line = record().to_json().replace('"temperature": 1.0', '"temperature": 1e999')
    with pytest.raises(RecordError, match="not finite: temperature"):
        Record.from_json(line)
