#!/usr/bin/env bats
# Schemas in the manner of real applications, edited on three sides at once, six rounds (three under sanitizers): every copy is
# the server's view, row by row, and every child belongs to the parent that it was written under: both carry the same text.

load ../helper
load ../office

ROUNDS=$(sized 6 3)

# rounds EDIT MEANING: EDIT WHO N prints the statements of one side in one round; MEANING counts what is not as it was meant.
rounds() {
    local n who tables
    for ((n = 1; n <= ROUNDS; n++)); do
        for who in hq alice bob; do "$1" $who $n | sqlite3 -bail -cmd "PRAGMA foreign_keys = ON" $who.db; done
        exchange alice bob 2>>exchange.err
        for who in hq alice bob; do
            [ "$(sql $who.db "$2")" = 0 ] || { echo "$who, round $n: $(sql $who.db "$2") rows have lost their meaning"; return 1; }
            [ "$(sql $who.db "PRAGMA foreign_key_check" | wc -l)" = 0 ] || return
        done
    done
    mapfile -t tables < <(sql hq.db "SELECT tbl FROM dx_object")
    for who in alice bob; do same_table $who.db hq.db "${tables[@]}" || return; done
    run dxapply conflicts hq.db
    [ "$status" = 0 ] || { echo "$output"; return 1; }
}

# Every statement is one of sqlite3's; random() differs from run to run, but the numbers that matter are handed out by SQLite.
@test "interned values: items with tags known by their names" {
    office "CREATE TABLE item (id INTEGER PRIMARY KEY, about TEXT)" "CREATE TABLE tag (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)" \
        "CREATE TABLE item_tag (item INTEGER REFERENCES item ON DELETE CASCADE, tag INTEGER REFERENCES tag, name TEXT, about TEXT, PRIMARY KEY (item, tag))" <<-'END'
	[object item]
	visible = all
	[object tag]
	visible = all
	user_key = name
	duplicates = adopt
	[object item_tag]
	via = item -> item
	END
    edit() {
        local tag
        echo "BEGIN; INSERT INTO item (about) VALUES ('$1 $2 a'), ('$1 $2 b');"
        for tag in red blue$2 $1; do
            echo "INSERT INTO tag (name) VALUES ('$tag') ON CONFLICT DO NOTHING;
                INSERT INTO item_tag SELECT i.id, t.id, t.name, i.about FROM item i JOIN tag t ON t.name = '$tag' WHERE i.about LIKE '$1 $2 %';"
        done
        echo "DELETE FROM item WHERE about = '$1 $(($2 - 2)) a'; COMMIT;"
    }
    rounds edit "SELECT count(*) FROM item_tag x LEFT JOIN tag t ON t.id = x.tag LEFT JOIN item i ON i.id = x.item WHERE t.name IS NOT x.name OR i.about IS NOT x.about"
    [ "$(sql bob.db "SELECT count(*), count(DISTINCT name) FROM tag")" = "$((ROUNDS + 4))|$((ROUNDS + 4))" ]
}

@test "subtypes: one row beside its parent, under the parent's key" {
    office "CREATE TABLE item (id INTEGER PRIMARY KEY, about TEXT)" "CREATE TABLE note (id INTEGER PRIMARY KEY REFERENCES item ON DELETE CASCADE, about TEXT)" \
        "CREATE TABLE line (id INTEGER PRIMARY KEY, note INTEGER REFERENCES note ON DELETE CASCADE, about TEXT)" <<-'END'
	[object item]
	visible = all
	[object note]
	via = id -> item
	[object line]
	via = note -> note
	END
    edit() {
        echo "BEGIN; INSERT INTO item (about) VALUES ('$1 $2 a'), ('$1 $2 b'), ('$1 $2 c');
            INSERT INTO note SELECT * FROM item WHERE about IN ('$1 $2 a', '$1 $2 b', '$1 $(($2 - 1)) c');
            INSERT INTO line (note, about) SELECT id, about FROM note WHERE about LIKE '$1 $2 %' OR about LIKE '$1 $(($2 - 1)) %';
            DELETE FROM item WHERE about = '$1 $(($2 - 2)) a'; COMMIT;"
    }
    rounds edit "SELECT (SELECT count(*) FROM note n LEFT JOIN item i ON i.id = n.id WHERE i.about IS NOT n.about) +
        (SELECT count(*) FROM line l LEFT JOIN note n ON n.id = l.note WHERE n.about IS NOT l.about)"
}

