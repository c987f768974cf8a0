"""What is trained on: smoothed targets, their loss and its gradient.

- `kinds`: `Smoothing`, the value that records and options carry.
- `loss`: the loss of logits, with calibration statistics from the same pass.
"""
