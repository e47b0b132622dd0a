# shellcheck shell=bash disable=SC2034,SC2154 # what the scripts that read this use, and what they set
# What companionsync and integratedsync share: the two halves of the way between a device and its companion. The caller has
# read lib.sh and set pc, device, spool (DEVICE.db-dx), conf, strict and result; `meet` comes first.

# Whether a command's exit code lets us go on: 0, or 1, which is kept for our own.
look() {
    [ "$1" -le 1 ] || return "$1"
    [ "$1" -eq 0 ] || result=1
}

# meet SECONDS: locks both, waiting so long for another synchronization, and sees that the two belong together; $name is the
# device's. A device that is to be adopted is. Where something is to be written for that, the two are looked at before it.
meet() {
    local code=0
    if ! [ -d "$pc-dx" ] || ! [ -d "$spool/inbox" ] || ! [ -d "$spool/outbox" ]; then
        "$here/hhextract" check "$pc" "$device" >/dev/null || code=$?
        [ $code -eq 0 ] || [ $code -eq 7 ] || exit $code # 7: this companion's, to be adopted
        mkdir -p "$pc-dx" "$spool/inbox" "$spool/outbox" || die 4 "$spool: cannot make it"
    fi
    lock "$pc-dx/lock" 9 "$pc" "$1"
    lock "$spool/lock" 8 "$device" "$1"
    code=0
    name=$("$here/hhextract" check "$pc" "$device") || code=$?
    case $code in
    0) ;;
    7) adopt || exit ;;
    *) exit $code ;;
    esac
}

# What was written to tables of the device while they were not captured, found by comparison with what the companion holds
# for it: it counts as changed on the device. What may come from either side is saved.
recover() {
    local waiting table node newest rows=$spool/.rows news=$spool/.news file code
    "$here/txnlog" attach "$device" --again || [ $? -eq 1 ] || exit
    ! waiting=$("$here/txnlog" recover "$device") || return 0
    "$here/txnroute" run "$pc" --node "$name" >"$news" || [ $? -eq 1 ] || exit
    node=$("$here/txnroute" node list "$pc" "$name" --json) || exit
    [[ $node =~ \"archive\":\ *([0-9]+) ]] || die 4 "$pc: how far $name is cannot be read"
    newest=${BASH_REMATCH[1]}
    while read -r table; do
        file=$(saved_name uncaptured) || exit
        code=0
        "$here/txnlog" digest --rows --whole "$pc" --node "$name" --at "$newest" "$table" >"$rows" || exit
        "$here/txnlog" recover "$device" --save "$file" "$rows" "$news" || code=$?
        look $code || die $code "the rows of $table could not be compared"
    done <<<"$waiting"
    rm -f "$rows" "$news"
}

# Writes the device's changes into its outbox. Where capture is amiss it is mended first, and what it missed is found.
record() {
    local code=0 said
    said=$("$here/txnlog" upload "$device" "$spool/outbox" 2>&1 >/dev/null) || code=$?
    if [ $code -eq 3 ] || [ $code -eq 7 ]; then
        "$here/txnlog" status "$device" --json >/dev/null 2>&1
        if [ $? -eq 1 ]; then
            recover
            code=0
            said=$("$here/txnlog" upload "$device" "$spool/outbox" 2>&1 >/dev/null) || code=$?
        fi
    fi
    pass_on "$said"
    [ $code -eq 0 ] || exit $code
}

# The device's changes, merged here as this node's own work. Its files stay until the device has been told.
upload() {
    local file
    local -a left=("$spool"/outbox/*.tmp) # of a run that was killed
    [ ${#left[@]} -eq 0 ] || rm -f -- "${left[@]}"
    record
    for file in "$spool"/outbox/[0-9]*.dx; do
        "$here/dxapply" "${strict[@]}" --as-local --upload-from "$name" "$pc" <"$file"
        look $? || die $? "$file: refused by $pc; it is kept there"
        [ ${#verbose[@]} -eq 0 ] || tell "up: ${file##*/}, $(stat -c %s "$file") bytes"
    done
}

# The extract, whole on disk before it is applied. What an earlier run left is not needed: whatever the device has not
# applied is made once more. A device whose disk is too full for it gets all that it is to hold at once, which may be less.
# One whose numbering has ended since it was looked at, as its companion's copy was made again, is adopted first.
download() {
    local code=0
    fetch "${conf[@]}" || code=$?
    if [ $code -eq 7 ]; then
        adopt || exit
        upload
        code=0
        fetch || code=$?
    fi
    if [ $code -eq 4 ]; then
        tell "the extract does not fit; trying all that the device is to hold, at once"
        code=0
        fetch --full || code=$?
    fi
    look $code || die $code "$device: the extract could not be applied; the device is as it was"
}

# The device's numbering has ended here, as when a full extract did not fit: it gets all that it is to hold, and its unsent
# changes are kept.
adopt() {
    local about code=0
    about=$("$here/txnlog" status "$device" --json) && [[ $about =~ \"node\":\ *\"([^\"]+)\" ]] || return 3
    name=${BASH_REMATCH[1]}
    "$here/hhextract" pair --adopt "$pc" "$device" --device "$name" "${conf[@]}" || code=$?
    [ $code -le 1 ] || return $code
    conf=() result=1
    warn "$device: numbered again by $pc, and right"
}

# fetch [OPTION...]: one extract into the device's inbox, and applied; the device may start then, also after a patch. Nothing
# is left of one that fails, and none is made of nothing.
fetch() {
    local file=$spool/inbox/extract.dx code=0 made=0 said
    local -a left=("$spool"/inbox/*.dx)
    [ ${#left[@]} -eq 0 ] || rm -f -- "${left[@]}"
    "$here/hhextract" run --out "$file" "$@" -- "$pc" "$device" || made=$?
    [ $made -le 1 ] || return $made
    look $made
    [ -e "$file" ] || return 0
    "$here/dxapply" "${strict[@]}" "$device" <"$file" || code=$?
    [ $code -gt 1 ] || [ ${#verbose[@]} -eq 0 ] || tell "down: $(stat -c %s "$file") bytes"
    rm -f "$file"
    [ $code -le 1 ] || return $code
    "$here/hhextract" ready --synced "$device" || exit
    said=$("$here/txnlog" trim "$pc" "$device" 2>&1) || die $? "${said#txnlog: }" # what is settled now
    return $code
}
