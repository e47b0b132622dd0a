# A server directory and what is asked of it; for the tests of sessions: load ../helper, then load ../site.

# make_site [ACCOUNTS]: site/ with the sales database, its package, and the nodes alice and bob.
make_site() {
    mkdir site
    "$DX_ROOT/tests/data/sales" site/hq.db 1 "${1:-40}"
    txnlog attach site/hq.db
    txnroute load site/hq.db "$DX_ROOT/tests/data/sales-package"
    local who
    for who in alice bob; do
        txnroute node add site/hq.db $who --package sales --user $who
    done
}

# make_clients: alice.db and bob.db from site/.
make_clients() {
    initsync alice.db site --node alice
    initsync bob.db site --node bob
}

# right DB [NODE]: the copy is byte for byte what site/hq.db says that the node should have.
right() {
    local node=${2:-$(basename "$1" .db)} here there
    here=$(txnlog digest "$1") || return
    there=$(txnlog digest site/hq.db --node "$node") || return
    if [ -z "$here" ] || [ "$here" != "$there" ]; then
        echo "$1 is not the server's view of $node:"
        diff <(echo "$here") <(echo "$there")
        return 1
    fi
}

# no_litter DIR...: nothing under a temporary name, nothing that waits.
no_litter() {
    local found
    found=$(find "$@" \( -name '*.part' -o -name '*.tmp' -o -name 'new.db*' -o -name 'snapshot.dx' \
        -o -path '*-dx/inbox/*' -o -path '*/docking/*/inbox/*' \) -type f ! -path '*/docking/*/snapshot.dx')
    [ -z "$found" ] || { echo "left behind: $found"; return 1; }
}

# talk NODE LINE...: what dxserve answers to these lines.
talk() {
    local node=$1
    shift
    printf '%s\n' "$@" | dxserve --site "$PWD/site" --node "$node"
}

# greeting DB: the lines with which the copy greets its server.
greeting() {
    local about
    about=$(txnlog status "$1" --json)
    echo "dx 2 test"
    jq -r '"hello node=\(.node) epoch=\(.server) archive=\(.applied) sent=\(.sent) upload=\(.acked)"' <<<"$about"
}
