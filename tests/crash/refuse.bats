#!/usr/bin/env bats
# Refusals: whatever is wrong with an archive or a database, every command that reads it says so with exit 3, and
# nothing has changed.

load ../helper

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
    sql a.db "PRAGMA journal_mode = WAL" "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)"
    txnlog attach a.db
    mkdir package
    printf '[package]\nname = p\nversion = 1\n[object t]\nvisible = all\n' >package/package.conf
    txnroute load a.db package
    txnroute node add a.db alice --package p
    sql a.db "INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, 'three')"
    txnlog read a.db >good.dx
    sql a.db "UPDATE t SET name = 'drei' WHERE id = 3"
    dump=$(sqlite3 a.db .dump)
}

unchanged() {
    [ "$(sqlite3 a.db .dump)" = "$dump" ]
}

# Commands that read an archive from stdin, one a line.
readers() {
    cat <<'COMMANDS'
dxpack verify
dxpack list
dxpack cat
dxpack join -
dxpack invert
dxpack extract -C out
txnlog ack a.db
dxapply --log a.db
dxapply --log -n a.db
txnroute run a.db docking
txnroute run a.db --node alice
syncdiff rows a.db
syncdiff screen a.db
syncdiff compare /dev/stdin a.db
COMMANDS
}

# all_refuse FILE [TEXT]: every reader exits with 3 and changes nothing; dxpack verify says TEXT.
all_refuse() {
    local command
    run -3 dxpack verify "$1"
    [[ $output == "dxpack: $1: "*"${2:-}"* ]] || { echo "said: $output"; return 1; }
    readers >commands
    while read -r command; do
        # shellcheck disable=SC2086 # words of a command
        run -3 $command <"$1"
        [ ! -e out/dx.json ] && [ ! -e out/changes ] || { echo "$command extracted something"; return 1; }
        unchanged || { echo "$command changed the database"; return 1; }
    done <commands
    [ -z "$(find docking -type f -name '*.dx*' 2>/dev/null)" ] || { echo "something was routed"; return 1; }
}

# refuses FILE [TEXT]: the same with two readers, for long lists of faults.
refuses() {
    run -3 dxpack verify "$1"
    [[ $output == "dxpack: $1: "*"${2:-}"* ]] || { echo "said: $output"; return 1; }
    run -3 txnlog ack a.db <"$1"
    run -3 dxapply --log a.db <"$1"
}

# The good archive's members, in d.
unpacked() {
    rm -rf d
    dxpack extract -C d good.dx
}

# finish INSERTS MEMBER...: makes d/end.json right for these members.
finish() {
    local n=$1
    shift
    printf '{"changes":%d,"bytes":%d,"tables":{"t":{"insert":%d,"update":0,"delete":0}},"sha256":"%s"}\n' \
        "$n" "$(cd d && cat "$@" | wc -c)" "$n" "$(cd d && sha256sum "$@" | sha256sum | cut -d' ' -f1)" >d/end.json
}

# pack MEMBER...: these files of d as a sealed archive on stdout.
pack() {
    tar --format=ustar --hard-dereference --owner=0 --group=0 --mtime=@0 -C d -cf - "$@" | seal
}

# edit MEMBER SED: changes d/MEMBER and makes d/end.json right again.
edit() {
    LC_ALL=C sed -i "$2" "d/$1"
    finish 3 dx.json changes/000001
}

@test "the tools of these tests make archives that are accepted" {
    unpacked
    cp d/end.json right
    finish 3 dx.json changes/000001
    cmp right d/end.json
    pack dx.json changes/000001 end.json >same.dx
    dxpack verify same.dx
    dxpack cat same.dx | cmp - <(dxpack cat good.dx)
    txnlog ack a.db <same.dx
    sql b.db "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)"
    txnlog attach b.db
    dxapply --log b.db <same.dx
    [ "$(sqlite3 b.db "SELECT group_concat(name) FROM t")" = one,two,three ]
}

@test "an archive cut at every 1/64 of its length" {
    readers >commands
    while read -r command; do
        # shellcheck disable=SC2086 # words of a command
        mangle cut good.dx "$(sized 64 16)" 3 $command
    done <commands
    unchanged
}