@test "references that the schema does not declare, and numbers that are not used again" {
    office "CREATE TABLE product (id INTEGER PRIMARY KEY AUTOINCREMENT, about TEXT)" "CREATE TABLE location (id INTEGER PRIMARY KEY AUTOINCREMENT, about TEXT)" \
        "CREATE TABLE stock (id INTEGER PRIMARY KEY AUTOINCREMENT, product_id INT, location_id INT, product TEXT, location TEXT)" <<-'END'
	[object product]
	visible = all
	[object location]
	visible = all
	[object stock]
	visible = all
	references = product_id -> product, location_id -> location
	END
    edit() {
        echo "BEGIN; INSERT INTO product (about) VALUES ('$1 p $2'); INSERT INTO location (about) VALUES ('$1 l $2'), ('$1 m $2');
            INSERT INTO stock (product_id, location_id, product, location) SELECT p.id, l.id, p.about, l.about FROM product p, location l
                WHERE p.about = '$1 p $2' AND l.about LIKE '$1 % $2';
            UPDATE stock SET (location_id, location) = (SELECT id, about FROM location WHERE about = '$1 l $2') WHERE product = '$1 p $(($2 - 1))'; COMMIT;"
    }
    rounds edit "SELECT count(*) FROM stock s LEFT JOIN product p ON p.id = product_id LEFT JOIN location l ON l.id = location_id
        WHERE p.about IS NOT s.product OR l.about IS NOT s.location"
}

@test "a tree in a STRICT table, and rows without rowid under keys of several columns" {
    office "CREATE TABLE folder (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES folder, about TEXT, above TEXT) STRICT" \
        "CREATE TABLE entry (folder INTEGER NOT NULL REFERENCES folder, no INTEGER NOT NULL, about TEXT, secret BLOB, PRIMARY KEY (folder, no)) STRICT, WITHOUT ROWID" \
        "CREATE TABLE past (folder INTEGER NOT NULL, no INTEGER NOT NULL, at TEXT NOT NULL, about TEXT, PRIMARY KEY (folder, no, at), FOREIGN KEY (folder, no) REFERENCES entry)" <<-'END'
	[object folder]
	visible = all
	[object entry]
	via = folder -> folder
	[object past]
	via = folder, no -> entry
	references = folder -> folder
	END
    edit() {
        echo "BEGIN; INSERT INTO folder (about) VALUES ('$1 $2');
            INSERT INTO folder (parent, above, about) SELECT id, about, '$1 $2 below' FROM folder WHERE about IN ('$1 $2', '$1 $(($2 - 1)) below');
            INSERT INTO entry SELECT id, 1, about, randomblob(8) FROM folder WHERE about LIKE '$1 $2%';
            INSERT INTO past SELECT folder, no, '$2', about FROM entry WHERE about LIKE '$1 %'; COMMIT;"
    }
    rounds edit "SELECT (SELECT count(*) FROM folder f LEFT JOIN folder p ON p.id = f.parent WHERE p.about IS NOT f.above) +
        (SELECT count(*) FROM entry e LEFT JOIN folder f ON f.id = e.folder WHERE f.about IS NOT e.about) +
        (SELECT count(*) FROM past x LEFT JOIN entry e USING (folder, no) WHERE e.about IS NOT x.about)"
}

@test "counters and stamps by triggers of the server" {
    office "CREATE TABLE account (id INTEGER PRIMARY KEY, about TEXT, posts INT NOT NULL DEFAULT 0)" \
        "CREATE TABLE post (id INTEGER PRIMARY KEY, account INTEGER REFERENCES account, about TEXT, body TEXT, edited INT NOT NULL DEFAULT 0)" \
        "CREATE TRIGGER more AFTER INSERT ON post BEGIN UPDATE account SET posts = posts + 1 WHERE id = new.account; END" \
        "CREATE TRIGGER less AFTER DELETE ON post BEGIN UPDATE account SET posts = posts - 1 WHERE id = old.account; END" \
        "CREATE TRIGGER stamp AFTER UPDATE OF body ON post BEGIN UPDATE post SET edited = edited + 1 WHERE id = new.id; END" <<-'END'
	[object account]
	visible = all
	[object post]
	via = account -> account
	END
    edit() {
        echo "BEGIN; INSERT INTO account (about) VALUES ('$1 $2');
            INSERT INTO post (account, about) SELECT id, about FROM account WHERE about LIKE '$1 %' UNION ALL SELECT id, about FROM account WHERE about = '$1 $2';
            UPDATE post SET body = '$2' WHERE id = (SELECT min(id) FROM post WHERE about = '$1 $(($2 - 1))');
            DELETE FROM post WHERE id = (SELECT min(id) FROM post WHERE about LIKE '$1 $(($2 - 2))'); COMMIT;"
    }
    rounds edit "SELECT count(*) FROM post p LEFT JOIN account a ON a.id = p.account WHERE a.about IS NOT p.about"
    [ "$(sql alice.db "SELECT count(*) FROM account a WHERE posts <> (SELECT count(*) FROM post WHERE account = a.id)")" = 0 ]
    [ "$(sql alice.db "SELECT * FROM post WHERE edited <> (body NOTNULL)")" = "" ]
}

