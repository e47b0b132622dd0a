#!/usr/bin/env bats
# Sessions over ssh: a real sshd on loopback, with a key bound to its node by a forced command.

load ../helper
load ../site
load ../sshd

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    make_site
    start_sshd alice bob
}

teardown() {
    stop_sshd
}

@test "first copies, changes both ways, a conflict and a handover, all over ssh" {
    as alice
    initsync alice.db "$here" --node alice
    as bob
    initsync bob.db "$here" --node bob
    right alice.db
    right bob.db
    account=$(sql alice.db "SELECT min(row_id) FROM account")
    sql alice.db "UPDATE account SET city = 'Turku', revenue = 9.5 WHERE row_id = '$account'"
    sql site/hq.db "UPDATE account SET city = 'Oslo' WHERE row_id = '$account'"
    as alice
    run -0 remotesync -v alice.db "$here"
    [[ $output == *"1 files sent"* ]]
    dxcron site || [ $? -eq 1 ]
    remotesync alice.db "$here" || [ $? -eq 1 ]
    right alice.db
    [ "$(sql alice.db "SELECT city, revenue FROM account WHERE row_id = '$account'")" = "Oslo|9.5" ]
    sql site/hq.db "UPDATE position SET login = 'bob' WHERE login = 'alice'"
    run -0 remotesync --now alice.db "$here"
    right alice.db
    as bob
    run -0 remotesync bob.db "$here"
    right bob.db
    no_litter .
}

@test "a copy is proven over ssh, and a row that differs is named" {
    as alice
    initsync alice.db "$here" --node alice
    run -0 remotesync --prove -v alice.db "$here"
    [[ $output == *"alice: proven at archive 1"* ]]
    sql site/hq.db "UPDATE product SET price = price + 1"
    run -7 remotesync --prove alice.db "$here"
    run -0 remotesync --prove --now alice.db "$here"
    sql alice.db ".dbconfig enable_trigger off" "DELETE FROM product WHERE row_id = 'R-0002'" "UPDATE product SET price = 0 WHERE row_id = 'R-0003'"
    run -1 --separate-stderr remotesync --prove alice.db "$here"
    [ "${lines[0]}" = "product 'R-0002': missing here" ]
    [ "${lines[1]}" = "product 'R-0003': differs" ]
    [ "${lines[2]}" = "product: 98 rows alike, 1 differ, 0 only here, 1 missing here" ]
}

@test "a key speaks for its node alone, and runs nothing else" {
    as alice
    initsync alice.db "$here" --node alice
    as bob
    run -3 remotesync alice.db "$here"
    [[ $output == *"this key belongs to node 'bob', the database to node 'alice'"* ]]
    run -3 initsync other.db "$here" --node alice
    [ ! -e other.db ]
    # The client's own idea of site and command is not heard.
    run -0 initsync bob.db "127.0.0.1:/nowhere" --node bob
    right bob.db
    read -ra ssh <<<"$DX_SSH"
    run -4 "${ssh[@]}" 127.0.0.1 touch "$PWD/made"
    [ ! -e made ]
    txnroute node end site/hq.db bob
    run -3 remotesync bob.db "$here"
    [[ $output == *bob*ended* ]]
}

@test "an account without a forced command works, too, with a site name that needs quoting" {
    as plain
    ln -s site "si te's"
    run -0 initsync alice.db "127.0.0.1:$PWD/si te's" --node alice
    right alice.db
    run -0 remotesync --now alice.db "127.0.0.1:$PWD/si te's"
}

@test "no server, a wrong key, a chatty login shell: said clearly, and nothing is lost" {
    as alice
    initsync alice.db "$here" --node alice
    sql alice.db "UPDATE account SET city = 'Turku'"
    run -4 remotesync alice.db "nobody@127.0.0.1:x"
    run -4 env DX_SSH="ssh -F none -p 1 -o BatchMode=yes" remotesync alice.db "$here"
    [[ $output == *"run it again"* ]]
    run -4 env DX_SSH="echo Welcome to" remotesync alice.db "$here"
    [[ $output == *"the server answers"*"login shell"* ]]
    run -4 env DX_SSH="no-such-command" remotesync alice.db "$here"
    run -0 remotesync --now alice.db "$here"
    right alice.db
}

@test "a connection that is cut in the middle of a transfer is gone on with at its byte" {
    as alice
    sql site/hq.db "UPDATE product SET name = hex(randomblob(100000))"
    # A connection that ends after so many bytes of what the server sends.
    printf '%s\n' '#!/bin/bash' "exec 3<&0; exec stdbuf -o0 head -c 300000 < <(exec $DX_SSH \"\$@\" <&3)" >cut
    chmod +x cut
    run -4 env DX_SSH="$PWD/cut" initsync alice.db "$here" --node alice
    [ ! -e alice.db ]
    part=$(echo alice.db-dx/inbox/.0.*.part)
    [ "$(stat -c %s "$part")" -gt 200000 ]
    run -0 initsync -v alice.db "$here" --node alice
    whole=$(stat -c %s site/docking/alice/snapshot.dx)
    [[ $output =~ 1\ received\ \(([0-9]+)\ bytes\) ]]
    [ "${BASH_REMATCH[1]}" -lt "$whole" ]
    right alice.db
}
