#!/usr/bin/env bats
# What belongs to a package beside package.conf: local.sql, which is run on copies, and files for the client's application.

load ../helper
load ../site

# publish: pkg/ as it is now becomes the package of site/.
publish() {
    txnroute load site/hq.db pkg
}

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    mkdir -p site pkg/files/bin
    sql site/hq.db 'CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT)' \
        'CREATE TABLE tag(id INTEGER PRIMARY KEY, name TEXT)' \
        "INSERT INTO note VALUES (1, 'a quick red fox'), (2, 'a blue bird')"
    txnlog attach site/hq.db
    printf '[package]\nname = p\nversion = 1\n[object note]\nvisible = all\n[object tag]\nvisible = all\n' >pkg/package.conf
    cat >pkg/local.sql <<'SQL'
CREATE VIEW long_note AS SELECT * FROM note WHERE length(body) > 11;
CREATE VIRTUAL TABLE IF NOT EXISTS note_fts USING fts5(body, content='note', content_rowid='id');
CREATE TRIGGER note_fts_i AFTER INSERT ON note BEGIN INSERT INTO note_fts(rowid, body) VALUES (new.id, new.body); END;
CREATE TRIGGER note_fts_d AFTER DELETE ON note BEGIN INSERT INTO note_fts(note_fts, rowid, body) VALUES ('delete', old.id, old.body); END;
CREATE TRIGGER note_fts_u AFTER UPDATE ON note BEGIN
    INSERT INTO note_fts(note_fts, rowid, body) VALUES ('delete', old.id, old.body);
    INSERT INTO note_fts(rowid, body) VALUES (new.id, new.body); END;
INSERT INTO note_fts(note_fts) VALUES ('rebuild');
SQL
    echo 'form one' >pkg/files/form.xml
    echo run >pkg/files/bin/start
    publish
    txnroute node add site/hq.db alice --package p --user alice
    initsync alice.db site --node alice
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    cp -r "$BATS_FILE_TMPDIR"/. .
}

found() {
    sql alice.db "SELECT group_concat(rowid) FROM note_fts('$1')"
}

@test "a first copy has what local.sql makes, filled, and the files" {
    [ "$(sql alice.db 'SELECT count(*) FROM long_note')" = 1 ]
    [ "$(found fox)" = 1 ]
    [ "$(cat alice.db-dx/app/current/files/form.xml)" = 'form one' ]
    [ "$(cat alice.db-dx/app/current/files/bin/start)" = run ]
    [ ! -e alice.db-dx/package ]
    right alice.db
}

@test "a download keeps the full-text index right, and a session without news fetches nothing" {
    sql site/hq.db "INSERT INTO note VALUES (3, 'green fox'); UPDATE note SET body = 'none' WHERE id = 1"
    dxcron site
    run -0 remotesync alice.db site
    [ "$(found fox)" = 3 ]
    sql alice.db "INSERT INTO note_fts(note_fts, rank) VALUES ('integrity-check', 1)"
    run -0 remotesync alice.db site
    [[ $(tail -n 1 alice.db-dx/session.log) == *"fetched=0/0 "* ]]
}

@test "what is changed on the copy goes up once, and no trigger's work in the index with it" {
    sql alice.db "UPDATE note SET body = 'yellow' WHERE id = 2"
    run -0 remotesync --now alice.db site
    [ "$(sql site/hq.db 'SELECT body FROM note WHERE id = 2')" = yellow ]
    [ "$(found yellow)" = 2 ]
    right alice.db
}

@test "files may have long names and names in any script, and keep the right to be executed" {
    long=$(printf 'n%.0s' {1..150})
    mkdir "pkg/files/Müller & Söhne"
    echo one >"pkg/files/Müller & Söhne/Größe 尺.txt"
    echo two >"pkg/files/$long"
    chmod 4755 "pkg/files/$long"
    publish
    run -0 remotesync alice.db site
    [ "$(cat "alice.db-dx/app/current/files/Müller & Söhne/Größe 尺.txt")" = one ]
    [ "$(cat "alice.db-dx/app/current/files/$long")" = two ]
    [ "$(stat -c %a "alice.db-dx/app/current/files/$long")" = 700 ]
    [ "$(stat -c %a alice.db-dx/app/current/files/form.xml)" = 600 ]
}

