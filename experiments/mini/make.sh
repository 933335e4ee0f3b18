#!/usr/bin/env bash
# Pretrain the bundled base again. REAL=<text file> adds real text, documents parted by blank lines (real_text.py makes
# one); without it the base learns generated text alone. OUT=<folder> is where the weights go.
set -euo pipefail
cd "$(dirname "$0")/../.."
PY=${PY:-.venv/bin/python}
OUT=${OUT:-outputs/mini-base}
RUN=${RUN:-outputs/pretrain_mini}
"$PY" -m gpt2lab +experiment=pretrain_mini tracking=none hydra.run.dir="$RUN" ${REAL:+task.train_file="$REAL"} "$@"
cp -n gpt2lab/model/mini/config.json gpt2lab/model/mini/tokenizer.json "$OUT"/ 2>/dev/null || {
  mkdir -p "$OUT" && cp gpt2lab/model/mini/config.json gpt2lab/model/mini/tokenizer.json "$OUT"/; }
"$PY" experiments/mini/bundle.py "$RUN" "$OUT"
echo "try it: $PY -m gpt2lab model.path=$OUT; keep it: cp $OUT/model.safetensors gpt2lab/model/mini/"
