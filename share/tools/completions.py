"""completions.py: shell completions for all commands, from their option tables. Used by docs.py.
SPDX-License-Identifier: Apache-2.0
"""
HEAD = "# Made by share/tools/docs.py from the option tables; do not edit.\n"


def spellings(row):
    names = ["--" + row["name"]]
    if row["takes"] == "nothing" and row.get("default") == "on":
        names.append("--no-" + row["name"])
    if "letter" in row:
        names.append("-" + row["letter"])
    return names


def choices(row):
    return row.get("allowed") or row.get("suggestions") or []


def takes_value(row):
    return row["takes"] in ("value", "list")


def bash(dumps):
    out = [HEAD + "# bash: source this file, or put it in bash-completion's folder under the name `plumb`.\n"]
    out.append("_plumb_complete() {\n  local tool=$1 current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
               "  COMPREPLY=()\n  case \"$tool $before\" in\n")
    for tool, dump in dumps.items():
        for row in filter(takes_value, dump["options"]):
            pattern = "|".join(f'"{tool} {name}"' for name in spellings(row))
            if choices(row):
                out.append(f"    {pattern}) COMPREPLY=($(compgen -W '{' '.join(choices(row))}' -- \"$current\")); return ;;\n")
            elif not row.get("file"):
                out.append(f"    {pattern}) return ;;\n")
            else:
                out.append(f"    {pattern}) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- \"$current\")); return ;;\n")
    out.append("  esac\n  if [[ $current != -* ]]; then\n    compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- \"$current\")); return\n  fi\n"
               "  case $tool in\n")
    for tool, dump in dumps.items():
        words = [name for row in dump["options"] for name in spellings(row)] + ["--help", "--version"]
        out.append(f"    {tool}) COMPREPLY=($(compgen -W '{' '.join(words)}' -- \"$current\")) ;;\n")
    out.append("  esac\n}\n")
    out.append("_plumb() {\n  if ((COMP_CWORD == 1)); then\n    COMPREPLY=($(compgen -W '" + " ".join([*dumps, "help"]) +
               "' -- \"${COMP_WORDS[1]}\")); return\n  fi\n"
               "  if [[ ${COMP_WORDS[1]} == help ]]; then\n    COMPREPLY=($(compgen -W '" + " ".join(dumps) +
               "' -- \"${COMP_WORDS[COMP_CWORD]}\")); return\n  fi\n  _plumb_complete \"${COMP_WORDS[1]}\"\n}\n")
    out.append("_plumb_bare() { _plumb_complete \"${1##*/}\"; }\ncomplete -F _plumb plumb\n")
    out.append("for _plumb_tool in " + " ".join(f"bin/{tool} ./{tool}" for tool in dumps) + "; do\n"
               "  complete -F _plumb_bare \"$_plumb_tool\"\ndone\nunset _plumb_tool\n")
    return "".join(out)


def zsh_quote(text):
    return text.replace("'", "").replace("[", "(").replace("]", ")").replace(":", " -").replace('"', "")


def zsh(dumps):
    out = ["#compdef plumb\n" + HEAD + "# zsh: put this file in a folder of $fpath.\n"]
    out.append("_plumb() {\n  local -a commands\n  commands=(\n")
    out += [f"    '{tool}:{zsh_quote(dump['summary'])}'\n" for tool, dump in dumps.items()]
    out.append("    'help:show the manual of a command'\n  )\n  if (( CURRENT == 2 )); then\n    _describe command commands\n    return\n  fi\n"
               "  local tool=$words[2]\n  shift words\n  (( CURRENT-- ))\n  case $tool in\n")
    for tool, dump in dumps.items():
        out.append(f"    {tool})\n      _arguments -s \\\n")
        for row in dump["options"]:
            action = ""
            if takes_value(row):
                values = f"({' '.join(choices(row))})" if choices(row) else "_files" if row.get("file") else ""
                action = f":{zsh_quote(row.get('metavar', 'value'))}:{values}"
            repeat = "*" if row["takes"] in ("list", "count") else ""
            for name in spellings(row):
                out.append(f"        '{repeat}{name}[{zsh_quote(row['help'])}]{action}' \\\n")
        out.append("        '(-h --help)'{-h,--help}'[print a summary of the options]' \\\n        '--version[print the version]' \\\n"
                   "        '*:file:_files'\n      ;;\n")
    out.append("    help) _describe command commands ;;\n  esac\n}\n_plumb \"$@\"\n")
    return "".join(out)


def fish_quote(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def fish(dumps):
    out = [HEAD + "# fish: put this file in ~/.config/fish/completions.\n"]
    tools = " ".join(dumps)
    out.append(f"set -l plumb_commands {tools} help\n")
    for tool, dump in dumps.items():
        out.append(f"complete -c plumb -f -n \"not __fish_seen_subcommand_from $plumb_commands\" -a {tool} -d {fish_quote(dump['summary'])}\n")
    out.append("complete -c plumb -f -n \"not __fish_seen_subcommand_from $plumb_commands\" -a help -d 'show the manual of a command'\n")
    out.append(f"complete -c plumb -f -n '__fish_seen_subcommand_from help' -a '{tools}'\n")
    for tool, dump in dumps.items():
        when = f"-n '__fish_seen_subcommand_from {tool}'"
        out.append(f"complete -c plumb -F {when}\n")
        for row in dump["options"]:
            parts = [f"complete -c plumb {when} -l {row['name']}"]
            if "letter" in row:
                parts.append(f"-s {row['letter']}")
            if takes_value(row):
                parts.append("-r")
                if choices(row):
                    parts.append(f"-f -a '{' '.join(choices(row))}'")
                elif not row.get("file"):
                    parts.append("-f")
            out.append(" ".join(parts) + f" -d {fish_quote(row['help'])}\n")
            if row["takes"] == "nothing" and row.get("default") == "on":
                out.append(f"complete -c plumb {when} -l no-{row['name']} -d {fish_quote('not: ' + row['help'])}\n")
    return "".join(out)


def make(dumps):
    """File name -> text."""
    return {"plumb.bash": bash(dumps), "_plumb": zsh(dumps), "plumb.fish": fish(dumps)}
