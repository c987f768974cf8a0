#!/usr/bin/env bash
# MNIST, section 4 of the paper: a teacher trained with smoothing is more accurate, and its student is less accurate.
# SCALE=smoke (a minute) | cpu or paper (both the whole experiment: about an hour and a half a seed on 2 cores; cpu is
# the default). The amount of smoothing is 0.1: ALPHAS has no effect, nor have GPUS and NODES.
# The report is out/DATA/report.html, where DATA is mnist_smoke or mnist. Protocol and results: README.md beside this
# file.
# shellcheck source=recipes/lib.sh
source "$(dirname "$0")/../lib.sh"
case ${SCALE:-cpu} in
  smoke) corpus=synthetic_digits data=mnist_smoke updates=12 ;;
  # 100 epochs of 50 000 digits, 100 a batch
  cpu | paper) corpus=mnist data=mnist updates=50000 ;;
  *) fail "SCALE=$SCALE: choose smoke, cpu or paper" ;;
esac
set_up recipes

run python -m data_prep "$corpus" --out "data-bin/$data"
for seed in ${SEEDS:-1}; do
  image_network "$data" teacher_dropout "$seed" --network mlp_1200_dropout --updates "$updates"
  image_network "$data" teacher_a0.10 "$seed" --network mlp_1200 --alpha 0.1 --updates "$updates"
  image_network "$data" student_alone "$seed" --network mlp_800 --updates "$updates"
  image_network "$data" student_alone_a0.10 "$seed" --network mlp_800 --alpha 0.1 --updates "$updates"
done
wait_jobs # the students need their teachers
for seed in ${SEEDS:-1}; do
  for taught in dropout a0.10; do
    image_network "$data" "student_of_$taught" "$seed" --network mlp_800 --updates "$updates" \
      --teacher "$(image_folder "$data" "teacher_$taught" "$seed")" --teacher-temperature logits --beta 0.6
  done
done
wait_jobs
report "$data" "runs/${data}_teacher_*_s*" "runs/${data}_student_*_s*"
