#!/usr/bin/env bats
# The main job on real data: the directory of the US Congress changes for years; offices of states and parties have
# their copies of it, synchronize at different rhythms, and some write. After every sync each copy is what the server
# says it should be. DX_LONG=1 goes through the whole history in smaller steps.

load ../helper
load ../site
load ../sshd

history=$DX_ROOT/tests/data/congress

# node:rhythm: synchronizes in every so-manieth round.
offices=(CA:1 TX:2 VT:2 Democrat:3 Republican:4)

make_congress() {
    shared_data congress-200.tar.xz
    mkdir -p data site
    "$history" unpack "$shared" data
    "$history" base data site/hq.db
    txnlog attach site/hq.db
    txnroute load site/hq.db "$DX_ROOT/tests/data/congress-package"
    local office
    for office in "${offices[@]}"; do
        txnroute node add site/hq.db "${office%:*}" --package congress --user "${office%:*}"
    done
}

# sync_now NODE SITE: a session with the server's answer in it, after which the copy has all there is.
sync_now() {
    remotesync --now "$1.db" "$2" || [ $? -eq 1 ]
    right "$1.db"
}

# An office notes new telephone numbers, and a district office of its own.
edit() {
    sql "$1.db" "UPDATE district_office SET phone = '555-' || $2 WHERE rowid % 7 = $2 % 7" \
        "UPDATE social_media SET account = account || '_$2' WHERE rowid % 11 = $2 % 11" \
        "DELETE FROM legislator_xref WHERE rowid % 97 = $2" \
        "INSERT INTO district_office (office_id, bioguide, city, modified_at)
         SELECT '$1-$2-' || bioguide, bioguide, 'Here', '2026' FROM legislator LIMIT 2"
}

@test "years of changes, routed by state and party, synchronized at different rhythms: every copy right after every sync" {
    last=$(sized 30 6) rounds=$(sized 6 2)
    [ -z "${DX_LONG:-}" ] || last=199 rounds=40
    make_congress
    for office in "${offices[@]}"; do
        initsync "${office%:*}.db" site --node "${office%:*}"
        right "${office%:*}.db"
    done
    done=0
    for ((round = 1; round <= rounds; round++)); do
        next=$((last * round / rounds))
        "$history" steps data site/hq.db $((done + 1)) $next
        done=$next
        dxcron site
        for office in "${offices[@]}"; do
            node=${office%:*}
            [ $((round % ${office#*:})) -eq 0 ] || continue
            case $node in TX | VT | Democrat) edit "$node" $round ;; esac
            sync_now "$node" site
        done
    done
    # At the end all: the first round brings the last edits in, the second the answers out.
    for round in 1 2; do
        for office in "${offices[@]}"; do
            sync_now "${office%:*}" site
        done
    done
    for office in "${offices[@]}"; do
        right "${office%:*}.db"
    done
    no_litter .
}

teardown() {
    stop_sshd
}

@test "the same over ssh, each office with its own key" {
    last=$(sized 12 6) rounds=2
    [ -z "${DX_LONG:-}" ] || last=100 rounds=20
    offices=(CA:1 NY:2)
    make_congress
    start_sshd CA NY
    for office in "${offices[@]}"; do
        as "${office%:*}"
        initsync "${office%:*}.db" "$here" --node "${office%:*}"
        right "${office%:*}.db"
    done
    done=0
    for ((round = 1; round <= rounds; round++)); do
        next=$((last * round / rounds))
        "$history" steps data site/hq.db $((done + 1)) $next
        done=$next
        for office in "${offices[@]}"; do
            node=${office%:*}
            [ $((round % ${office#*:})) -eq 0 ] || continue
            edit "$node" $round
            as "$node"
            sync_now "$node" "$here"
        done
    done
    for round in 1 2; do
        for office in "${offices[@]}"; do
            as "${office%:*}"
            sync_now "${office%:*}" "$here"
        done
    done
    for office in "${offices[@]}"; do
        right "${office%:*}.db"
    done
}