@test "a new version takes away what the old one made, runs once, and its files replace the old ones" {
    printf 'CREATE VIEW short_note AS SELECT * FROM note;\nCREATE TABLE IF NOT EXISTS runs(n);\nINSERT INTO runs VALUES (1);\n' >pkg/local.sql
    rm pkg/files/form.xml
    publish
    run -0 remotesync -v alice.db site
    [[ $output == *"the files of its package are taken"* ]]
    run -0 remotesync alice.db site
    [ "$(sql alice.db "SELECT count(*) FROM sqlite_schema WHERE name IN ('long_note', 'note_fts_i', 'note_fts_u')")" = 0 ]
    [ "$(sql alice.db 'SELECT count(*) FROM short_note')" = 2 ]
    [ "$(sql alice.db 'SELECT count(*) FROM runs')" = 1 ]
    [ ! -e alice.db-dx/app/current/files/form.xml ]
    [ "$(cat alice.db-dx/app/current/files/bin/start)" = run ]
    [ "$(find alice.db-dx/app -mindepth 1 -maxdepth 1 -type d | wc -l)" = 1 ]
}

@test "a package whose files were all removed leaves the copy without them" {
    rm -r pkg/local.sql pkg/files
    publish
    run -0 remotesync alice.db site
    [ "$(sql alice.db "SELECT count(*) FROM sqlite_schema WHERE name IN ('long_note', 'note_fts_i')")" = 0 ]
    [ ! -e alice.db-dx/app/current/files ]
    run -0 remotesync alice.db site
    [[ $(tail -n 1 alice.db-dx/session.log) == *"fetched=0/0 "* ]]
}

@test "a copy that is made again fetches the files only when it has others" {
    run -0 initsync alice.db site --node alice
    [[ $(tail -n 2 alice.db-dx/session.log) == *"fetched=1/"* ]]
    [ "$(found fox)" = 1 ]
    echo 'form two' >pkg/files/form.xml
    publish
    run -0 initsync alice.db site --node alice
    [[ $(tail -n 2 alice.db-dx/session.log) == *"fetched=2/"* ]]
    [ "$(cat alice.db-dx/app/current/files/form.xml)" = 'form two' ]
}

@test "local.sql may not do this: the load is refused with its line" {
    local case
    local -a bad=(
        "ATTACH 'x.db' AS x" 'COMMIT' 'SAVEPOINT s' 'PRAGMA writable_schema = 1' 'CREATE TEMP TABLE t(a)' 'DETACH main'
        'CREATE TABLE dx_more(a)' 'INSERT INTO dx_meta VALUES (1, 2)' 'DELETE FROM sqlite_sequence' 'DROP TABLE note'
        'ALTER TABLE note ADD COLUMN x' "INSERT INTO note VALUES (9, 'x')" 'DELETE FROM tag' 'CREATE UNIQUE INDEX u ON note(body)'
        "SELECT load_extension('x')" 'CREATE VIRTUAL TABLE v USING dbstat' 'CREATE TRIGGER dx_t AFTER INSERT ON note BEGIN SELECT 1; END'
        'CREATE TABLE c(a); CREATE TRIGGER t AFTER INSERT ON c BEGIN DELETE FROM note; END; INSERT INTO c VALUES (1)'
        'nonsense' 'VACUUM')
    for case in "${bad[@]}"; do
        printf -- '-- a comment\nCREATE VIEW v0 AS SELECT 1;\n%s;\n' "$case" >pkg/local.sql
        run -3 txnroute load site/hq.db pkg
        [[ $output == *"pkg: local.sql:3: "* || $output == *"pkg: local.sql: the unique index"* ]] || { echo "$case: $output"; return 1; }
    done
}

@test "a trigger that writes what travels, and is the server's as well, is for triggers = copy" {
    sql site/hq.db "CREATE TRIGGER mark AFTER UPDATE ON note BEGIN INSERT INTO tag(name) VALUES (new.body); END"
    txnlog attach site/hq.db
    echo 'CREATE TRIGGER mark AFTER UPDATE ON note BEGIN INSERT INTO tag(name) VALUES (new.body); END;' >pkg/local.sql
    run -3 txnroute load site/hq.db pkg
    [[ $output == *"trigger mark of table note"*"triggers = copy"* ]]
    printf '[package]\nname = p\nversion = 2\n[object note]\nvisible = all\ntriggers = copy\n[object tag]\nvisible = all\n' >pkg/package.conf
    publish
    remotesync alice.db site
    sql alice.db "UPDATE note SET body = 'once' WHERE id = 1"
    run -0 remotesync --now alice.db site
    [ "$(sql site/hq.db "SELECT count(*) FROM tag WHERE name = 'once'")" = 1 ]
    right alice.db
}

