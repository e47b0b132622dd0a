#!/usr/bin/env bats
# Every form that tar, pax and JSON know and dx(5) does not allow is refused, with the record that it is in.

load ../helper

# forge.py CASE: the members of a sound archive in a tar of one deviation, on stdout.
setup_file() {
    export DIR=$BATS_FILE_TMPDIR
    cat >"$DIR/forge.py" <<-'PYTHON'
	import hashlib, json, os, sys, tarfile
	case, d = sys.argv[1], os.environ["DIR"]
	names = ["dx.json", "changes/000001", "end.json"]
	data = {n: open(d + "/d/" + n, "rb").read() for n in names}
	if case == "end names another table":
	    end = json.loads(data["end.json"])
	    end["tables"]["other"] = {"insert": 0, "update": 0, "delete": 0}
	    data["end.json"] = json.dumps(end).encode()
	padded = lambda b: b + b"\0" * (-len(b) % 512)
	def header(name, size, kind=b"0", form=tarfile.USTAR_FORMAT, link=""):
	    t = tarfile.TarInfo(name)
	    t.size, t.type, t.linkname = size, kind, link
	    return t.tobuf(form)
	def member(n, **how):
	    return header(n, len(data[n]), **how) + padded(data[n])
	def record(key, value):
	    text, n = " %s=%s\n" % (key, value), 0
	    while len(str(n)) + len(text) != n:
	        n = len(str(n)) + len(text)
	    return (str(n) + text).encode()
	def pax(kind=b"x", raw=None, **say):
	    body = raw or b"".join(record(k.replace("_", "."), v) for k, v in say.items())
	    return header("pax", len(body), kind) + padded(body)
	def edited(block, at, put):
	    block = bytearray(block)
	    block[at:at + len(put)] = put
	    block[148:156] = b" " * 8
	    block[148:156] = b"%06o\0 " % sum(block[:512])
	    return bytes(block)
	rows = member("changes/000001")
	before, behind, zeros = b"", b"", b"\0" * 1024
	kinds = {"contiguous": b"7", "sparse of GNU": b"S", "volume": b"V", "a later type": b"Z", "long name of GNU": b"L",
	         "long link of GNU": b"K", "vendor": b"X", "acl of Solaris": b"A"}
	say = {"linkpath": "/etc/passwd", "path": "changes/000001", "size": str(len(data["changes/000001"])),
	       "GNU_sparse_major": "1", "GNU_sparse_size": "9", "SCHILY_xattr_user": "x", "hdrcharset": "BINARY", "other": "x"}
	if case in kinds:
	    rows = member("changes/000001", kind=kinds[case])
	elif case.startswith("pax "):
	    before = pax(**{case[4:]: say[case[4:]]})
	elif case == "sound pax":
	    before = pax(mtime="1.5", atime="2", uname="ann", comment="x")
	elif case == "global header":
	    before = pax(kind=b"g", comment="x")
	elif case == "records of no length":
	    before = pax(raw=b"mtime=1\n")
	elif case == "records of a wrong length":
	    before = pax(raw=b"99 mtime=1\n")
	elif case == "records too large":
	    before = pax(comment="x" * 17000)
	elif case == "size in base 256":
	    rows = edited(rows, 124, b"\x80" + b"\0" * 7 + len(data["changes/000001"]).to_bytes(4, "big"))
	elif case == "size with spaces":
	    rows = edited(rows, 124, b"%11o " % len(data["changes/000001"]))
	elif case == "header of GNU":
	    rows = member("changes/000001", form=tarfile.GNU_FORMAT)
	elif case == "header without magic":
	    rows = edited(rows, 257, b"\0" * 8)
	elif case == "zeros between members":
	    before = b"\0" * 512
	elif case == "a member behind zeros":
	    behind = zeros + rows
	tar = member("dx.json") + before + rows + member("end.json") + behind + zeros
	sys.stdout.buffer.write(b"\0" * 512 + tar if case == "zeros first" else tar)
	PYTHON
    cd "$DIR" || return 1
    sqlite3 a.db "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)"
    txnlog attach a.db
    sqlite3 a.db "INSERT INTO t VALUES (1, 'one'), (2, 'two')"
    txnlog read a.db >good.dx
    dxpack extract -C d good.dx
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
}

forged() {
    python3 "$DIR/forge.py" "$1" | seal >x.dx
}

@test "the tar of a sound archive is taken, with extended headers of times, owners and comments, too" {
    forged good
    cmp <(dxpack cat x.dx) <(dxpack cat "$DIR/good.dx")
    forged "sound pax"
    cmp <(dxpack cat x.dx) <(dxpack cat "$DIR/good.dx")
}

@test "each form of tar and pax that dx(5) does not allow is refused with the record's name" {
    local case says
    while IFS=: read -r case says; do
        forged "$case"
        run -3 dxpack verify x.dx
        [[ $output == "dxpack: x.dx: "*"$says"* ]] || { echo "$case: $output"; return 1; }
        run -3 dxapply --log -n "$DIR/a.db" <x.dx
    done <<'CASES'
contiguous:member 'changes/000001' is not a plain file (of another type)
sparse of GNU:member 'changes/000001' is not a plain file (of another type)
volume:member 'changes/000001' is not a plain file (of another type)
a later type:member 'changes/000001' is not a plain file (of another type)
long name of GNU:member 'changes/000001' is not a plain file (of another type)
long link of GNU:member 'changes/000001' is not a plain file (of another type)
vendor:member 'changes/000001' is not a plain file (of another type)
acl of Solaris:member 'changes/000001' is not a plain file (of another type)
pax linkpath:member 'pax' is not a plain file (an extended header says more
pax path:member 'pax' is not a plain file (an extended header says more
pax size:member 'pax' is not a plain file (an extended header says more
pax GNU_sparse_major:member 'pax' is not a plain file (an extended header says more
pax GNU_sparse_size:member 'pax' is not a plain file (an extended header says more
pax SCHILY_xattr_user:member 'pax' is not a plain file (an extended header says more
pax hdrcharset:member 'pax' is not a plain file (an extended header says more
pax other:member 'pax' is not a plain file (an extended header says more
global header:member 'pax' is not a plain file (a global header
records of no length:member 'pax' is not a plain file (an extended header says more
records of a wrong length:member 'pax' is not a plain file (an extended header says more
records too large:member 'pax' is not a plain file (an extended header that is empty or over 16 KiB
size in base 256:member 'changes/000001' is not a plain file (its size is not written in 11 octal digits
size with spaces:member 'changes/000001' is not a plain file (its size is not written in 11 octal digits
header of GNU:member 'changes/000001' is not a plain file (the tar is neither ustar nor pax
header without magic:member 'changes/000001' is not a plain file (the tar is neither ustar nor pax
zeros first:does not begin as every archive does
zeros between members:the archive goes on behind its last member
a member behind zeros:the archive goes on behind its last member
end names another table:end.json: not what it should hold
CASES
}
