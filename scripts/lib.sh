# shellcheck shell=bash disable=SC2034,SC2154 # what the scripts that read this use, and what they set
# What the scripts of dx share. Each sets `here`, the directory of the commands, and reads this file from beside it.
# They call each other and the commands by $here: PATH has no say in which.
set -u
shopt -s nullglob
unset CDPATH
export LC_ALL=C
umask 077
program=${0##*/}
verbose=()

# misuse TEXT: the command line is wrong. The first line of $usage is the reminder.
misuse() {
    printf '%s: %s\n%s\nTry %s --help, or man %s.\n' "$program" "$1" "${usage%%$'\n'*}" "$program" "$program" >&2
    exit 2
}

# Where stderr is the journal of systemd, each line begins with its level: error, warning, info.
journal=''
if [ -n "${JOURNAL_STREAM:-}" ] && [ "$JOURNAL_STREAM" = "$(stat -Lc %d:%i /proc/$$/fd/2 2>/dev/null)" ]; then journal=1; fi

# say LEVEL TEXT
say() {
    printf '%s%s: %s\n' "${journal:+<$1>}" "$program" "$2" >&2
}

warn() {
    say 4 "$*"
}

# die CODE TEXT
die() {
    say 3 "$2"
    exit "$1"
}

# pass_on TEXT: what a command has said, if anything.
pass_on() {
    local level=${journal:+<4>}
    [ -z "$1" ] || printf '%s\n' "$level${1//$'\n'/$'\n'$level}" >&2
}

# With -v only.
tell() {
    [ ${#verbose[@]} -eq 0 ] || say 6 "$*"
}

# The release is that of the commands.
show_version() {
    local version
    version=$("$here/dxpack" --version) && echo "$program ${version#dxpack }"
}

# A name in `operands` that begins with a dash is an option for no program that gets it.
plain_operands() {
    local i
    for i in "${!operands[@]}"; do
        case ${operands[i]} in -*) operands[i]=./${operands[i]} ;; esac
    done
}

is_node_name() {
    [[ $1 =~ ^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$ ]]
}

# lock FILE DESCRIPTOR DB SECONDS: one synchronization of a database at a time; waits so long for another to end. Shared
# with a caller that has the lock on that descriptor.
lock() {
    local who
    if ! [ "/dev/fd/$2" -ef "$1" ]; then
        eval "exec $2<>\"\$1\"" || die 4 "$1: cannot open"
    fi
    flock -w "$4" "$2" || { read -r who <"$1"; die 6 "$3 is being synchronized already: ${who:-unknown}; wait for its end"; }
    [ "/dev/fd/$2" -ef "$1" ] || die 6 "$3 was being made until now, and could not be; run it again"
    echo "$program (process $$)" >"$1"
}

# ---- the node's end of a session: SITE, the copy's directory $spool, and the keys in it ----

# The keys beside the database: sets `sign` (unless the caller has) and `signers`, as options of the commands. A file that is
# there and cannot be read, also a link to nowhere, is an error of the command that reads it, not as if it were absent.
signatures() {
    local key=$spool/key file=$spool/signers revoked=$spool/revoked
    signers=()
    if [ ${#sign[@]} -eq 0 ] && { [ -e "$key" ] || [ -L "$key" ]; }; then sign=(--sign "$key"); fi
    if [ -e "$file" ] || [ -L "$file" ]; then
        signers=(--signers "$file")
        if [ -e "$revoked" ] || [ -L "$revoked" ]; then signers+=(--revoked "$revoked"); fi
    fi
}

# Whether SITE is a directory that only carries messages, as a stick.
is_stick() {
    case ${1%%/*} in *:*) return 1 ;; esac
    [ -d "$1" ] && ! [ -e "$1/hq.db" ]
}

# Sets `server`, the command that answers for SITE, here or over ssh. dxpack adds the node's name.
server_command() {
    local quoted
    case ${1%%/*} in
    *:*)
        quoted=${1#*:} quoted=${quoted:-.}
        quoted="'${quoted//\'/\'\\\'\'}'"
        # shellcheck disable=SC2016 # $PWD is the home directory there
        case ${1#*:} in /*) ;; *) quoted='"$PWD"/'$quoted ;; esac
        read -r -a server <<<"${DX_SSH:-ssh -o ServerAliveInterval=30}"
        server+=(-- "${1%%:*}" "dxserve --site $quoted --node=")
        ;;
    *)
        [ -d "$1" ] || { warn "$1: no such directory"; return 4; }
        case $1 in /*) quoted=$1 ;; *) quoted=$PWD/$1 ;; esac
        server=("$here/dxpack" serve --site "$quoted" --node=) # what dxserve does for a session
        ;;
    esac
}

# agreed QUESTION: what a person at the terminal says to it; status 1 also where there is nobody to ask.
agreed() {
    local answer=''
    [ -t 0 ] && [ -t 2 ] || return 1
    read -r -p "$program: $1 [y/N] " answer
    [[ $answer == [yY] || $answer == [yY][eE][sS] ]]
}

# name_sent EPOCH UPLOAD: a server that was restored counts uploads up to that number as merged. Where a second copy of this
# one has synchronized with it since, they are that one's, and those of the same numbers from here are nowhere else: they are
# named, since only a person can tell. Status 1: there are none.
name_sent() {
    local file n
    for file in "$spool/outbox/sent/$1".*.dx; do
        n=${file%.dx} n=$((10#${n##*.}))
        [ "$n" -le "$2" ] || continue
        warn "if a second copy of $db was in use, uploads from here may be missing on the server; they are kept in $spool/outbox/sent/$1.*.dx"
        return 0
    done
    return 1
}

# saved_name NAME: a name in the directory for saved archives that is free.
saved_name() {
    local n=1
    mkdir -p "$spool/saved" || die 4 "$spool/saved: cannot make it"
    while [ -e "$spool/saved/$1-$n.dx" ]; do n=$((n + 1)); done
    printf %s "$spool/saved/$1-$n.dx"
}

# site_umask SITE: what is made there is for the owner, or for the group too, as its site.conf says. What is wrong with that
# file, the next command that reads it says.
site_umask() {
    [ "$("$here/txnroute" check "$1" --get access 2>/dev/null)" != group ] || umask 007
}

# place FILE NAME: puts a copy there, whole or not at all, with the mode that a new file has.
place() {
    local part
    part=$(mktemp -- "${2%/*}/.dx.XXXXXXXX") && cp -- "$1" "$part" && chmod '=rw' -- "$part" && sync -- "$part" && mv -fT -- "$part" "$2" && return
    rm -f -- "$part"
    warn "$2: cannot be written"
    return 4
}

# is_plain FILE: a regular file, reached by no link: what a stick has under a name that is ours may be anything, a pipe on
# which a reader would wait for ever among them.
is_plain() {
    [ -f "$1" ] && [ ! -L "$1" ]
}

# copy_plain FILE TO [MOST]: a copy of a file on a stick that nobody can change any more; only a regular one, of at most so many
# bytes.
copy_plain() {
    local -a bound=()
    [ $# -lt 3 ] || bound=("count=$(($3 + 1))")
    is_plain "$1" && dd if="$1" of="$2" iflag=nofollow,nonblock,count_bytes bs=1M "${bound[@]}" status=none &&
        { [ $# -lt 3 ] || [ "$(stat -c %s -- "$2")" -le "$3" ]; }
}

# sign_message FILE KEY: writes FILE.sig.
sign_message() {
    rm -f "$1.sig"
    ssh-keygen -q -Y sign -n dx -f "$2" "$1" 2>/dev/null || { warn "$2: cannot sign with it"; return 4; }
}

# message_is_signed FILE SIGNATURE WHO --signers FILE [--revoked FILE]
message_is_signed() {
    local -a revoked=()
    [ $# -lt 7 ] || revoked=(-r "$7")
    ssh-keygen -Y verify -n dx -I "$3" -f "$5" "${revoked[@]}" -s "$2" <"$1" >/dev/null 2>&1
}

# leave_message FILE NODE: puts a message to the server on the stick $site, its signature before it. Its digest is kept:
# the server's answer begins with it.
leave_message() {
    local sum
    sum=$(sha256sum <"$1") && echo "${sum%% *}" >"$spool/left" || exit 4
    if [ ${#sign[@]} -gt 0 ]; then
        { sign_message "$1" "${sign[1]}" && place "$1.sig" "$site/$2.up.sig"; } || exit
    fi
    place "$1" "$site/$2.up" || exit
    rm -f "$1" "$1.sig"
}

# take_answer NODE FILE: copies the server's answer from the stick $site; refused without its signature, where those are
# demanded here.
take_answer() {
    rm -f -- "$2" "$2.sig"
    copy_plain "$site/$1.down" "$2" || die 4 "$site/$1.down: no regular file that can be read"
    [ ${#signers[@]} -eq 0 ] || { copy_plain "$site/$1.down.sig" "$2.sig" 1048576 && message_is_signed "$2" "$2.sig" @server "${signers[@]}"; } ||
        die 3 "$site/$1.down: not signed by the server with a key in ${signers[1]}"
}
