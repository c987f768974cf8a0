"""fairseq is imported without scikit-learn, whose functions work when they are called."""

import subprocess
import sys

CODE = """
import sys
from mt_ls.quick_import import without_sklearn
with without_sklearn():
    import fairseq
    from fairseq.criterions import sentence_prediction
assert not [name for name in sys.modules if name.startswith("sklearn")]
print(sentence_prediction.f1_score([0, 1, 1], [0, 1, 0]))
import sklearn.metrics
print(sklearn.metrics.f1_score([0, 1, 1], [0, 1, 0]), sklearn.__version__ > "1")
with without_sklearn():
    print("sklearn.metrics" in sys.modules)
"""


def test_fairseq_is_imported_without_it_and_calls_it():
    process = subprocess.run([sys.executable, "-W", "ignore", "-c", CODE], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    first, second, third = process.stdout.splitlines()[-3:]
    assert first == second.split()[0] and second.endswith("True") and third == "True"