@test "an archive with single bytes flipped" {
    mangle flip good.dx "$(sized 1000 100)" 3 dxpack verify
    readers >commands
    while read -r command; do
        # shellcheck disable=SC2086 # words of a command
        mangle flip good.dx "$(sized 24 8)" 3 $command
    done <commands
    unchanged
}

@test "keys and rows that are damaged, in every command that reads them" {
    sql a.db "UPDATE t SET name = 'x' || id"
    sqlite3 a.db ".backup b.db"
    syncdiff keys a.db >base.dx
    sql a.db "UPDATE t SET name = name || '!'" "DELETE FROM t WHERE id = 2" "INSERT INTO t VALUES (9, 'new')"
    syncdiff keys a.db >keys.dx
    run -1 syncdiff compare --base base.dx --to-theirs plan.dx a.db b.db
    syncdiff rows a.db <plan.dx >rows.dx
    before=$(sqlite3 b.db .dump)
    mangle cut keys.dx 64 3 syncdiff compare --base base.dx /dev/stdin b.db
    mangle flip keys.dx "$(sized 100 20)" 3 syncdiff compare --base base.dx --to-theirs x.dx /dev/stdin b.db
    mangle flip base.dx "$(sized 100 20)" 3 syncdiff compare --base /dev/stdin --to-theirs x.dx a.db b.db
    mangle flip plan.dx "$(sized 100 20)" 3 syncdiff rows a.db
    mangle cut rows.dx 64 3 dxapply b.db
    mangle flip rows.dx "$(sized 100 20)" 3 dxapply b.db
    [ ! -e x.dx ] && [ "$(sqlite3 b.db .dump)" = "$before" ]
    dxapply b.db <rows.dx
    same_table a.db b.db t
}

@test "what is no archive at all" {
    : >empty
    all_refuse empty "empty; nothing was sent"
    echo "Dear Sir or Madam" >letter
    all_refuse letter "not a dx archive: not compressed with zstd"
    printf 'x' >short
    all_refuse short "not a dx archive"
    echo "Dear Sir or Madam" | zstd -qc >letter.zst
    all_refuse letter.zst "does not begin as every archive does"
    unpacked
    tar -C d -cf tape dx.json changes/000001 end.json
    all_refuse tape "not compressed with zstd"
    tar -C d -cf - end.json | seal >other.dx
    all_refuse other.dx "does not begin as every archive does"
    tar -C d -cf - dx.json changes/000001 end.json | zstd -qc >zst.dx
    all_refuse zst.dx "does not begin as every archive does"
    refuses a.db "not a dx archive"
    mkdir directory
    run -3 dxpack verify directory
    [[ $output == *"directory: a directory"* ]]
    run -3 dxpack verify <directory
    run -4 dxpack verify absent
    [[ $output == *"absent: cannot open: No such file or directory"* ]]
}

@test "an archive without seal, or with something behind it" {
    unpacked
    tar --format=ustar -C d -cf - dx.json changes/000001 end.json | seal --plain >plain.dx
    refuses plain.dx "cut off"
    { cat good.dx; echo garbage; } >garbage.dx
    refuses garbage.dx "something that is no archive follows"
    { cat good.dx; printf '\0'; } >nul.dx
    refuses nul.dx "something that is no archive follows"
    { cat good.dx; tail -c 40 good.dx; } >sealed.dx
    refuses sealed.dx "something that is no archive follows"
    { cat good.dx; head -c 100 good.dx; } >half.dx
    refuses half.dx "cut off"
    unchanged
}

