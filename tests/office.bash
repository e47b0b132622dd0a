# office SQL...: hq.db of that schema; package/package.conf comes on stdin, without its head; alice and bob have copies.
office() {
    sql hq.db "$@"
    txnlog attach hq.db
    mkdir -p docking package
    { printf '[package]\nname = p\nversion = 1\n' && cat; } >package/package.conf
    txnroute load hq.db package 2>load.err
    for who in alice bob; do
        txnroute node add hq.db $who --package p --user $who
        txnroute extract hq.db $who docking | dxapply $who.db
    done
}
