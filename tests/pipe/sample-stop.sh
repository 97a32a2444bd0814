#!/bin/sh
# Sampling that is stopped leaves nothing behind and ends by its signal; shards are parts of the whole; batches do not matter.
# SPDX-License-Identifier: Apache-2.0
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
PATH="${PLUMB_BUILD_DIR:-$root/build}/bin:$PATH"
export OMP_NUM_THREADS=1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
fail() { echo "sample-stop: $*" >&2; exit 1; }

python3 "$root/tests/cli/data/make.py" idx
ingest -q img.idx --labels lab.idx -o data.h5 > /dev/null
echo '{"type": "unet2d", "config": {"block_out_channels": [8], "down_block_types": ["DownBlock2D"], "up_block_types": ["UpBlock2D"],
 "layers_per_block": 1, "norm_num_groups": 4, "attention_head_dim": 4}}' > tiny.json
pretrain -q data.h5 --denoiser tiny.json --steps 40 --batch-size 8 -o model.h5 > /dev/null

for signal in TERM INT USR1; do
  sample -q --model model.h5 -n 1000000 --batch-size 8 --steps 20 -o many.h5 > many.json & job=$!
  sleep 1.5
  kill -s $signal $job
  status=0
  wait $job || status=$?
  number=$(python3 -c "import signal; print(128 + signal.SIG$signal)")
  [ $status = "$number" ] || fail "SIG$signal ended it with status $status, not $number"
  [ -z "$(find . -name 'many.h5*' -o -name '.many*')" ] || fail "SIG$signal left $(find . -name '*many*')"
  [ ! -s many.json ] || fail "a manifest was printed"
done

draw() { sample -q --model model.h5 --steps 10 --class random --seed 5 "$@" > /dev/null; }
draw -n 11 --batch-size 11 -o whole.h5
draw -n 11 --batch-size 4 -o batches.h5
draw -n 11 --shard 0/3 -o s0.h5
draw -n 11 --shard 1/3 -o s1.h5
draw -n 11 --shard 2/3 -o s2.h5
draw -n 1 --first 9 -o ninth.h5
for name in whole batches s0 s1 s2 ninth; do plumb export -q --to npz -o $name.npz $name.h5 > /dev/null; done
python3 - <<'EOF'
import zipfile
def rows(name):
    with zipfile.ZipFile(name + ".npz") as z:
        out = []
        for member in z.namelist()[:2]:
            data = z.read(member)
            body = data[10 + int.from_bytes(data[8:10], "little"):]
            out.append(body)
        size = 16
        images, labels = out[0], out[1]
        return [(images[i * size:(i + 1) * size], labels[i * 8:(i + 1) * 8]) for i in range(len(images) // size)]
def close(a, b):
    assert len(a) == len(b), (len(a), len(b))
    for (x, l), (y, m) in zip(a, b):
        assert l == m and max(abs(p - q) for p, q in zip(x, y)) <= 1, "samples differ"
whole = rows("whole")
assert len(whole) == 11 and len(set(whole)) == 11
close(whole, rows("batches"))
close(whole, rows("s0") + rows("s1") + rows("s2"))
close(whole[9:10], rows("ninth"))
EOF
echo "sample-stop: 1 passed"