@test "members missing, twice, in another order, or behind the end" {
    unpacked
    pack dx.json end.json >x.dx
    all_refuse x.dx "end.json: does not agree with what came before"
    pack dx.json changes/000001 >x.dx
    all_refuse x.dx "no end.json: cut off"
    pack changes/000001 dx.json end.json >x.dx
    all_refuse x.dx "does not begin as every archive does"
    pack dx.json dx.json changes/000001 end.json >x.dx
    all_refuse x.dx "member 'dx.json' where changes/000001 or end.json should be"
    pack dx.json changes/000001 changes/000001 end.json >x.dx
    all_refuse x.dx "member 'changes/000001' where changes/000002"
    pack dx.json changes/000001 end.json end.json >x.dx
    all_refuse x.dx "a member behind the end"
    cp d/changes/000001 d/changes/000002
    finish 3 dx.json changes/000002
    pack dx.json changes/000002 end.json >x.dx
    all_refuse x.dx "member 'changes/000002' where changes/000001"
    finish 3 dx.json changes/000001
    head -c 1000 /dev/zero >d/zeros
    { tar --format=ustar -C d -cf - dx.json changes/000001 end.json; head -c 300000 /dev/zero; } | seal >x.dx
    all_refuse x.dx "goes on behind its last member"
}

@test "counts and digests that do not agree" {
    unpacked
    finish 4 dx.json changes/000001
    pack dx.json changes/000001 end.json >x.dx
    refuses x.dx "does not agree"
    for edit in 's/"bytes":[0-9]*/"bytes":1/' 's/"changes":3/"changes":2/' 's/"sha256":"./"sha256":"x/' \
        's/"update":0/"update":1/' 's/"insert":3/"insert":-3/' 's/"insert":3/"insert":"3"/' 's/"t":/"u":/' \
        's/}$//' 's/"tables"/"table"/' 's/^.*$/[]/' 's/"sha256":".*"/"sha256":""/'; do
        finish 3 dx.json changes/000001
        sed -i "$edit" d/end.json
        pack dx.json changes/000001 end.json >x.dx
        refuses x.dx "end.json"
    done
    unchanged
}

# The same with extract, which is to leave nothing anywhere.
refuses_extract() {
    refuses "$1"
    run -3 dxpack extract -C out "$1"
    [ -z "$(ls -A out)" ]
}

@test "names that would leave the directory, or mean something else" {
    unpacked
    for name in ../escaped "$PWD/escaped" changes/../../x changes/000001/x ./dx.json changes//000001 changes/1 changes/000001@ \
        'changes/000001@a b' changes/000001@../x "changes/000001@$(printf 'n%.0s' {1..65})" CHANGES/000001; do
        finish 3 dx.json changes/000001
        tar --format=ustar -P -C d --transform "s,^changes/000001\$,$name," -cf - dx.json changes/000001 end.json |
            seal >x.dx
        refuses_extract x.dx
    done
    tar --format=pax --pax-option='path:=changes/000001?x' -C d -cf - changes/000001 | LC_ALL=C tr '?' '\0' >part
    { tar --format=ustar -C d -cf - dx.json | head -c 1024; cat part; } | seal >x.dx
    refuses_extract x.dx
    [ -z "$(find .. -name escaped)" ]
}

@test "members that are no files: links, directories, devices" {
    unpacked
    mv d/changes/000001 d/row
    ln -s ../row d/changes/000001
    pack dx.json changes/000001 end.json >x.dx
    refuses x.dx "not a plain file"
    rm d/changes/000001
    ln d/row d/changes/000001
    tar --format=ustar -C d -cf - dx.json row changes/000001 end.json | seal >x.dx
    refuses x.dx
    rm d/changes/000001
    mkdir d/changes/000001
    tar --format=ustar --no-recursion -C d -cf - dx.json changes/000001 end.json | seal >x.dx
    refuses x.dx "not a plain file"
    rmdir d/changes/000001
    mkfifo d/changes/000001
    tar --format=ustar -C d -cf - dx.json changes/000001 end.json | seal >x.dx
    refuses x.dx "not a plain file"
    rm d/changes/000001
    truncate -s 1000000 d/changes/000001
    printf x >>d/changes/000001
    tar --format=gnu --sparse -C d -cf - dx.json changes/000001 end.json | seal >x.dx
    refuses x.dx
    unchanged
}