@test "full-text indexes on every side, over rows that get other keys" {
    office "CREATE TABLE page (id INTEGER PRIMARY KEY, url TEXT NOT NULL UNIQUE, title TEXT, words INT AS (length(title)))" \
        "CREATE TABLE visit (id INTEGER PRIMARY KEY, page INTEGER REFERENCES page, url TEXT)" <<-'END'
	[object page]
	visible = all
	user_key = url
	duplicates = adopt
	[object visit]
	visible = all
	END
    for who in hq alice bob; do
        sql $who.db "CREATE VIRTUAL TABLE fts USING fts5(title, content=page, content_rowid=id)" \
            "CREATE TRIGGER ai AFTER INSERT ON page BEGIN INSERT INTO fts(rowid, title) VALUES (new.id, new.title); END" \
            "CREATE TRIGGER ad AFTER DELETE ON page BEGIN INSERT INTO fts(fts, rowid, title) VALUES ('delete', old.id, old.title); END" \
            "CREATE TRIGGER au AFTER UPDATE ON page BEGIN INSERT INTO fts(fts, rowid, title) VALUES ('delete', old.id, old.title); INSERT INTO fts(rowid, title) VALUES (new.id, new.title); END"
        txnlog attach $who.db 2>/dev/null || [ $? -eq 1 ]
    done
    edit() {
        local url
        echo "BEGIN;"
        for url in $1-$2 all-$2 start; do
            echo "INSERT INTO page (url, title) VALUES ('$url', 'title of $1') ON CONFLICT DO NOTHING;
                INSERT INTO visit (page, url) SELECT id, url FROM page WHERE url = '$url';"
        done
        echo "COMMIT;"
    }
    rounds edit "SELECT count(*) FROM visit v LEFT JOIN page p ON p.id = v.page WHERE p.url IS NOT v.url"
    for who in hq alice bob; do
        sql $who.db "INSERT INTO fts(fts, rank) VALUES ('integrity-check', 1)"
        [ "$(sql $who.db "SELECT count(*) FROM fts('title')")" = $((4 * ROUNDS + 1)) ]
    done
}

@test "keys that are texts, words that are looked up by them" {
    office "CREATE TABLE word (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE COLLATE NOCASE)" "CREATE TABLE card (id TEXT PRIMARY KEY, word TEXT REFERENCES word, name TEXT)" \
        "CREATE TABLE answer (card TEXT REFERENCES card ON DELETE CASCADE, at TEXT, name TEXT, PRIMARY KEY (card, at)) WITHOUT ROWID" <<-'END'
	[object word]
	visible = all
	user_key = name
	duplicates = adopt
	[object card]
	via = word -> word
	[object answer]
	via = card -> card
	END
    edit() {
        local name
        echo "BEGIN;"
        for name in one w$2 $1; do
            echo "INSERT INTO word SELECT lower(hex(randomblob(8))), '$name' WHERE NOT EXISTS (SELECT 1 FROM word WHERE name = '$name');
                INSERT INTO card SELECT lower(hex(randomblob(8))), id, name FROM word WHERE name = '$name';"
        done
        echo "INSERT INTO answer SELECT id, '$1 $2', name FROM card; COMMIT;"
    }
    rounds edit "SELECT (SELECT count(*) FROM card c LEFT JOIN word w ON w.id = c.word WHERE w.name IS NOT c.name) +
        (SELECT count(*) FROM answer a LEFT JOIN card c ON c.id = a.card WHERE c.name IS NOT a.name)"
    [ "$(sql hq.db "SELECT count(*) FROM word")" = $((ROUNDS + 4)) ]
}
