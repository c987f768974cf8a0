#!/usr/bin/env bash
# ImageNet: accuracy, calibration and clusters of Inception-v4 (Tables 2 and 3, Figures 1 and 2).
# SCALE=smoke (a minute, ResNet-8 on synthetic images) | paper (GPUs with memory for 4 096 images, 450 GB of disk).
# shellcheck source=recipes/lib.sh
source "$(dirname "$0")/../lib.sh"
case ${SCALE:-paper} in
  smoke) data=synthetic_images network=resnet_8 updates=5 planes=("pattern 0;pattern 5;pattern 3") extras=fast ;;
  paper)
    # the paper's planes: three classes far apart, then two similar ones and one far from both
    data=imagenet network=inception_v4 updates=60200 extras=fast,imagenet
    planes=("tench, Tinca tinca;meerkat, mierkat;cleaver, meat cleaver, chopper"
      "toy poodle;miniature poodle;tench, Tinca tinca")
    ;;
  *) fail "SCALE=$SCALE: choose smoke or paper (ImageNet is too large for a cpu)" ;;
esac
set_up "$extras"

run python -m data_prep "$data" --out "data-bin/$data"
for seed in ${SEEDS:-1}; do
  for alpha in ${ALPHAS:-0.0 0.1}; do
    image_network "$data" "${network}_a$alpha" "$seed" --network "$network" --alpha "$alpha" --updates "$updates" \
      --planes "${planes[@]}"
  done
done
run python -m analysis.report "runs/${data}_${network}_"*_s* --out "out/$data"
