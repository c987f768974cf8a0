"""Statistics of predictions, measured on arrays.

- `bins`: `Bins`, sums a bin and every measure that follows from them (numpy).
- `t_cal`: a test of calibration: how often a calibrated model has bins as far from calibration.
- `smooth_ece`: a calibration error without bins, from the sums of fine ones.
- `sums`: the same sums on a device (torch).
- `hits`: the one rule of what a hit is.
- `temperature`: statistics at many temperatures from one pass, and the fitted temperature.
- `full_vocabulary`: the same for all probabilities of a prediction, and not the greatest alone.
- `gpu`, `bin_kernel`, `temperature_kernel`: for GPUs only: sums and temperatures by Triton kernels.
- `tally`: sums of predictions with known targets.
- `alignment`, `edit_distance`, `generated`: which generated tokens are hits.
- `scores`: BLEU, chrF and TER from sums of sentences.
- `geometry`: penultimate activations and templates.
"""
