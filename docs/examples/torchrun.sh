#!/usr/bin/env bash
# Training on several machines by torchrun. On each of them:
#   NODES=2 NODE=0 MASTER=first-machine docs/examples/torchrun.sh --config train/configs/elic.yaml \
#     --data.shards '/data/shards/*.tar' --data.validation kodak
# NODE is the machine's number, MASTER the first one's address, PROCESSES the GPUs of each (1).
# data.batch_size is that of one process: keep NODES x PROCESSES x batch_size x
# trainer.accumulate_grad_batches the same, and a run goes on from its checkpoint on any number of
# machines with --ckpt_path.
set -euo pipefail
exec torchrun \
  --nnodes "${NODES:?how many machines}" --node-rank "${NODE:?this one of them}" \
  --nproc-per-node "${PROCESSES:-1}" \
  --master-addr "${MASTER:?the first one}" --master-port "${PORT:-29500}" \
  -m kodec train "$@" \
  --trainer.num_nodes "$NODES" --trainer.devices "${PROCESSES:-1}" --trainer.strategy ddp
