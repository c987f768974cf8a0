"""Translation models in, records out.

- `protocol`: `TranslationModel`, the methods of a model that can be measured.
- `plan`: `Plan`, the wanted records, `check` and `measure`.
- `forced`, `beam`, `activations`: the modes.
- `paths`, `names`: what a path must be, and the names of runs.
- `sanity`: whether a model is better than a uniform guess.
- `audit`: several models, all checked before one is measured.
- `windows`, `workers`, `devices`: parts of a split, the processes that share them, and their devices.
- `search`: the choice between two beam searches.
- `references`: the comparison of hypotheses with references, in this process or beside it.
- `binarised`: the files of a folder of binarised data, and its manifest.
- `loading`: the model of a path.
- `data`: `TranslationData`, the sentences that a model is measured on, and what models on data share.
- `fairseq_model`, `fairseq_data`: a fairseq checkpoint, and a folder of binarised data; these two import fairseq.
- `huggingface_model`, `huggingface_data`, `text_pairs`: a model of Hugging Face, and text files in its tokens.
- `ctranslate2_model`: a folder of CTranslate2 on the data of either; `logits_model`: what it and the former share.
- `configuration`: the contents of a checkpoint in words of a record.
- `fairseq_search`: the beam search of a checkpoint's task, at many temperatures at once.
- `ctranslate2_search`: CTranslate2's beam search of a fairseq model.
- `text`: translations with token probabilities, without their model; `token_files`, `forced_text`: the files of them.
"""
