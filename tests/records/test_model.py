"""The identity of a model: equal for two seeds, different for two models."""

import msgspec
import pytest

from mt_ls.records import Model, Teacher
from mt_ls.smoothing.kinds import Smoothing

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
