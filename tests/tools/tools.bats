#!/usr/bin/env bats
# The helper programs of the tests, so that an oracle that is wrong is found before what it judges.

load ../helper

@test "changeset: what diff writes, apply carries over, and its inverse takes back" {
    "$DX_ROOT/tests/data/sales" a.db 1 30
    cp a.db b.db
    sql b.db "UPDATE account SET city = 'Oslo', revenue = NULL WHERE row_id < 'A-000010'" \
        "DELETE FROM activity WHERE row_id < 'V-000010'" "INSERT INTO cost VALUES ('R-9999', 0.1)"
    cp a.db c.db
    changeset diff a.db b.db >changes
    changeset apply c.db <changes
    same_tables b.db c.db
    changeset invert <changes | changeset apply c.db
    same_tables a.db c.db
}

@test "changeset: apply refuses what does not fit, and changes nothing" {
    "$DX_ROOT/tests/data/sales" a.db 1 30
    cp a.db b.db
    sql b.db "UPDATE account SET city = 'Oslo'"
    changeset diff a.db b.db >changes
    sql a.db "UPDATE account SET city = 'Turku' WHERE row_id = 'A-000030'"
    cp a.db before.db
    run -1 changeset apply a.db <changes
    [[ $output == *"conflict DATA in table account"* ]]
    same_tables before.db a.db
}
