#!/usr/bin/env bash
# CIFAR-10: clusters, calibration, distillation and mutual information (Table 2, Figures 1, 2, 5 and 6 of the paper).
# SCALE=smoke (minutes) | cpu (hours on 2 cores: ResNet-20, a coarser grid, shorter; the default) | paper (one GPU).
# ALPHAS are by default 0.0 and 0.1, at cpu also 0.3, at paper eight from 0.0 to 0.75. GPUS and NODES have no effect.
# The report is out/DATA/report.html, where DATA is cifar10_smoke or cifar10. Protocol and results: README.md beside
# this file.
# shellcheck source=recipes/lib.sh
source "$(dirname "$0")/../lib.sh"
alphas=(0.0 0.1) every=1 sees=whole pair=(airplane dog) planes=("airplane;automobile;bird" "cat;dog;airplane")
case ${SCALE:-cpu} in
  smoke)
    corpus=synthetic_images data=cifar10_smoke resnet=resnet_8 teacher=5 student=5
    pair=("pattern 0" "pattern 5") planes=("pattern 0;pattern 5;pattern 3")
    of_hard=(1 4) of_smoothed=(0.5)
    ;;
  cpu)
    corpus=cifar10 data=cifar10 resnet=resnet_20 teacher=6260 student=3130 alphas=(0.0 0.1 0.3)
    of_hard=(1 2 4) of_smoothed=(0.5 1 2)
    ;;
  paper)
    corpus=cifar10 data=cifar10 resnet=resnet_56_t2t teacher=64000 student=390000 every=4000 sees=augmented
    alphas=(0.0 0.05 0.1 0.15 0.3 0.45 0.6 0.75)
    of_hard=(1 2 3 4 8 12 16) of_smoothed=(0.25 0.5 1 2 4)
    ;;
  *) fail "SCALE=$SCALE: choose smoke, cpu or paper" ;;
esac
read -ra alphas <<<"${ALPHAS:-${alphas[*]}}"
set_up recipes

run python -m data_prep "$corpus" --out "data-bin/$data"
for seed in ${SEEDS:-1}; do
  # Table 2; of Figure 5 the teachers and the students without a teacher
  for alpha in "${alphas[@]}"; do
    image_network "$data" "${resnet}_a$alpha" "$seed" --network "$resnet" --alpha "$alpha" --updates "$teacher" \
      --information "${pair[@]}" --information-every "$every" --planes "${planes[@]}"
    image_network "$data" "alexnet_a$alpha" "$seed" --network alexnet --alpha "$alpha" --updates "$student" \
      --planes "${planes[@]}"
  done
done
wait_jobs # the students need their teachers
for seed in ${SEEDS:-1}; do
  # Figure 5, and besides it smoothed teachers at temperatures other than 1, to tell a wrong scale of their logits from
  # lost information. Smoothing shrinks the differences of logits: a smoothed teacher is as sharp as a hard one at a
  # lower temperature.
  for alpha in "${alphas[@]}"; do
    if [[ $alpha =~ ^0?\.?0*$ ]]; then temperatures=("${of_hard[@]}"); else temperatures=("${of_smoothed[@]}"); fi
    for temperature in "${temperatures[@]}"; do
      image_network "$data" "alexnet_of_a${alpha}_T$temperature" "$seed" --network alexnet --updates "$student" \
        --teacher "$(image_folder "$data" "${resnet}_a$alpha" "$seed")" --teacher-temperature "$temperature" \
        --teacher-sees "$sees"
    done
  done
done
wait_jobs
report "$data" "runs/${data}_${resnet}_*_s*" "runs/${data}_alexnet_*_s*"
