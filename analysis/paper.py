"""Every number of the paper that the project shows (Müller, Kornblith and Hinton 2019, arXiv 1906.02629v3)."""

from __future__ import annotations

# Table 1: Transformer, English-German, dev; without smoothing and with it.
BLEU = (25.3, 25.8)
PERPLEXITY = (4.67, 4.92)

# The WMT 2014 pairs that these models learnt from (appendix A.3 names the set; its size is Vaswani et al. 2017's).
TRAINING_PAIRS = 4_500_000

# Table 2: accuracy in percent, by corpus, network and alpha. Of CIFAR on images held out of train. MNIST's
# are 100 % less the test errors of section 4.
ACCURACY = {
    ("cifar10", "alexnet", 0.0): "86.8 ± 0.2",
    ("cifar10", "alexnet", 0.1): "86.7 ± 0.3",
    ("cifar100", "resnet_56_t2t", 0.0): "72.1 ± 0.3",
    ("cifar100", "resnet_56_t2t", 0.1): "72.7 ± 0.3",
    ("mnist", "mlp_1200_dropout", 0.0): "99.33",
    ("mnist", "mlp_1200", 0.1): "99.41",
}

# Table 3: ECE of the baseline, ECE and temperature of temperature scaling, ECE and alpha of smoothing.
FORCED_ECE = (0.056, 0.019)  # of translation, without smoothing and with 0.1
FITTED_TEMPERATURE = 1.13
CALIBRATION_TRANSLATION = (
    "paper, En-De Transformer (WMT, valid)",
    f"{FORCED_ECE[0]}",
    f"0.018 / {FITTED_TEMPERATURE}",
    f"{FORCED_ECE[1]} / 0.1",
)
CALIBRATION_IMAGES = (
    ("paper, CIFAR-100, ResNet-56", "0.150", "0.021 / 1.9", "0.024 / 0.05"),
    ("paper, ImageNet, Inception-v4", "0.071", "0.022 / 1.4", "0.035 / 0.1"),
)

# Section 4, MNIST: test error in percent of a network, by what it learns from: labels, or the logits of a teacher.
MNIST_ERRORS = {
    ("mlp_1200_dropout", "labels"): "0.67",
    ("mlp_1200", "labels, alpha 0.1"): "0.59",
    ("mlp_800", "mlp_1200_dropout, alpha 0"): "0.74",
    ("mlp_800", "mlp_1200, alpha 0.1"): "0.91",
}

# Figure 5: the greatest smoothing at which a teacher is more accurate than one without.
GREATEST_USEFUL_ALPHA = 0.6