@test "a head of another version, kind or shape" {
    local edit
    unpacked
    cp d/dx.json head
    edit dx.json 's/"dx":1/"dx":2/'
    pack dx.json changes/000001 end.json >x.dx
    refuses x.dx "dx.json: format 2, this program reads 1; a newer dx is needed"
    for edit in 's/"dx":1/"dx":"1"/' 's/"dx":1,//' 's/"kind":"changes"/"kind":"recipes"/' 's/"changeset"/"csv"/' \
        's/"encoding":"changeset",//' 's/"upto":[0-9]*/"upto":-1/' 's/"upto":[0-9]*/"upto":0.5/' \
        's/"epoch":"[^"]*"/"epoch":7/' 's/"tables":/"tabulae":/' 's/"name":"t"/"name":""/' \
        's/"key":\["id"\]/"key":[]/' 's/"key":\["id"\]/"key":["nix"]/' 's/"key":\["id"\]/"key":["id","id"]/' \
        's/\["id","name"\]/[]/' 's/\["id","name"\]/["id","id"]/' 's/\["id","name"\]/["id","ID"]/' \
        's/\["id","name"\]/["id",1]/' 's/\["id","name"\]/"id"/' 's/}$//' 's/^.*$/[]/' 's/^.*$/nonsense/' \
        's/"tables":\[\(.*\)\]}$/"tables":[\1,\1]}/' 's/}$/,"schema":1}/' 's/}$/,"schema":[1]}/' 's/"dx":1/"dx":1,"dx":1/'; do
        cp head d/dx.json
        edit dx.json "$edit"
        cmp -s head d/dx.json && { echo "no effect: $edit"; false; }
        pack dx.json changes/000001 end.json >x.dx
        refuses x.dx "dx.json"
    done
    { cat head; head -c 5000000 /dev/zero | tr '\0' ' '; } >d/dx.json
    finish 3 dx.json changes/000001
    pack dx.json changes/000001 end.json >x.dx
    refuses x.dx "dx.json: too large"
    unchanged
}

@test "changes that are no sound changeset" {
    local bytes
    unpacked
    # header: form, columns, key marks, name; then rows of op, indirect, values
    while read -r bytes; do
        # shellcheck disable=SC2059 # the bytes are a format on purpose
        printf "$bytes" >d/changes/000001
        finish 3 dx.json changes/000001
        pack dx.json changes/000001 end.json >x.dx
        refuses x.dx "changes/000001: "
    done <<'BYTES'
\x12\x00
X\x02\x01\x00t\x00
T\x00\x00t\x00
T\x01\x01t\x00
T\x03\x01\x00\x00t\x00
T\x02\x00\x01t\x00
T\x02\x01\x02t\x00
T\x02\x01\x00u\x00
P\x02\x01\x00t\x00
T\x02\x01\x00t
T\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00t\x00
T\x02\x01\x00t\x00\x11\x00
T\x02\x01\x00t\x00\x12\x02\x05\x05
T\x02\x01\x00t\x00\x12\x00\x00\x05
T\x02\x01\x00t\x00\x12\x00\x06\x05
T\x02\x01\x00t\x00\x12\x00\x01\x00\x00
T\x02\x01\x00t\x00\x12\x00\x05\x03\x05abc
T\x02\x01\x00t\x00\x12\x00\x05\x03\xff\xff\xff\xff\xff\xff\xff\xff\xffabc
T\x02\x01\x00t\x00\x12\x00\x05\x03\x83\xff\xff\xff\x7fabc
T\x02\x01\x00t\x00\x12\x00\x05\x03\x80\x01x
T\x02\x01\x00t\x00\x12\x00\x05\x03\x80\x80\x80\x80\x80\x80\x80\x80\x01x
T\x80\x02\x01\x00t\x00\x12\x00\x05\x05
T\x02\x01\x00t\x00
T\x02\x01\x00t\x00T\x02\x01\x00t\x00\x12\x00\x05\x05
T\x02\x01\x00t\x00\x17\x00\x05\x05\x05\x05
T\x02\x01\x00t\x00\x17\x00\x05\x05\x00\x00
T\x02\x01\x00t\x00\x17\x00\x00\x05\x00\x05
T\x02\x01\x00t\x00\x09\x00\x00\x05
BYTES
    : >d/changes/000001
    finish 3 dx.json changes/000001
    pack dx.json changes/000001 end.json >x.dx
    refuses x.dx "changes/000001: empty"
    unchanged
}

