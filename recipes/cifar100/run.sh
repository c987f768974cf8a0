#!/usr/bin/env bash
# CIFAR-100: accuracy, calibration and clusters of ResNets (Tables 2 and 3, Figures 1 and 2 of the paper).
# SCALE=smoke (a minute) | cpu (hours on 2 cores: ResNet-20, shorter; the default) | paper (one GPU).
# ALPHAS are by default 0.0 and 0.1, at cpu and paper also 0.05. GPUS and NODES have no effect. The report is
# out/DATA/report.html, where DATA is cifar100_smoke or cifar100. Protocol and results: README.md beside this file.
# shellcheck source=recipes/lib.sh
source "$(dirname "$0")/../lib.sh"
plane="beaver;dolphin;otter"
case ${SCALE:-cpu} in
  smoke)
    corpus=synthetic_images data=cifar100_smoke resnet=resnet_8 updates=5 alphas=(0.0 0.1)
    plane="pattern 0;pattern 5;pattern 3"
    ;;
  cpu) corpus=cifar100 data=cifar100 resnet=resnet_20 updates=6260 alphas=(0.0 0.05 0.1) ;;
  paper) corpus=cifar100 data=cifar100 resnet=resnet_56_t2t updates=64000 alphas=(0.0 0.05 0.1) ;;
  *) fail "SCALE=$SCALE: choose smoke, cpu or paper" ;;
esac
set_up recipes

run python -m data_prep "$corpus" --out "data-bin/$data"
for seed in ${SEEDS:-1}; do
  for alpha in ${ALPHAS:-${alphas[*]}}; do
    image_network "$data" "${resnet}_a$alpha" "$seed" --network "$resnet" --alpha "$alpha" --updates "$updates" \
      --planes "$plane"
  done
done
wait_jobs
report "$data" "runs/${data}_${resnet}_*_s*"
