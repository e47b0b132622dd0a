#!/usr/bin/env bats
# Signatures of archives, and archives encrypted for the way.

load ../helper

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
    for who in alice mallory server; do ssh-keygen -q -t ed25519 -N '' -C "$who" -f "$who"; done
    {
        echo "alice namespaces=\"dx\" $(cat alice.pub)"
        echo "@server namespaces=\"dx\" $(cat server.pub)"
    } >signers
    upload alice 1 >1.dx
    dxpack sign --key alice 1.dx >signed.dx
}

# upload NODE NUMBER: an archive that says it is that upload of that node.
upload() {
    echo '{"table":"t","op":"insert","key":{"id":1},"new":{"id":1,"v":"x"}}' |
        dxpack make --kind upload --from "$1" --number "$2" --epoch e
}

# refused MESSAGE COMMAND...: exit 3, and the message is on stderr.
refused() {
    local message=$1
    shift
    run -3 "$@"
    echo "$output"
    [[ $output == *"$message"* ]]
}

@test "a signed archive is the same archive with one more member" {
    [ "$(dxpack verify -v 1.dx 2>&1 | grep -o 'sha256.*')" = "$(dxpack verify -v signed.dx 2>&1 | grep -o 'sha256.*')" ]
    diff <(dxpack cat 1.dx) <(dxpack cat signed.dx)
    run -0 tar --zstd -tf signed.dx
    [ "$output" = $'dx.json\nchanges/000001\nend.json\nend.json.sig' ]
    dxpack sign --key alice signed.dx | cmp - signed.dx
}

@test "common tools check the signature" {
    dxpack extract -C d signed.dx
    run -0 ssh-keygen -Y verify -n dx -I alice -f signers -s d/end.json.sig <d/end.json
}

@test "verify takes the sender's signature, and no other" {
    run -0 dxpack verify --signers signers signed.dx
    [ -z "$output" ]
    refused "not signed" dxpack verify --signers signers 1.dx
    dxpack sign --key mallory 1.dx >forged.dx
    refused "not one of alice" dxpack verify --signers signers forged.dx
    refused "not one of bob" dxpack verify --signers signers --by bob signed.dx
    refused "not one of @server" dxpack verify --signers signers --by @server signed.dx
}

@test "a signature for another namespace, or of another archive, is refused" {
    upload alice 2 >2.dx
    dxpack extract -C one signed.dx
    dxpack extract -C two 2.dx
    cp one/end.json.sig two/
    members() { (cd "$1" && tar --format=ustar --sort=name --mtime=@0 --owner=0 --group=0 -cf - dx.json changes/000001 end.json end.json.sig); }
    members two | seal >moved.dx
    refused "not one of alice" dxpack verify --signers signers moved.dx
    rm one/end.json.sig
    ssh-keygen -q -Y sign -n file -f alice one/end.json
    mv one/end.json.sig two/end.json.sig
    cp one/dx.json one/end.json two/
    cp one/changes/000001 two/changes/
    members two | seal >file.dx
    refused "not one of alice" dxpack verify --signers signers file.dx
}

@test "a revoked key signs no more" {
    dxpack verify --signers signers --revoked mallory.pub signed.dx
    refused "not one of alice" dxpack verify --signers signers --revoked alice.pub signed.dx
}

@test "a key changes: both are good until the old one's time is over" {
    ssh-keygen -q -t ed25519 -N '' -f new
    echo "alice namespaces=\"dx\" $(cat new.pub)" >>signers
    dxpack sign --key new 1.dx | dxpack verify --signers signers
    dxpack verify --signers signers signed.dx
    sed -i '1s/namespaces/valid-before="20200101",namespaces/' signers
    refused "not one of alice" dxpack verify --signers signers signed.dx
    dxpack sign --key new 1.dx | dxpack verify --signers signers
}

@test "a member behind the signature, an empty one and one too large are refused" {
    dxpack extract -C d signed.dx
    pack() { (cd d && tar --format=ustar --mtime=@0 --owner=0 --group=0 -cf - "$@") | seal; }
    pack dx.json changes/000001 end.json end.json.sig >again.dx
    dxpack verify --signers signers again.dx
    cp d/end.json.sig d/end.json.sig2
    pack dx.json changes/000001 end.json end.json.sig end.json.sig2 >more.dx
    refused "a member behind the end" dxpack verify more.dx
    pack dx.json changes/000001 end.json end.json.sig2 >other.dx
    refused "a member behind the end" dxpack verify other.dx
    : >d/end.json.sig
    pack dx.json changes/000001 end.json end.json.sig >empty.dx
    refused "empty" dxpack verify empty.dx
    head -c 20000 /dev/zero >d/end.json.sig
    pack dx.json changes/000001 end.json end.json.sig >large.dx
    refused "too large" dxpack verify large.dx
}

@test "a key that cannot sign is trouble of the system; several archives in a row are refused" {
    run -4 dxpack sign --key nosuch 1.dx
    [[ $output == *"nosuch: cannot sign with this key"* ]]
    run -2 dxpack sign 1.dx
    cat 1.dx 1.dx >two.dx
    run -3 bash -c 'dxpack sign --key alice two.dx >out.dx'
    [[ $output == *"one at a time"* ]]
    run -3 dxpack verify out.dx
}

@test "txnlog upload, txnroute run and extract sign; dxapply takes only what is signed" {
    sql hq.db "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)" "INSERT INTO t VALUES (1, 'one')"
    mkdir p
    printf '[package]\nname = p\nversion = 1\n[object t]\nvisible = all\n' >p/package.conf
    txnlog attach hq.db
    txnroute load hq.db p
    txnroute node add hq.db alice --package p --user alice
    txnroute extract --sign server hq.db alice >0.dx
    dxapply --signers signers alice.db <0.dx
    sql hq.db "INSERT INTO t VALUES (2, 'two')"
    txnroute run --sign server hq.db docking </dev/null
    dxpack verify --signers signers docking/alice/outbox/00000001.dx
    dxapply --signers signers alice.db <docking/alice/outbox/00000001.dx
    sql alice.db "INSERT INTO t VALUES (9, 'nine')"
    txnlog upload --sign alice alice.db out
    dxapply --signers signers hq.db <out/00000001.dx
    [ "$(sql hq.db "SELECT count(*) FROM t")" = 3 ]
    sql hq.db "INSERT INTO t VALUES (3, 'three')"
    txnroute run hq.db docking </dev/null
    before=$(sql alice.db .dump | sha256sum)
    run -3 dxapply --signers signers alice.db <docking/alice/outbox/00000002.dx
    [[ $output == *"not signed"* ]]
    [ "$(sql alice.db .dump | sha256sum)" = "$before" ]
    dxapply alice.db <docking/alice/outbox/00000002.dx
    same_table hq.db alice.db t
}

@test "what is sealed for someone only this one reads" {
    dxpack seal --to alice.pub signed.dx >sealed
    dxpack unseal --key alice sealed | cmp - signed.dx
    cat alice.pub server.pub >both
    dxpack seal --to both <signed.dx | dxpack unseal --key server | cmp - signed.dx
    refused "age" dxpack unseal --key mallory sealed
    head -c 250 sealed >cut
    refused "age" dxpack unseal --key alice cut
    run -2 dxpack seal signed.dx
    run -4 dxpack seal --to nosuch signed.dx
}
