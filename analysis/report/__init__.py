"""The report: one page of figures, tables, claims and a slider (`python -m analysis.report`)."""