# bounded COMMAND...: with at most 256 MiB of memory (not under sanitizers, which want more) and within a minute.
bounded() {
    if [ -n "${DX_SANITIZED:-}" ]; then timeout 120 "$@"; else (ulimit -v 262144 && exec timeout 60 "$@"); fi
}

@test "bombs: gigabytes of zeros and wide windows, in bounded memory" {
    local size
    unpacked
    size=$(sized 1000000000 30000000)
    { tar --format=ustar -C d -cf - dx.json | head -c 1024; truncate -s "$size" zeros
        tar --format=ustar --transform 's,zeros,changes/000001,' -cf - zeros; } | seal >x.dx
    run -3 bounded dxpack verify x.dx
    { tar --format=ustar -C d -cf - dx.json changes/000001 end.json; head -c "$size" /dev/zero; } | seal >x.dx
    run -3 bounded dxpack verify x.dx
    [[ $output == *"goes on behind its last member"* ]]
    { truncate -s "$size" zeros; tar --format=ustar --transform 's,zeros,dx.json,' -cf - zeros; } | seal >x.dx
    run -3 bounded dxpack verify x.dx
    [[ $output == *"dx.json: too large"* ]]
    tar --format=ustar -C d -cf - dx.json changes/000001 end.json | seal --window 27 >x.dx
    run -3 bounded dxpack verify x.dx
    [[ $output == *"Frame requires too much memory"* ]]
    # a change whose one text claims a gigabyte, and a member that claims more than any may have
    printf 'T\x02\x01\x00t\x00\x12\x00\x05\x03\x83\xdc\xd6\xca\x00' >d/changes/000001
    head -c 130000000 /dev/zero >>d/changes/000001
    pack dx.json changes/000001 end.json >x.dx
    run -3 bounded dxpack verify x.dx
    head -c 20000000 /dev/zero >>d/changes/000001
    pack dx.json changes/000001 end.json >x.dx
    run -3 bounded dxpack verify x.dx
    [[ $output == *"changes/000001: too large"* ]]
}

@test "a head that no archive could carry is refused when it is made" {
    { printf '{"table":"t","op":"insert","key":{"id":1},"new":{"id":1,"'
        head -c 5000000 /dev/zero | tr '\0' x; printf '":1}}\n'; } >lines
    run -3 dxpack make lines
    [[ $output == *"a head of "*" bytes"* ]]
}

# Every command that is given a database, as "COMMAND" with DB in its place; stdin is a good archive.
database_commands() {
    cat <<'COMMANDS'
txnlog attach DB
txnlog read DB
txnlog ack DB
txnlog trim DB
txnlog status DB
txnlog digest DB
txnlog detach DB
txnlog upload DB out
txnroute load DB package
txnroute node list DB
txnroute run DB docking
txnroute extract DB alice
txnroute node add DB alice --package p
dxapply --log DB
dxapply --log -n DB
syncdiff keys DB
syncdiff rows DB
syncdiff screen DB
syncdiff compare DB a.db
syncdiff compare a.db DB
COMMANDS
}

