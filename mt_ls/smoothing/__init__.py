"""Smoothed targets, their loss and its gradient.

- `kinds`: `Smoothing`, the value that options and records carry. Needs no torch.
- `logits`: **the loss** of logits, `smoothed_cross_entropy`.
- `conformance`: a command that names the convention that any loss function follows.
- `hidden`: the same loss of hidden states and a weight, in chunks: `linear_smoothed_cross_entropy`.
- `prior`: the prior over classes of a smoothing, from token counts.
- `chunks`: the number of rows of logits to hold at a time.
- `products`: the product that makes logits of hidden states, and the precisions of products.
- `gpu`, `row_kernel`: for GPUs only: the loss of `hidden` by a Triton kernel.
- `cpu`: for CPUs only: oneDNN's product, and hits where bfloat16 products tie.
"""
