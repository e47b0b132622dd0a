#!/usr/bin/env bats
# The generators of test data: what they promise to the tests that build on them.

load ../helper

data=$DX_ROOT/tests/data

@test "sales: the same seed gives the same file, another seed other rows" {
    "$data/sales" a.db 7 60
    "$data/sales" b.db 7 60
    "$data/sales" c.db 8 60
    cmp a.db b.db
    run -1 same_table a.db c.db account
}

@test "sales: by default some thousand rows, every reference met, every holder with accounts" {
    "$data/sales" hq.db
    run -0 sql hq.db "PRAGMA foreign_key_check" "SELECT p.login FROM position p WHERE NOT EXISTS
        (SELECT 1 FROM account a WHERE a.territory = p.territory)"
    [ -z "$output" ]
    rows=0
    for t in $(app_tables hq.db); do rows=$((rows + $(sql hq.db "SELECT count(*) FROM $t"))); done
    [ "$rows" -ge 3000 ]
    [ "$rows" -le 8000 ]
}

@test "sales: a file that is there already is left alone" {
    echo precious >hq.db
    run -3 "$data/sales" hq.db
    [ "$(cat hq.db)" = precious ]
}

@test "contacts: as many rows as asked for, 11 columns, the same each time" {
    "$data/contacts" a.db 1000
    "$data/contacts" b.db 1000
    cmp a.db b.db
    [ "$(sql a.db "SELECT count(*), count(DISTINCT row_id), (SELECT count(*) FROM pragma_table_info('contact'))
        FROM contact")" = "1000|1000|11" ]
}

@test "congress: the first state and all of its steps apply; at the end no row hangs below an absent member" {
    shared_data congress-200.tar.xz
    "$data/congress" unpack "$shared" .
    "$data/congress" base . hq.db
    [ "$(sql hq.db "SELECT count(*) FROM legislator")" -gt 500 ]
    "$data/congress" steps . hq.db 1 199
    for t in legislator_xref term leadership_role social_media district_office committee_membership; do
        [ "$(sql hq.db "SELECT count(*) FROM $t WHERE bioguide NOT IN (SELECT bioguide FROM legislator)")" = 0 ]
    done
}
