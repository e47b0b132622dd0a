# A real sshd on loopback for the tests of sessions over ssh. Works as root and as an ordinary user. It ends with its
# test, or by itself after some minutes.

# start_sshd NODE...: on a free port; a key for each node, bound to it by a forced command, and the key plain, which
# is free. Sets `here`, the site over ssh.
start_sshd() {
    local sshd key try
    sshd=$(PATH=$PATH:/usr/sbin:/sbin type -P sshd)
    [ "$(id -u)" -ne 0 ] || mkdir -p /run/sshd
    mkdir -m 700 ssh
    for key in host plain "$@"; do
        ssh-keygen -q -t ed25519 -N '' -C "$key" -f "ssh/$key"
    done
    for key; do
        echo "restrict,command=\"dxserve --site $PWD/site --node $key\" $(cat "ssh/$key.pub")"
    done >ssh/authorized_keys
    cat ssh/plain.pub >>ssh/authorized_keys
    for try in 1 2 3 4 5 6 7 8 9 10; do
        port=$((20000 + RANDOM % 30000))
        cat >ssh/config <<END
Port $port
ListenAddress 127.0.0.1
HostKey $PWD/ssh/host
AuthorizedKeysFile $PWD/ssh/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
SetEnv PATH=$PATH
END
        timeout 250 "$sshd" -D -e -f "$PWD/ssh/config" </dev/null >ssh/log 2>&1 3>&- &
        sshd_pid=$!
        eventually 10 grep -qE 'listening|Cannot bind|fatal|error' ssh/log || true
        if grep -q 'Server listening' ssh/log; then
            break
        fi
        wait $sshd_pid || true
        [ "$try" -lt 10 ] || { cat ssh/log; return 1; }
    done
    echo "[127.0.0.1]:$port $(cut -d ' ' -f 1,2 ssh/host.pub)" >ssh/known_hosts
    export here=127.0.0.1:$PWD/site
}

# as KEY: the ssh command of the owner of that key.
as() {
    export DX_SSH="ssh -F none -p $port -i $PWD/ssh/$1 -o IdentitiesOnly=yes -o BatchMode=yes -o UserKnownHostsFile=$PWD/ssh/known_hosts"
}

stop_sshd() {
    [ -z "${sshd_pid:-}" ] || kill "$sshd_pid" || true
}
