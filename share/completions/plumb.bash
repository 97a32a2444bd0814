# Made by share/tools/docs.py from the option tables; do not edit.
# bash: source this file, or put it in bash-completion's folder under the name `plumb`.
_plumb_complete() {
  local tool=$1 current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
  COMPREPLY=()
  case "$tool $before" in
    "check --progress") COMPREPLY=($(compgen -W 'auto bar plain none' -- "$current")); return ;;
    "check --config") compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")); return ;;
    "diversity --reference"|"diversity -r") compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")); return ;;
    "diversity --features") COMPREPLY=($(compgen -W 'default raw classifier: efficientnet-lite0 torchscript:' -- "$current")); return ;;
    "diversity --limit") return ;;
    "diversity --batch-size") return ;;
    "diversity --metric") COMPREPLY=($(compgen -W 'fid inception-score kid memorisation pairwise prdc spectral vendi' -- "$current")); return ;;
    "diversity --vendi.order") COMPREPLY=($(compgen -W '0.5 1 2 inf' -- "$current")); return ;;
    "diversity --vendi.kernel") COMPREPLY=($(compgen -W 'cosine rbf' -- "$current")); return ;;
    "diversity --vendi.bandwidth") return ;;
    "diversity --bootstrap") return ;;
    "diversity --memorisation.ratio") return ;;
    "diversity --memorisation.list") return ;;
    "diversity --seed") return ;;
    "diversity --output"|"diversity -o") compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")); return ;;
    "diversity --threads"|"diversity -j") return ;;
    "diversity --device") COMPREPLY=($(compgen -W 'cpu cuda' -- "$current")); return ;;
    "diversity --progress") COMPREPLY=($(compgen -W 'auto bar plain none' -- "$current")); return ;;
    "diversity --config") compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")); return ;;
    "evaluate-fid --reference"|"evaluate-fid -r") compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")); return ;;
    "evaluate-fid --features") COMPREPLY=($(compgen -W 'default raw classifier: efficientnet-lite0 torchscript:' -- "$current")); return ;;
    "evaluate-fid --limit") return ;;
    "evaluate-fid --batch-size") return ;;
    "evaluate-fid --save-features") compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")); return ;;
    "evaluate-fid --save-stats") compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")); return ;;
    "evaluate-fid --metric") COMPREPLY=($(compgen -W 'fid inception-score kid memorisation pairwise prdc spectral vendi' -- "$current")); return ;;
    "evaluate-fid --kid.subsets") return ;;
    "evaluate-fid --kid.subset-size") return ;;
    "evaluate-fid --prdc.precision-k") return ;;
    "evaluate-fid --prdc.density-k") return ;;
    "evaluate-fid --inception-score.splits") return ;;
    "evaluate-fid --seed") return ;;
    "evaluate-fid --output"|"evaluate-fid -o") compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")); return ;;
    "evaluate-fid --threads"|"evaluate-fid -j") return ;;
    "evaluate-fid --device") COMPREPLY=($(compgen -W 'cpu cuda' -- "$current")); return ;;
    "evaluate-fid --progress") COMPREPLY=($(compgen -W 'auto bar plain none' -- "$current")); return ;;
    "evaluate-fid --config") compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")); return ;;
    "export --to") COMPREPLY=($(compgen -W 'csv diffusers kohya npy npz peft png torchscript' -- "$current")); return ;;
    "export --output"|"export -o") compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")); return ;;
    "export --limit") return ;;
    "export --layout") COMPREPLY=($(compgen -W 'nchw nhwc' -- "$current")); return ;;
    "export --progress") COMPREPLY=($(compgen -W 'auto bar plain none' -- "$current")); return ;;
    "export --config") compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")); return ;;
    "finetune --model") compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")); return ;;
    "finetune --method") COMPREPLY=($(compgen -W 'alignprop ddpo-is ddpo-sf dpok draft draft-lv grpo refl tdpo tdpo-r' -- "$current")); return ;;
    "finetune --reward") COMPREPLY=($(compgen -W 'brightness class-entropy class-logp class-prob exec jpeg-compressibility jpeg-incompressibility learned torchscript' -- "$current")); return ;;
    "finetune --class") return ;;
    "finetune --seed") return ;;
    "finetune --epochs") return ;;
    "finetune --samples-per-epoch") return ;;
    "finetune --batch-size") return ;;
    "finetune --sampler-steps") return ;;
    "finetune --eta") return ;;
    "finetune --guidance-scale") return ;;
    "finetune --train-batch-size") return ;;
    "finetune --grad-accumulation") return ;;
    "finetune --inner-epochs") return ;;
    "finetune --timestep-fraction") return ;;
    "finetune --max-step-gain") return ;;
    "finetune --update-order") COMPREPLY=($(compgen -W 'auto trajectories columns' -- "$current")); return ;;
    "finetune --step-order") COMPREPLY=($(compgen -W 'shuffled chain' -- "$current")); return ;;
    "finetune --lr") return ;;
    "finetune --weight-decay") return ;;
    "finetune --grad-clip") return ;;
    "finetune --clip-range") return ;;
    "finetune --logprob-reduce") COMPREPLY=($(compgen -W 'mean sum' -- "$current")); return ;;
    "finetune --advantage") COMPREPLY=($(compgen -W 'per-prompt global' -- "$current")); return ;;
    "finetune --tracker-size") return ;;
    "finetune --tracker-min") return ;;
    "finetune --advantage-clip") return ;;
    "finetune --constraint") return ;;
    "finetune --constraint-lr") return ;;
    "finetune --constraint-max") return ;;
    "finetune --kl-coef") return ;;
    "finetune --kl-form") COMPREPLY=($(compgen -W 'exact plain' -- "$current")); return ;;
    "finetune --kl-penalty") return ;;
    "finetune --kl-shape") COMPREPLY=($(compgen -W 'kl abs square clip approx k3 js' -- "$current")); return ;;
    "finetune --kl-target") return ;;
    "finetune --kl-horizon") return ;;
    "finetune --tdpo.features") COMPREPLY=($(compgen -W 'default raw classifier: efficientnet-lite0 torchscript:' -- "$current")); return ;;
    "finetune --tdpo.gamma") return ;;
    "finetune --tdpo.whitening") COMPREPLY=($(compgen -W 'epoch none' -- "$current")); return ;;
    "finetune --tdpo.critic-lr") return ;;
    "finetune --tdpo.critic-eps") return ;;
    "finetune --tdpo.critic-clip") return ;;
    "finetune --tdpo.critic-init") COMPREPLY=($(compgen -W 'published default' -- "$current")); return ;;
    "finetune --tdpo.dormant-threshold") return ;;
    "finetune --tdpo.probe-n") return ;;
    "finetune --tdpo.probe") COMPREPLY=($(compgen -W 'last-column all-steps' -- "$current")); return ;;
    "finetune --tdpo.reset") COMPREPLY=($(compgen -W 'active dormant all none' -- "$current")); return ;;
    "finetune --tdpo.reset-every") return ;;
    "finetune --tdpo.reset-seed") COMPREPLY=($(compgen -W 'epoch fixed' -- "$current")); return ;;
    "finetune --dpok.reward") COMPREPLY=($(compgen -W 'normalised raw' -- "$current")); return ;;
    "finetune --dpok.clip") COMPREPLY=($(compgen -W 'ppo clamp' -- "$current")); return ;;
    "finetune --dpok.value-lr") return ;;
    "finetune --dpok.value-updates") return ;;
    "finetune --dpok.value-batch") return ;;
    "finetune --grpo.std") COMPREPLY=($(compgen -W 'global group' -- "$current")); return ;;
    "finetune --draft.k") return ;;
    "finetune --draft.lv-n") return ;;
    "finetune --draft.lv-include-base") COMPREPLY=($(compgen -W 'on off' -- "$current")); return ;;
    "finetune --alignprop.truncation") COMPREPLY=($(compgen -W 'auto uniform per-step' -- "$current")); return ;;
    "finetune --alignprop.target") return ;;
    "finetune --alignprop.scale") return ;;
    "finetune --refl.last") return ;;
    "finetune --refl.standardise") COMPREPLY=($(compgen -W 'base none' -- "$current")); return ;;
    "finetune --refl.target") return ;;
    "finetune --refl.scale") return ;;
    "finetune --lora-rank") return ;;
    "finetune --lora-alpha") return ;;
    "finetune --lora-targets") return ;;
    "finetune --gold") COMPREPLY=($(compgen -W 'brightness class-entropy class-logp class-prob exec jpeg-compressibility jpeg-incompressibility learned torchscript' -- "$current")); return ;;
    "finetune --monitor-every") return ;;
    "finetune --monitor-n") return ;;
    "finetune --monitor-bootstrap") return ;;
    "finetune --monitor-features") COMPREPLY=($(compgen -W 'default raw classifier: efficientnet-lite0 torchscript:' -- "$current")); return ;;
    "finetune --stop") return ;;
    "finetune --keep") COMPREPLY=($(compgen -W 'last best-gold' -- "$current")); return ;;
    "finetune --reward-timeout") return ;;
    "finetune --save-every") return ;;
    "finetune --time-limit") return ;;
    "finetune --resume") COMPREPLY=($(compgen -W 'auto never' -- "$current")); return ;;
    "finetune --output"|"finetune -o") compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")); return ;;
    "finetune --threads"|"finetune -j") return ;;
    "finetune --device") COMPREPLY=($(compgen -W 'cpu cuda' -- "$current")); return ;;
    "finetune --precision") COMPREPLY=($(compgen -W 'fp32 bf16 fp16' -- "$current")); return ;;
    "finetune --log") compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")); return ;;
    "finetune --progress") COMPREPLY=($(compgen -W 'auto bar plain none' -- "$current")); return ;;
    "finetune --config") compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")); return ;;
    "ingest --format") COMPREPLY=($(compgen -W 'auto cifar folder idx npy' -- "$current")); return ;;
    "ingest --labels") compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")); return ;;
    "ingest --size") return ;;
    "ingest --channels") COMPREPLY=($(compgen -W 'auto grey rgb' -- "$current")); return ;;
    "ingest --array") return ;;
    "ingest --label-array") return ;;
    "ingest --class-names") return ;;
    "ingest --from") COMPREPLY=($(compgen -W 'diffusers' -- "$current")); return ;;
    "ingest --skip") return ;;
    "ingest --limit") return ;;
    "ingest --held-out") return ;;
    "ingest --part") COMPREPLY=($(compgen -W 'train held-out' -- "$current")); return ;;
    "ingest --seed") return ;;
    "ingest --batch-size") return ;;
    "ingest --output"|"ingest -o") compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")); return ;;
    "ingest --progress") COMPREPLY=($(compgen -W 'auto bar plain none' -- "$current")); return ;;
    "ingest --config") compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")); return ;;
    "pretrain --denoiser") compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")); return ;;
    "pretrain --init") compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")); return ;;
    "pretrain --steps") return ;;
    "pretrain --batch-size") return ;;
    "pretrain --lr") return ;;
    "pretrain --lr-warmup") return ;;
    "pretrain --lr-schedule") COMPREPLY=($(compgen -W 'constant cosine' -- "$current")); return ;;
    "pretrain --weight-decay") return ;;
    "pretrain --grad-clip") return ;;
    "pretrain --ema-decay") return ;;
    "pretrain --min-snr-gamma") return ;;
    "pretrain --label-drop") return ;;
    "pretrain --seed") return ;;
    "pretrain --num-train-timesteps") return ;;
    "pretrain --beta-schedule") COMPREPLY=($(compgen -W 'linear scaled_linear squaredcos_cap_v2' -- "$current")); return ;;
    "pretrain --beta-start") return ;;
    "pretrain --beta-end") return ;;
    "pretrain --prediction-type") COMPREPLY=($(compgen -W 'epsilon sample v_prediction' -- "$current")); return ;;
    "pretrain --timestep-spacing") COMPREPLY=($(compgen -W 'leading trailing linspace' -- "$current")); return ;;
    "pretrain --steps-offset") return ;;
    "pretrain --save-every") return ;;
    "pretrain --time-limit") return ;;
    "pretrain --resume") COMPREPLY=($(compgen -W 'auto never' -- "$current")); return ;;
    "pretrain --log-every") return ;;
    "pretrain --output"|"pretrain -o") compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")); return ;;
    "pretrain --threads"|"pretrain -j") return ;;
    "pretrain --device") COMPREPLY=($(compgen -W 'cpu cuda' -- "$current")); return ;;
    "pretrain --precision") COMPREPLY=($(compgen -W 'fp32 bf16 fp16' -- "$current")); return ;;
    "pretrain --log") compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")); return ;;
    "pretrain --progress") COMPREPLY=($(compgen -W 'auto bar plain none' -- "$current")); return ;;
    "pretrain --config") compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")); return ;;
    "report --log") compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")); return ;;
    "report --title") return ;;
    "report --rows") return ;;
    "report --columns") return ;;
    "report --output"|"report -o") compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")); return ;;
    "report --svg") compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")); return ;;
    "report --png") compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")); return ;;
    "report --tsv") compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")); return ;;
    "report --progress") COMPREPLY=($(compgen -W 'auto bar plain none' -- "$current")); return ;;
    "report --config") compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")); return ;;
    "reward-train --network") COMPREPLY=($(compgen -W 'tiny small medium' -- "$current")); return ;;
    "reward-train --target") return ;;
    "reward-train --test") compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")); return ;;
    "reward-train --type") COMPREPLY=($(compgen -W 'classifier regressor' -- "$current")); return ;;
    "reward-train --labels") return ;;
    "reward-train --label-noise") return ;;
    "reward-train --held-out") return ;;
    "reward-train --epochs") return ;;
    "reward-train --steps") return ;;
    "reward-train --batch-size") return ;;
    "reward-train --lr") return ;;
    "reward-train --lr-warmup") return ;;
    "reward-train --weight-decay") return ;;
    "reward-train --grad-clip") return ;;
    "reward-train --label-smoothing") return ;;
    "reward-train --shift") return ;;
    "reward-train --evaluate-every") return ;;
    "reward-train --patience") return ;;
    "reward-train --seed") return ;;
    "reward-train --save-every") return ;;
    "reward-train --time-limit") return ;;
    "reward-train --resume") COMPREPLY=($(compgen -W 'auto never' -- "$current")); return ;;
    "reward-train --output"|"reward-train -o") compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")); return ;;
    "reward-train --threads"|"reward-train -j") return ;;
    "reward-train --device") COMPREPLY=($(compgen -W 'cpu cuda' -- "$current")); return ;;
    "reward-train --log") compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")); return ;;
    "reward-train --progress") COMPREPLY=($(compgen -W 'auto bar plain none' -- "$current")); return ;;
    "reward-train --config") compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")); return ;;
    "sample --model") compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")); return ;;
    "sample --count"|"sample -n") return ;;
    "sample --class") COMPREPLY=($(compgen -W 'balanced random none' -- "$current")); return ;;
    "sample --seed") return ;;
    "sample --first") return ;;
    "sample --shard") return ;;
    "sample --sampler") COMPREPLY=($(compgen -W 'ddim ddpm dpm-solver++' -- "$current")); return ;;
    "sample --steps") return ;;
    "sample --eta") return ;;
    "sample --guidance-scale") return ;;
    "sample --lora-scale") return ;;
    "sample --batch-size") return ;;
    "sample --output"|"sample -o") compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")); return ;;
    "sample --threads"|"sample -j") return ;;
    "sample --device") COMPREPLY=($(compgen -W 'cpu cuda' -- "$current")); return ;;
    "sample --precision") COMPREPLY=($(compgen -W 'fp32 bf16 fp16' -- "$current")); return ;;
    "sample --progress") COMPREPLY=($(compgen -W 'auto bar plain none' -- "$current")); return ;;
    "sample --config") compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")); return ;;
    "score --reward") COMPREPLY=($(compgen -W 'brightness class-entropy class-logp class-prob exec jpeg-compressibility jpeg-incompressibility learned torchscript' -- "$current")); return ;;
    "score --sum") return ;;
    "score --weights") return ;;
    "score --batch-size") return ;;
    "score --timeout") return ;;
    "score --output"|"score -o") compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")); return ;;
    "score --threads"|"score -j") return ;;
    "score --device") COMPREPLY=($(compgen -W 'cpu cuda' -- "$current")); return ;;
    "score --progress") COMPREPLY=($(compgen -W 'auto bar plain none' -- "$current")); return ;;
    "score --config") compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")); return ;;
  esac
  if [[ $current != -* ]]; then
    compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")); return
  fi
  case $tool in
    check) COMPREPLY=($(compgen -W '--lineage --finite --no-finite --digest --no-digest --dry-run --quiet -q --verbose -v --progress --config --print-config --help --version' -- "$current")) ;;
    diversity) COMPREPLY=($(compgen -W '--reference -r --features --limit --batch-size --metric --per-class --no-per-class --vendi.order --vendi.kernel --vendi.bandwidth --bootstrap --memorisation.ratio --memorisation.list --seed --output -o --force --dry-run --threads -j --device --quiet -q --verbose -v --progress --config --print-config --help --version' -- "$current")) ;;
    evaluate-fid) COMPREPLY=($(compgen -W '--reference -r --features --limit --batch-size --save-features --save-stats --metric --allow-rank-deficient --kid.subsets --kid.subset-size --prdc.precision-k --prdc.density-k --inception-score.splits --seed --output -o --force --dry-run --threads -j --device --quiet -q --verbose -v --progress --config --print-config --help --version' -- "$current")) ;;
    export) COMPREPLY=($(compgen -W '--to --output -o --force --limit --by-class --layout --compress --dry-run --quiet -q --verbose -v --progress --config --print-config --help --version' -- "$current")) ;;
    finetune) COMPREPLY=($(compgen -W '--model --method --reward --class --seed --epochs --samples-per-epoch --batch-size --sampler-steps --eta --guidance-scale --train-batch-size --grad-accumulation --inner-epochs --timestep-fraction --max-step-gain --update-order --step-order --lr --weight-decay --grad-clip --clip-range --logprob-reduce --advantage --tracker-size --tracker-min --advantage-clip --constraint --constraint-lr --constraint-max --kl-coef --kl-form --kl-penalty --kl-shape --kl-target --kl-horizon --tdpo.features --tdpo.gamma --tdpo.whitening --tdpo.critic-lr --tdpo.critic-eps --tdpo.critic-clip --tdpo.critic-init --tdpo.critic-relu --tdpo.dormant-threshold --tdpo.probe-n --tdpo.probe --tdpo.reset --tdpo.reset-every --tdpo.reset-seed --dpok.reward --dpok.clip --dpok.value-lr --dpok.value-updates --dpok.value-batch --grpo.std --draft.k --draft.lv-n --draft.lv-include-base --alignprop.truncation --alignprop.target --alignprop.scale --refl.last --refl.standardise --refl.target --refl.scale --direct.checkpoint --lora-rank --lora-alpha --lora-targets --full --merge --gold --monitor-every --monitor-n --monitor-bootstrap --monitor-features --stop --keep --reward-timeout --save-every --time-limit --resume --output -o --force --compress --dry-run --threads -j --device --precision --log --quiet -q --verbose -v --progress --config --print-config --help --version' -- "$current")) ;;
    ingest) COMPREPLY=($(compgen -W '--format --labels --size --channels --array --label-array --class-names --from --skip --limit --held-out --part --seed --batch-size --output -o --force --compress --dry-run --quiet -q --verbose -v --progress --config --print-config --help --version' -- "$current")) ;;
    pretrain) COMPREPLY=($(compgen -W '--denoiser --init --unconditional --steps --batch-size --lr --lr-warmup --lr-schedule --weight-decay --grad-clip --ema-decay --min-snr-gamma --label-drop --flip --seed --num-train-timesteps --beta-schedule --beta-start --beta-end --prediction-type --timestep-spacing --steps-offset --set-alpha-to-one --clip-sample --save-every --time-limit --resume --log-every --output -o --force --compress --dry-run --threads -j --device --precision --log --quiet -q --verbose -v --progress --config --print-config --help --version' -- "$current")) ;;
    report) COMPREPLY=($(compgen -W '--log --title --rows --columns --pool-seeds --output -o --svg --png --tsv --force --dry-run --quiet -q --verbose -v --progress --config --print-config --help --version' -- "$current")) ;;
    reward-train) COMPREPLY=($(compgen -W '--network --target --test --type --labels --label-noise --held-out --epochs --steps --batch-size --lr --lr-warmup --weight-decay --grad-clip --label-smoothing --flip --shift --evaluate-every --patience --calibrate --seed --save-every --time-limit --resume --output -o --force --compress --dry-run --threads -j --device --log --quiet -q --verbose -v --progress --config --print-config --help --version' -- "$current")) ;;
    sample) COMPREPLY=($(compgen -W '--model --count -n --class --seed --first --shard --sampler --steps --eta --guidance-scale --lora-scale --batch-size --output -o --force --compress --dry-run --threads -j --device --precision --quiet -q --verbose -v --progress --config --print-config --help --version' -- "$current")) ;;
    score) COMPREPLY=($(compgen -W '--reward --sum --weights --batch-size --timeout --output -o --force --compress --dry-run --threads -j --device --quiet -q --verbose -v --progress --config --print-config --help --version' -- "$current")) ;;
  esac
}
_plumb() {
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W 'check diversity evaluate-fid export finetune ingest pretrain report reward-train sample score help' -- "${COMP_WORDS[1]}")); return
  fi
  if [[ ${COMP_WORDS[1]} == help ]]; then
    COMPREPLY=($(compgen -W 'check diversity evaluate-fid export finetune ingest pretrain report reward-train sample score' -- "${COMP_WORDS[COMP_CWORD]}")); return
  fi
  _plumb_complete "${COMP_WORDS[1]}"
}
_plumb_bare() { _plumb_complete "${1##*/}"; }
complete -F _plumb plumb
for _plumb_tool in bin/check ./check bin/diversity ./diversity bin/evaluate-fid ./evaluate-fid bin/export ./export bin/finetune ./finetune bin/ingest ./ingest bin/pretrain ./pretrain bin/report ./report bin/reward-train ./reward-train bin/sample ./sample bin/score ./score; do
  complete -F _plumb_bare "$_plumb_tool"
done
unset _plumb_tool
