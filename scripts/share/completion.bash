# bash completion for the commands of dx: verbs and options as `COMMAND --help` tells them, nodes and tables as the
# database on the command line does.

# The help of a command as lines: "verb NAME", "option VERB OPTION [VALUE]", "sub VERB WORD" for each of the words of which
# the verb's first operand is one, as in add|end|list; VERB is - where there is but one.
_dx_words() {
    "$1" --help 2>/dev/null | awk -v name="$1" '
        /^Exit/ { exit }
        { i = $1 == "usage:" ? 2 : 1 }
        $i == name || form {
            form = 0
            for (k = $i == name ? i + 2 : 1; k <= NF && $k ~ /^\[OPTION/; k++);
            if (k > NF) form = 1
            n = $k ~ /^[a-z]+([|][a-z]+)+$/ ? split($k, sub_, "|") : 0
            for (s = 1; s <= n; s++) print "sub", $i == name ? $(i + 1) : verb, sub_[s]
            if ($i != name) next
        }
        $i == name {
            verb = $(i + 1) ~ /^[a-z][a-z-]*$/ ? $(i + 1) : "-"
            if (verb != "-") print "verb", verb
            next
        }
        $1 ~ /^-/ {
            for (k = 1; k <= NF && $k ~ /^-/; k++) {
                sub(/,$/, "", $k)
                print "option", verb == "" ? "-" : verb, $k, $(k + 1) ~ /^[A-Z]+,?$/ ? $(k + 1) : ""
                if ($(k + 1) == "|" || $(k + 1) == "or") k++
            }
        }'
}

# The databases among the words before the cursor; a site has hq.db.
_dx_database() {
    local word
    for word in "${COMP_WORDS[@]:1}"; do
        [ ! -f "$word" ] || { echo "$word"; return; }
        [ ! -f "$word/hq.db" ] || { echo "$word/hq.db"; return; }
    done
}

_dx_nodes() {
    local db
    db=$(_dx_database)
    [ -z "$db" ] || txnroute node list "$db" --json 2>/dev/null | sed -n 's/.*"name": *"\([^"]*\)".*/\1/p'
}

# Tables, which are the objects of packages as well unless these call them otherwise.
_dx_tables() {
    local db
    db=$(_dx_database)
    [ -z "$db" ] || txnlog status "$db" --json 2>/dev/null | grep -o '"table": *"[^"]*"' | sed 's/.*: *"\(.*\)"/\1/'
}

_dx() {
    local command=${COMP_WORDS[0]##*/} cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    local words verbs verb=- value
    words=$(_dx_words "$command")
    verbs=$(sed -n 's/^verb //p' <<<"$words")
    COMPREPLY=()
    if [ -n "$verbs" ] && [ "$COMP_CWORD" -gt 1 ] && grep -qxF -e "${COMP_WORDS[1]}" <<<"$verbs"; then
        verb=${COMP_WORDS[1]}
    fi
    value=$(awk -v verb="$verb" -v word="$prev" '$1 == "option" && $2 == verb && $3 == word { print $4; exit }' <<<"$words")
    case $cur:$value in
    -*)
        mapfile -t COMPREPLY < <(compgen -W "$(awk -v verb="$verb" '$1 == "option" && $2 == verb { print $3 }' <<<"$words")
            -v --help --version" -- "$cur")
        return
        ;;
    *:NODE | *:NAME) mapfile -t COMPREPLY < <(compgen -W "$(_dx_nodes)" -- "$cur") ;;
    *:TABLE | *:OBJECT) mapfile -t COMPREPLY < <(compgen -W "$(_dx_tables)" -- "$cur") ;;
    *)
        if [ "$COMP_CWORD" -eq 1 ] && [ -n "$verbs" ]; then
            mapfile -t COMPREPLY < <(compgen -W "$verbs" -- "$cur")
        elif [ "$COMP_CWORD" -eq 2 ] && grep -q "^sub $verb " <<<"$words"; then
            mapfile -t COMPREPLY < <(compgen -W "$(sed -n "s/^sub $verb //p" <<<"$words")" -- "$cur")
        elif [ "$command" = txnroute ] && [[ $verb:$COMP_CWORD == @(why:3|extract:3|node:4) ]]; then
            mapfile -t COMPREPLY < <(compgen -W "$(_dx_nodes)" -- "$cur")
        elif [[ $command:$verb:$COMP_CWORD == txnroute:why:4 || $command:$verb == txnlog:attach && $COMP_CWORD -gt 2 ]]; then
            mapfile -t COMPREPLY < <(compgen -W "$(_dx_tables)" -- "$cur")
        fi
        ;;
    esac
    [ ${#COMPREPLY[@]} -gt 0 ] || mapfile -t COMPREPLY < <(compgen -f -- "$cur")
}

complete -o filenames -F _dx txnlog txnroute dxpack dxapply hhextract syncdiff initsync remotesync companionsync \
    integratedsync desktopsync dxserve dxcron
