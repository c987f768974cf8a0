"""Records in, everything that people look at out. It never trains and never measures.

- `rows`: loading and choosing records.
- `study`: the records of one corpus by model or by run, and whether it is of translation or of images.
- `quantities`: ECE, NLL, BLEU and the others; `quantities.frame` gives every record with them as a data frame.
- `significance`: intervals.
- `collapsed`: the mutual information that is measured for two collapsed clusters.
- `advice`: the temperature to use for a model, and the reason.
- `arguments`: the arguments that commands on records share.
- `paper`: every number of the paper.
- `tables`, `figures`, `claims`, `report`: one idea a module.
- `publish`, `pages`: evidence in the repository, and the pages that show it.
"""