@test "a database that is not SQLite is refused by every command, and left as it is" {
    yes "Dear Sir or Madam" | head -n 500 >letter
    cp a.db torn
    printf 'not a page of the b-tree' | dd of=torn bs=1 seek=0 conv=notrunc status=none
    for db in letter torn good.dx; do
        cp "$db" before
        database_commands >commands
        while read -r command; do
            # shellcheck disable=SC2086 # words of a command
            run -3 ${command//DB/$db} <good.dx
            [[ $output == *"$db: "* ]] || { echo "$command: $output"; false; }
            cmp "$db" before || { echo "$command"; false; }
        done <commands
    done
    unchanged
}

@test "a database that is not there is not made by who only reads or changes it" {
    database_commands >commands
    while read -r command; do
        # shellcheck disable=SC2086 # words of a command
        run -4 ${command//DB/absent.db} <good.dx
        [[ $output == *"absent.db: "* ]] || { echo "$command: $output"; false; }
        [ ! -e absent.db ] || { echo "$command made it"; false; }
    done <commands
}

@test "an archive of rows whose table is missing, has no key, or has lost a column of the key" {
    for table in "other (id INTEGER PRIMARY KEY)" "t (id INTEGER, name TEXT)" "t (name TEXT PRIMARY KEY)" \
        "t (id INTEGER, name TEXT, PRIMARY KEY (id, name))"; do
        rm -f b.db
        sql b.db "CREATE TABLE $table"
        txnlog attach b.db
        before=$(sqlite3 b.db .dump)
        run -3 dxapply --log b.db <good.dx
        [[ $output == *"b.db: "*"t"* ]]
        [ "$(sqlite3 b.db .dump)" = "$before" ]
    done
}

@test "a table of more columns in its key than an archive can name is refused by every command that reads its layout" {
    columns() { seq -f 'c%g' -s "${2:-, }" 1 "$1"; }
    for n in 255 256; do
        sql k$n.db "CREATE TABLE w ($(columns $n), x, PRIMARY KEY ($(columns $n)))" "INSERT INTO w VALUES ($(seq -s ', ' 1 $n), 'x')"
        printf '{"table":"w","op":"insert","key":{%s},"new":{"x":"y"}}\n' "$(seq -f '"c%g":0' -s , 1 $n)" >lines$n
    done
    printf '[package]\nname = p\nversion = 1\n[object w]\nvisible = all\n' >package.conf
    dxpack make lines255 >make.dx
    dxpack extract -C head make.dx
    sed 's/"c255"/&,"c256"/g' head/dx.json >256.json
    readers() {
        cat <<COMMANDS
txnlog attach k$1.db w
txnlog digest k$1.db
syncdiff keys --conf package.conf k$1.db
dxapply --log k$1.db
dxpack make lines$1
COMMANDS
    }
    leave_out() {
        cat <<COMMANDS
syncdiff keys k$1.db
syncdiff compare k$1.db k$1.db
COMMANDS
    }
    sqlite3 k256.db .dump >before
    while read -r command; do
        # shellcheck disable=SC2086 # words of a command
        run -3 --separate-stderr $command <make.dx
        [ -z "$output" ] && [[ $stderr == *"256 columns, 255 are the most"* ]] || { echo "$command: $output $stderr"; false; }
    done < <(readers 256)
    while read -r command; do
        # shellcheck disable=SC2086 # words of a command
        run -1 --separate-stderr $command
        [[ $stderr == *"w: not compared: "*"256 columns, 255 are the most"* ]] || { echo "$command: $output $stderr"; false; }
    done < <(leave_out 256)
    diff before <(sqlite3 k256.db .dump)
    cp k256.db left.db
    run -1 --separate-stderr txnlog attach left.db # it is left out, and named
    [[ $stderr == *"256 columns, 255 are the most; it is not captured"* ]]
    run -3 dxpack make --head 256.json lines255
    [[ $output == *"256.json: dx.json: a table without sound name, columns and key"* ]]
    while read -r command; do
        # shellcheck disable=SC2086 # words of a command
        $command <make.dx >out || { echo "$command: $?"; false; }
    done < <(readers 255; leave_out 255)
    [ "$(sql k255.db "SELECT count(*) FROM w WHERE c255 = 0")" = 1 ]
}

# limited KIB COMMAND...: no file may grow beyond that; a write past it fails like one to a full disk.
limited() {
    local kib=$1
    shift
    (trap '' XFSZ && ulimit -f "$kib" && exec "$@")
}

@test "a full disk ends with exit 4, and nothing has changed" {
    for db in b.db c.db; do
        sql $db "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)"
        txnlog attach $db
    done
    sql b.db "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
        INSERT INTO t SELECT i, hex(randomblob(20)) FROM n"
    txnlog read b.db >large.dx
    for mode in delete wal; do
        sql c.db "PRAGMA journal_mode = $mode"
        before=$(sqlite3 c.db .dump)
        run -4 limited 200 dxapply --log c.db <large.dx
        [[ $output == *"c.db: "* ]]
        [ "$(sqlite3 c.db .dump)" = "$before" ]
        [ "$(sqlite3 c.db "PRAGMA integrity_check")" = ok ]
    done
    for command in "txnlog read b.db" "dxpack make lines" "dxpack join large.dx" "dxpack invert large.dx" \
        "dxpack cat large.dx" "syncdiff keys b.db"; do
        [ -e lines ] || dxpack cat large.dx >lines
        # shellcheck disable=SC2086 # words of a command
        limited 100 $command >out.dx 2>err && status=0 || status=$?
        [ "$status" = 4 ] || { echo "$command: exit $status, $(cat err)"; false; }
        grep -q "cannot .*: File too large" err || { cat err; false; }
        run -3 dxpack verify out.dx
    done
    run -4 limited 100 dxpack extract -C out large.dx
    [ -z "$(ls -A out)" ]
    dxapply --log c.db <large.dx
    same_table b.db c.db t
}

@test "a database of another version of the toolkit is refused by every command, and stays as it is" {
    table='CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)'
    sqlite3 hq.db "$table"
    txnlog attach hq.db
    printf '[package]\nname = p\nversion = 1\n[object t]\nvisible = all\n' >package.conf
    txnroute load hq.db .
    txnroute node add hq.db ann --package p
    txnroute extract hq.db ann | dxapply ann.db
    sqlite3 hq.db "INSERT INTO t VALUES (1, 'x')"
    txnroute run hq.db docking </dev/null
    sqlite3 hq.db "UPDATE dx_meta SET value = 77 WHERE name = 'format'"
    sqlite3 ann.db "DELETE FROM dx_meta WHERE name = 'format'"
    sqlite3 hq.db .dump >hq.sql
    sqlite3 ann.db .dump >ann.sql
    for try in "txnlog status hq.db" "txnlog attach hq.db" "txnlog detach hq.db" "txnlog read hq.db" "txnroute run hq.db docking" \
        "txnroute load hq.db ." "txnroute status hq.db" "txnroute node list hq.db" "txnroute extract hq.db ann" "txnroute why hq.db ann t 1"; do
        # shellcheck disable=SC2086 # words of a command line
        run -3 --separate-stderr $try </dev/null
        [[ $stderr == *"hq.db: its dx_ tables are of format 77, these programs know format"* ]]
    done
    run -3 --separate-stderr dxapply ann.db <docking/ann/outbox/00000001.dx
    [[ $stderr == *"ann.db: its dx_ tables are of format 0, these programs know format"* ]]
    run -3 txnlog upload ann.db outbox
    diff hq.sql <(sqlite3 hq.db .dump)
    diff ann.sql <(sqlite3 ann.db .dump)
}

# The first size at which the program is loaded, and then a little more each time, until there is enough.
@test "memory that runs out at any point ends with exit 4, and nothing has changed" {
    of_plain_build
    sql a.db "WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 600) INSERT INTO t SELECT i, hex(randomblob(300)) FROM n"
    txnroute extract a.db alice >snapshot.dx
    dxapply alice.db <snapshot.dx
    sql a.db "UPDATE t SET name = hex(randomblob(300))"
    txnroute run a.db --node alice >next.dx </dev/null
    cp a.db server.db
    start=2000
    until (ulimit -v $start && exec dxpack --version) >/dev/null 2>&1; do start=$((start + 200)); done
    all=0
    while read -r command input; do
        died=0
        for ((kb = start; ; kb += 160)); do
            rm -rf s.db* c.db* docking
            mkdir docking
            cp server.db s.db
            cp alice.db c.db
            # shellcheck disable=SC2086 # words of a command
            (ulimit -v $kb && exec ${command//_/ }) <"$input" >out 2>err && status=0 || status=$?
            [ "$status" != 0 ] || break
            [ "$status" = 4 ] || [ "$status" = 127 ] || { echo "$command with $kb: exit $status, $(cat err)"; false; }
            [ -s err ]
            [ "$(sqlite3 s.db .dump)$(sqlite3 c.db .dump)" = "$(sqlite3 server.db .dump)$(sqlite3 alice.db .dump)" ]
            died=$((died + 1))
        done
        all=$((all + died))
    done <<'COMMANDS'
dxapply_c.db next.dx
txnroute_run_s.db_docking /dev/null
txnroute_extract_s.db_alice /dev/null
txnlog_read_s.db /dev/null
txnlog_digest_c.db /dev/null
COMMANDS
    [ "$all" -ge 15 ] || { echo "ran out of memory $all times only"; false; }
}