@test "what fails on the copy alone leaves it as it was, with its rows current; the next version mends it" {
    sql alice.db 'CREATE TABLE mine(a)'
    echo 'CREATE TABLE mine(b);' >pkg/local.sql
    publish
    sql site/hq.db "INSERT INTO note VALUES (7, 'seven')"
    dxcron site
    run -1 remotesync alice.db site
    [[ $output == *"local.sql:1: table mine already exists"* ]]
    [ "$(found fox)" = 1 ]
    right alice.db
    echo 'CREATE VIEW mended AS SELECT 1 AS a;' >pkg/local.sql
    publish
    run -0 remotesync alice.db site
    [ "$(sql alice.db 'SELECT a FROM mended')" = 1 ]
}

@test "files whose names lead elsewhere, links and damaged files are refused" {
    ln -s /etc/passwd pkg/files/link
    run -3 txnroute load site/hq.db pkg
    [[ $output == *"regular files only"* ]]
    rm pkg/files/link
    mkdir evil && (cd evil && echo x >x)
    tar -cPf evil.tar --transform 's,^evil/x,../../x,' evil/x
    zstd -q evil.tar
    sum=$(sha256sum <evil.tar.zst)
    { echo "dx-package 1 p ${sum%% *} 0"; cat evil.tar.zst; } >evil.pkg
    run -3 dxapply package alice.db evil.pkg
    [[ $output == *"leads elsewhere"* || $output == *"evil.pkg"* ]]
    [ ! -e alice.db-dx/x ] && [ ! -e x ]
    sed 's/^dx-package 1 p ./dx-package 1 p f/' evil.pkg >bad.pkg
    run -3 dxapply package alice.db bad.pkg
    [ "$(found fox)" = 1 ]
}

@test "taking the files may be killed at any of its steps; the next one completes it" {
    printf 'CREATE TABLE IF NOT EXISTS runs(n);\nINSERT INTO runs VALUES (1);\n' >pkg/local.sql
    publish
    remotesync --fetch alice.db site
    [ -s alice.db-dx/package ]
    local n
    for n in 1 2 3 4 5 6; do
        run env DX_STOP_AT=$n dxapply package alice.db alice.db-dx/package
    done
    run -0 remotesync alice.db site
    [ "$(sql alice.db 'SELECT count(*) FROM runs')" = 1 ]
    [ -e alice.db-dx/app/current/local.sql ]
    [ ! -e alice.db-dx/package ]
}

@test "with signers beside the copy the files must be signed by the server" {
    ssh-keygen -q -t ed25519 -N '' -f server.key
    ssh-keygen -q -t ed25519 -N '' -f other.key
    echo "@server $(cat server.key.pub)" >alice.db-dx/signers
    echo 'form three' >pkg/files/form.xml
    publish
    run -1 remotesync alice.db site
    [ "$(cat alice.db-dx/app/current/files/form.xml)" = 'form one' ]
    printf '[site]\nkey = %s/other.key\n' "$PWD" >site/site.conf
    run -1 remotesync alice.db site
    [ "$(cat alice.db-dx/app/current/files/form.xml)" = 'form one' ]
    printf '[site]\nkey = %s/server.key\n' "$PWD" >site/site.conf
    run -0 remotesync alice.db site
    [ "$(cat alice.db-dx/app/current/files/form.xml)" = 'form three' ]
}

@test "the files come by stick, too" {
    mkdir stick
    echo 'form four' >pkg/files/form.xml
    publish
    remotesync alice.db stick
    dxserve --site "$PWD/site" --stick stick
    run -0 remotesync alice.db stick
    [ "$(cat alice.db-dx/app/current/files/form.xml)" = 'form four' ]
    run -0 remotesync alice.db stick
    txnroute node add site/hq.db bob --package p --user bob
    run -7 initsync bob.db stick --node bob
    dxserve --site "$PWD/site" --stick stick
    run -0 initsync bob.db stick --node bob
    [ "$(cat bob.db-dx/app/current/files/form.xml)" = 'form four' ]
    right bob.db
}
