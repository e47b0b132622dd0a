# Completions, from the same table of verbs and options as --help.
load ../helper

# completed WORD...: what the last word may become.
completed() {
    COMP_WORDS=("$@")
    COMP_CWORD=$(($# - 1))
    _dx
    printf '%s\n' "${COMPREPLY[@]}"
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    # shellcheck source=/dev/null
    source "$DX_ROOT/scripts/share/completion.bash"
}

@test "every verb and every option of --help is offered, of each command" {
    local command verb
    for command in txnlog txnroute dxpack dxapply hhextract syncdiff initsync remotesync dxcron; do
        "$command" --help | grep -oE "^  $command [a-z]+" | awk '{ print $2 }' | sort -u >verbs
        [ ! -s verbs ] || diff verbs <(completed "$command" '' | grep -xFf verbs | sort -u)
        for verb in $(cat verbs); do
            "$command" --help | awk -v name="$command" -v verb="$verb" '$1 == name { on = $2 == verb; next }
                on && /^      --?[a-z]/ { print $1 }' | sort -u >options
            diff options <(completed "$command" "$verb" - | grep -xFf options | sort -u)
        done
    done
    completed dxcron -- | grep -qx -e --wait
    [ "$(completed txnroute node '' | xargs)" = "add set end move hold release approve reject key list" ]
    [ "$(completed txnroute package a)" = activate ]
    [ "$(completed txnroute user e)" = end ]
    [ "$(completed txnroute responsibility '' | xargs)" = "set list" ]
}

@test "nodes and tables complete from the database on the command line" {
    sqlite3 hq.db "CREATE TABLE item (id INTEGER PRIMARY KEY); CREATE TABLE other (id INTEGER PRIMARY KEY)"
    txnlog attach hq.db
    mkdir p && printf '[package]\nname = p\nversion = 1\n[object item]\nvisible = all\n' >p/package.conf
    txnroute load hq.db p
    for node in alice bob; do txnroute node add hq.db $node --package p; done
    [ "$(completed txnroute why hq.db '')" = $'alice\nbob' ]
    [ "$(completed txnroute why hq.db alice i)" = item ]
    [ "$(completed txnroute run hq.db --node b)" = bob ]
    [ "$(completed txnlog attach hq.db o)" = other ]
    [ "$(completed txnlog status h)" = hq.db ]
}

@test "zsh takes the same ones" {
    sed "s,@DATADIR@,$DX_ROOT/scripts/share," "$DX_ROOT/scripts/share/_dx" >_dx
    zsh -f -c 'autoload -U compinit && compinit -D -u && fpath=(. $fpath) && source ./_dx; whence -w _dx' | grep -q '_dx: function'
}
