"""fairseq is imported without scikit-learn and scipy.stats, whose functions work when they are called."""

import subprocess
import sys

CODE = """
import sys
from mt_ls.quick_import import without_statistics
with without_statistics():
    import fairseq
    from fairseq.criterions import sentence_prediction
    from fairseq.tasks import audio_classification
assert not [name for name in sys.modules if name.startswith(("sklearn", "scipy.stats"))]
print(sentence_prediction.f1_score([0, 1, 1], [0, 1, 0]), sentence_prediction.spearmanr([1, 2, 3], [1, 3, 2])[0])
assert audio_classification.sklearn_metrics.accuracy_score([0, 1], [0, 1]) == 1
import scipy.stats
import sklearn.metrics
print(sklearn.metrics.f1_score([0, 1, 1], [0, 1, 0]), scipy.stats.spearmanr([1, 2, 3], [1, 3, 2])[0])
print(sklearn.__version__ > "1", type(scipy.stats.norm).__module__.startswith("scipy"))
with without_statistics():
    print("sklearn.metrics" in sys.modules, "scipy.stats" in sys.modules)
"""


def test_fairseq_is_imported_without_them_and_calls_them():
    process = subprocess.run([sys.executable, "-W", "ignore", "-c", CODE], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    of_fairseq, imported, real, again = process.stdout.splitlines()[-4:]
    assert of_fairseq == imported and real == again == "True True"
