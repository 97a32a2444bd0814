# Made by share/tools/docs.py from the option tables; do not edit.
# bash: source this file, or put it in bash-completion's folder under the name `plumb`.
_plumb_complete() {
  local tool=$1 current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
  COMPREPLY=()
  case "$tool $before" in
    "check --progress") COMPREPLY=($(compgen -W 'auto bar plain none' -- "$current")); return ;;
    "check --config") compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")); return ;;
    "export --to") COMPREPLY=($(compgen -W 'csv diffusers kohya npy npz peft png torchscript' -- "$current")); return ;;
    "export --output"|"export -o") compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")); return ;;
    "export --limit") return ;;
    "export --layout") COMPREPLY=($(compgen -W 'nchw nhwc' -- "$current")); return ;;
    "export --progress") COMPREPLY=($(compgen -W 'auto bar plain none' -- "$current")); return ;;
    "export --config") compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")); return ;;
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
  esac
  if [[ $current != -* ]]; then
    compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")); return
  fi
  case $tool in
    check) COMPREPLY=($(compgen -W '--lineage --finite --no-finite --digest --no-digest --dry-run --quiet -q --verbose -v --progress --config --print-config --help --version' -- "$current")) ;;
    export) COMPREPLY=($(compgen -W '--to --output -o --force --limit --by-class --layout --compress --dry-run --quiet -q --verbose -v --progress --config --print-config --help --version' -- "$current")) ;;
    ingest) COMPREPLY=($(compgen -W '--format --labels --size --channels --array --label-array --class-names --from --skip --limit --held-out --part --seed --batch-size --output -o --force --compress --dry-run --quiet -q --verbose -v --progress --config --print-config --help --version' -- "$current")) ;;
    pretrain) COMPREPLY=($(compgen -W '--denoiser --init --unconditional --steps --batch-size --lr --lr-warmup --lr-schedule --weight-decay --grad-clip --ema-decay --min-snr-gamma --label-drop --flip --seed --num-train-timesteps --beta-schedule --beta-start --beta-end --prediction-type --timestep-spacing --steps-offset --set-alpha-to-one --clip-sample --save-every --time-limit --resume --log-every --output -o --force --compress --dry-run --threads -j --device --precision --log --quiet -q --verbose -v --progress --config --print-config --help --version' -- "$current")) ;;
  esac
}
_plumb() {
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W 'check export ingest pretrain help' -- "${COMP_WORDS[1]}")); return
  fi
  if [[ ${COMP_WORDS[1]} == help ]]; then
    COMPREPLY=($(compgen -W 'check export ingest pretrain' -- "${COMP_WORDS[COMP_CWORD]}")); return
  fi
  _plumb_complete "${COMP_WORDS[1]}"
}
_plumb_bare() { _plumb_complete "${1##*/}"; }
complete -F _plumb plumb
for _plumb_tool in bin/check ./check bin/export ./export bin/ingest ./ingest bin/pretrain ./pretrain; do
  complete -F _plumb_bare "$_plumb_tool"
done
unset _plumb_tool
