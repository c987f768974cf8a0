"""Translation models in, records out.

- `protocol`: `TranslationModel`, the methods of a model that can be measured.
- `plan`: `Plan`, the wanted records, and `measure`.
- `forced`, `beam`, `activations`: the modes.
- `windows`, `workers`: parts of a split, and the processes that share them.
- `search`: the choice between two beam searches.
- `references`: the comparison of hypotheses with references, in this process or beside it.
- `fairseq_model`: a fairseq checkpoint as a model; the one module that imports fairseq.
- `fairseq_search`: the beam search of a checkpoint's task, at many temperatures at once.
- `ctranslate2_search`: CTranslate2's beam search of a fairseq model.
- `text`: translations with token probabilities, without their model.
"""
