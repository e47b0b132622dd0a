# Options, names and columns that a command does not know what to do with.
load ../helper

@test "a value whose column is not here is left out, said, and the exit code is 1" {
    sql t.db "CREATE TABLE c (id INTEGER PRIMARY KEY, name)"
    printf '%s\n' '{"table":"c","op":"insert","key":{"id":1},"new":{"id":1,"name":"a","tel":"7"}}' \
        '{"table":"c","op":"insert","key":{"id":2},"new":{"id":2,"name":"b","tel":null}}' | dxpack make >t.dx
    run -1 dxapply t.db --log <t.dx
    [[ $output == *"t.db: table c has no column tel: that is true of 1 changes, whose other columns were applied"* ]]
    [ "$(sql t.db "SELECT * FROM c")" = $'1|a\n2|b' ]
}

@test "short options may stand in one word; -- ends them; names may begin with a dash" {
    sql ./-t.db "CREATE TABLE c (id INTEGER PRIMARY KEY, name)"
    printf '%s\n' '{"table":"c","op":"insert","key":{"id":1},"new":{"id":1,"name":"a"}}' | dxpack make >t.dx
    run -0 dxapply -nv --log -- -t.db <t.dx
    [[ $output == *"would insert 1"* ]]
    [ "$(sql ./-t.db "SELECT count(*) FROM c")" = 0 ]
    run -0 dxapply --log -v -- -t.db <t.dx
    [[ $output == *"1 inserted"* ]]
    run -2 dxapply -nx --log -- -t.db <t.dx
    [[ $output == *"unknown option '-nx'"* ]]
    run -0 txnlog attach -- -t.db
    run -0 txnlog status -- -t.db
    run -0 dxpack verify -- t.dx
    run -0 syncdiff keys -- -t.db
}

@test "the scripts take names that begin with a dash" {
    mkdir p ./-site
    sql ./-site/hq.db "CREATE TABLE c (id INTEGER PRIMARY KEY, name)"
    printf '[package]\nname = p\nversion = 1\n[object c]\nvisible = all\n' >p/package.conf
    txnlog attach -- -site/hq.db
    txnroute load -- -site/hq.db p
    txnroute node add --package p --user a -- -site/hq.db a
    run -0 initsync --node a -- -a.db -site
    sql ./-a.db "INSERT INTO c VALUES (1, 'x')"
    run -0 remotesync --now -- -a.db -site
    [ "$(sql ./-site/hq.db "SELECT name FROM c")" = x ]
}

@test "a section with nothing under it is refused, with its line" {
    mkdir p
    sql hq.db "CREATE TABLE c (id INTEGER PRIMARY KEY); CREATE TABLE e (id INTEGER PRIMARY KEY)"
    txnlog attach hq.db
    printf '[package]\nname = p\nversion = 1\n[object c]\nvisible = all\n[object e]\n' >p/package.conf
    run -3 txnroute load hq.db p
    [[ $output == *"package.conf:6: [object e] has nothing under it"* ]]
}

@test "run without a directory goes on with the one it knows, and asks for one before" {
    mkdir p
    sql hq.db "CREATE TABLE c (id INTEGER PRIMARY KEY)"
    txnlog attach hq.db
    printf '[package]\nname = p\nversion = 1\n[object c]\nvisible = all\n' >p/package.conf
    txnroute load hq.db p
    txnroute node add hq.db a --package p
    run -2 txnroute run hq.db </dev/null
    [[ $output == *"where to?"* ]]
    mkdir docking
    run -0 txnroute run hq.db docking </dev/null
    sql hq.db "INSERT INTO c VALUES (1)"
    run -0 txnroute run hq.db </dev/null
    [ -n "$(ls docking/a/outbox)" ]
}
