PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE dx_meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
INSERT INTO dx_meta VALUES('acked',0);
INSERT INTO dx_meta VALUES('applied',1);
INSERT INTO dx_meta VALUES('captured_schema',57);
INSERT INTO dx_meta VALUES('captured_upto',0);
INSERT INTO dx_meta VALUES('epoch','06f65d1dfbab1fb1');
INSERT INTO dx_meta VALUES('format',5);
INSERT INTO dx_meta VALUES('node','bob');
INSERT INTO dx_meta VALUES('package','p');
INSERT INTO dx_meta VALUES('sent',0);
INSERT INTO dx_meta VALUES('server','354d591a112db89d');
CREATE TABLE dx_table ( id INTEGER PRIMARY KEY, name TEXT NOT NULL, columns TEXT NOT NULL, key TEXT NOT NULL, current INTEGER NOT NULL);
INSERT INTO dx_table VALUES(1,'account','["id","name","owner","credit"]','["id"]',1);
INSERT INTO dx_table VALUES(2,'contact','["code","account","email","photo"]','["code"]',1);
INSERT INTO dx_table VALUES(3,'visit','["account","day","note"]','["account","day"]',1);
INSERT INTO dx_table VALUES(4,'product','["id","name"]','["id"]',1);
CREATE TABLE dx_journal (seq INTEGER PRIMARY KEY, what INTEGER, origin TEXT, c0, d0, c1, d1, c2, d2, c3, d3);
INSERT INTO dx_journal VALUES(1,10,NULL,3,NULL,NULL,NULL,NULL,NULL,2.25,7.0);
CREATE TABLE dx_peer ( name TEXT PRIMARY KEY, mark INTEGER NOT NULL, epoch TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE dx_upload ( number INTEGER PRIMARY KEY, after INTEGER NOT NULL, upto INTEGER NOT NULL, applied INTEGER NOT NULL);
CREATE TABLE account (id INTEGER PRIMARY KEY, name TEXT, owner TEXT, credit REAL);
INSERT INTO account VALUES(2,'two','bob',1.5);
INSERT INTO account VALUES(3,'three','bob',7.0);
CREATE TABLE contact (code TEXT PRIMARY KEY, account INTEGER REFERENCES account, email TEXT, photo) WITHOUT ROWID;
INSERT INTO contact VALUES('c2',2,NULL,2);
INSERT INTO contact VALUES('c3',3,'c@x',2.0);
CREATE TABLE visit (account INTEGER, day TEXT, note TEXT, PRIMARY KEY (account, day));
INSERT INTO visit VALUES(3,'wed','n3');
INSERT INTO visit VALUES(2,'tue','n2');
CREATE TABLE product (id INTEGER PRIMARY KEY, name TEXT);
INSERT INTO product VALUES(1,'p1');
INSERT INTO product VALUES(2,'p2');
CREATE TABLE dx_index_due (sql TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE dx_copy (name TEXT PRIMARY KEY, columns TEXT NOT NULL, key TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO dx_copy VALUES('account','["id","name","owner","credit"]','["id"]');
INSERT INTO dx_copy VALUES('contact','["code","account","email","photo"]','["code"]');
INSERT INTO dx_copy VALUES('product','["id","name"]','["id"]');
INSERT INTO dx_copy VALUES('visit','["account","day","note"]','["account","day"]');
CREATE TABLE dx_replaced_1 (seq, c0, c1, c2, c3);
CREATE TABLE dx_replaced_2 (seq, c0, c1, c2, c3);
CREATE TABLE dx_replaced_3 (seq, c0, c1, c2);
CREATE TABLE dx_replaced_4 (seq, c0, c1);
CREATE TABLE dx_seen (kind TEXT, epoch TEXT, number INTEGER, digest TEXT, PRIMARY KEY (kind, epoch, number)) WITHOUT ROWID;
INSERT INTO dx_seen VALUES('changes','354d591a112db89d',1,'45719d8ea2956d1cc51413832de161cbe4c720a481a689f7d6cebd8331d74c25');
CREATE INDEX account_owner ON account (owner);
CREATE INDEX contact_account ON contact (account);
CREATE TRIGGER dx_u1_1 AFTER UPDATE OF "credit" ON "account"
WHEN NOT (OLD."id" IS NOT NEW."id") AND (OLD."credit" IS NOT NEW."credit") BEGIN
 INSERT INTO dx_journal (what, c0, c3, d3) VALUES (10, NEW."id", CASE WHEN OLD."credit" IS NOT NEW."credit" THEN OLD."credit" END, CASE WHEN OLD."credit" IS NOT NEW."credit" THEN NEW."credit" END);
END;
CREATE TRIGGER dx_u_1 AFTER UPDATE OF "name", "owner" ON "account"
WHEN NOT (OLD."id" IS NOT NEW."id") AND (OLD."name" IS NOT NEW."name" OR OLD."owner" IS NOT NEW."owner") BEGIN
 INSERT INTO dx_journal (what, c0, c1, d1, c2, d2) VALUES (10, NEW."id", CASE WHEN OLD."name" IS NOT NEW."name" THEN OLD."name" END, CASE WHEN OLD."name" IS NOT NEW."name" THEN NEW."name" END, CASE WHEN OLD."owner" IS NOT NEW."owner" THEN OLD."owner" END, CASE WHEN OLD."owner" IS NOT NEW."owner" THEN NEW."owner" END);
END;
CREATE TRIGGER dx_s_1 AFTER DELETE ON dx_replaced_1
WHEN OLD.seq IS NOT NULL AND NOT EXISTS (SELECT 1 FROM dx_journal
  WHERE seq > OLD.seq AND what IN (11, 12) AND c0 IS OLD.c0) BEGIN
 INSERT INTO dx_journal (what, c0, c1, c2, c3) VALUES (11, OLD.c0, OLD.c1, OLD.c2, OLD.c3);
END;
CREATE TRIGGER dx_c_1 BEFORE UPDATE OF "id", rowid, _rowid_, oid ON "account"
WHEN EXISTS (SELECT 1 FROM "account" WHERE "id" = NEW."id" AND NOT ("id" = OLD."id")) BEGIN
 UPDATE dx_replaced_1 SET seq = NULL;
 DELETE FROM dx_replaced_1;
 INSERT INTO dx_replaced_1 (seq, c0, c1, c2, c3)
  SELECT (SELECT coalesce(max(seq), 0) FROM dx_journal), "id", "name", "owner", "credit" FROM "account"
  WHERE (("id" = NEW."id")) AND NOT ("id" = OLD."id");
END;
CREATE TRIGGER dx_b_1 BEFORE INSERT ON "account"
WHEN EXISTS (SELECT 1 FROM "account" WHERE "id" = NEW."id") BEGIN
 UPDATE dx_replaced_1 SET seq = NULL;
 DELETE FROM dx_replaced_1;
 INSERT INTO dx_replaced_1 (seq, c0, c1, c2, c3)
  SELECT (SELECT coalesce(max(seq), 0) FROM dx_journal), "id", "name", "owner", "credit" FROM "account" WHERE ("id" = NEW."id");
END;
CREATE TRIGGER dx_k_1 AFTER UPDATE OF "id", rowid, _rowid_, oid ON "account"
WHEN OLD."id" IS NOT NEW."id" BEGIN
 DELETE FROM dx_replaced_1 WHERE ((NEW."id" = dx_replaced_1.c0) OR (NOT EXISTS (SELECT 1 FROM "account" WHERE "account"."id" = dx_replaced_1.c0))) AND NOT (OLD."id" = dx_replaced_1.c0);
 INSERT INTO dx_journal (what, c0, c1, c2, c3, d0, d1, d2, d3) VALUES (12, OLD."id", OLD."name", OLD."owner", OLD."credit", NEW."id", NEW."name", NEW."owner", NEW."credit");
END;
CREATE TRIGGER dx_d_1 AFTER DELETE ON "account" BEGIN
 INSERT INTO dx_journal (what, c0, c1, c2, c3) VALUES (11, OLD."id", OLD."name", OLD."owner", OLD."credit");
END;
CREATE TRIGGER dx_i_1 AFTER INSERT ON "account" BEGIN
 DELETE FROM dx_replaced_1 WHERE (NEW."id" = dx_replaced_1.c0) OR (NOT EXISTS (SELECT 1 FROM "account" WHERE "account"."id" = dx_replaced_1.c0));
 INSERT INTO dx_journal (what, c0, c1, c2, c3) VALUES (9, NEW."id", NEW."name", NEW."owner", NEW."credit");
END;
CREATE TRIGGER dx_u1_2 AFTER UPDATE OF "photo" ON "contact"
WHEN NOT (OLD."code" IS NOT NEW."code") AND (OLD."photo" IS NOT NEW."photo" OR NEW."photo" < '' AND (typeof(OLD."photo") <> typeof(NEW."photo") OR NEW."photo" = 0 AND typeof(NEW."photo") = 'real')) BEGIN
 INSERT INTO dx_journal (what, c0, c3, d3) VALUES (18, NEW."code", CASE WHEN OLD."photo" IS NOT NEW."photo" OR NEW."photo" < '' AND (typeof(OLD."photo") <> typeof(NEW."photo") OR NEW."photo" = 0 AND typeof(NEW."photo") = 'real') THEN OLD."photo" END, CASE WHEN OLD."photo" IS NOT NEW."photo" OR NEW."photo" < '' AND (typeof(OLD."photo") <> typeof(NEW."photo") OR NEW."photo" = 0 AND typeof(NEW."photo") = 'real') THEN NEW."photo" END);
END;
CREATE TRIGGER dx_u_2 AFTER UPDATE OF "account", "email" ON "contact"
WHEN NOT (OLD."code" IS NOT NEW."code") AND (OLD."account" IS NOT NEW."account" OR NEW."account" = -9223372036854775808 AND typeof(OLD."account") <> typeof(NEW."account") OR OLD."email" IS NOT NEW."email") BEGIN
 INSERT INTO dx_journal (what, c0, c1, d1, c2, d2) VALUES (18, NEW."code", CASE WHEN OLD."account" IS NOT NEW."account" OR NEW."account" = -9223372036854775808 AND typeof(OLD."account") <> typeof(NEW."account") THEN OLD."account" END, CASE WHEN OLD."account" IS NOT NEW."account" OR NEW."account" = -9223372036854775808 AND typeof(OLD."account") <> typeof(NEW."account") THEN NEW."account" END, CASE WHEN OLD."email" IS NOT NEW."email" THEN OLD."email" END, CASE WHEN OLD."email" IS NOT NEW."email" THEN NEW."email" END);
END;
CREATE TRIGGER dx_s_2 AFTER DELETE ON dx_replaced_2
WHEN OLD.seq IS NOT NULL AND NOT EXISTS (SELECT 1 FROM dx_journal
  WHERE seq > OLD.seq AND what IN (19, 20) AND c0 IS OLD.c0) BEGIN
 INSERT INTO dx_journal (what, c0, c1, c2, c3) VALUES (19, OLD.c0, OLD.c1, OLD.c2, OLD.c3);
END;
CREATE TRIGGER dx_c_2 BEFORE UPDATE OF "code" ON "contact"
WHEN EXISTS (SELECT 1 FROM "contact" WHERE "code" = NEW."code" COLLATE "BINARY" AND NOT ("code" = OLD."code")) BEGIN
 UPDATE dx_replaced_2 SET seq = NULL;
 DELETE FROM dx_replaced_2;
 INSERT INTO dx_replaced_2 (seq, c0, c1, c2, c3)
  SELECT (SELECT coalesce(max(seq), 0) FROM dx_journal), "code", "account", "email", "photo" FROM "contact"
  WHERE (("code" = NEW."code" COLLATE "BINARY")) AND NOT ("code" = OLD."code");
END;
CREATE TRIGGER dx_b_2 BEFORE INSERT ON "contact"
WHEN EXISTS (SELECT 1 FROM "contact" WHERE "code" = NEW."code" COLLATE "BINARY") BEGIN
 UPDATE dx_replaced_2 SET seq = NULL;
 DELETE FROM dx_replaced_2;
 INSERT INTO dx_replaced_2 (seq, c0, c1, c2, c3)
  SELECT (SELECT coalesce(max(seq), 0) FROM dx_journal), "code", "account", "email", "photo" FROM "contact" WHERE ("code" = NEW."code" COLLATE "BINARY");
END;
CREATE TRIGGER dx_k_2 AFTER UPDATE OF "code" ON "contact"
WHEN OLD."code" IS NOT NEW."code" BEGIN
 DELETE FROM dx_replaced_2 WHERE ((NEW."code" = dx_replaced_2.c0) OR (NOT EXISTS (SELECT 1 FROM "contact" WHERE "contact"."code" = dx_replaced_2.c0))) AND NOT (OLD."code" = dx_replaced_2.c0);
 INSERT INTO dx_journal (what, c0, c1, c2, c3, d0, d1, d2, d3) VALUES (20, OLD."code", OLD."account", OLD."email", OLD."photo", NEW."code", NEW."account", NEW."email", NEW."photo");
END;
CREATE TRIGGER dx_d_2 AFTER DELETE ON "contact" BEGIN
 INSERT INTO dx_journal (what, c0, c1, c2, c3) VALUES (19, OLD."code", OLD."account", OLD."email", OLD."photo");
END;
CREATE TRIGGER dx_i_2 AFTER INSERT ON "contact" BEGIN
 DELETE FROM dx_replaced_2 WHERE (NEW."code" = dx_replaced_2.c0) OR (NOT EXISTS (SELECT 1 FROM "contact" WHERE "contact"."code" = dx_replaced_2.c0));
 INSERT INTO dx_journal (what, c0, c1, c2, c3) VALUES (17, NEW."code", NEW."account", NEW."email", NEW."photo");
END;
CREATE TRIGGER dx_u_3 AFTER UPDATE OF "note" ON "visit"
WHEN NOT (OLD."account" IS NOT NEW."account" OR NEW."account" = -9223372036854775808 AND typeof(OLD."account") <> typeof(NEW."account") OR OLD."day" IS NOT NEW."day") AND (OLD."note" IS NOT NEW."note") BEGIN
 INSERT INTO dx_journal (what, c0, c1, c2, d2) VALUES (26, NEW."account", NEW."day", CASE WHEN OLD."note" IS NOT NEW."note" THEN OLD."note" END, CASE WHEN OLD."note" IS NOT NEW."note" THEN NEW."note" END);
END;
CREATE TRIGGER dx_s_3 AFTER DELETE ON dx_replaced_3
WHEN OLD.seq IS NOT NULL AND NOT EXISTS (SELECT 1 FROM dx_journal
  WHERE seq > OLD.seq AND what IN (27, 28) AND c0 IS OLD.c0 AND c1 IS OLD.c1) BEGIN
 INSERT INTO dx_journal (what, c0, c1, c2) VALUES (27, OLD.c0, OLD.c1, OLD.c2);
END;
CREATE TRIGGER dx_c_3 BEFORE UPDATE OF "account", "day", rowid, _rowid_, oid ON "visit"
WHEN EXISTS (SELECT 1 FROM "visit" WHERE "account" = NEW."account" COLLATE "BINARY" AND "day" = NEW."day" COLLATE "BINARY" AND NOT ("account" = OLD."account" AND "day" = OLD."day"))
 OR EXISTS (SELECT 1 FROM "visit" WHERE rowid = NEW.rowid AND NOT ("account" = OLD."account" AND "day" = OLD."day")) BEGIN
 UPDATE dx_replaced_3 SET seq = NULL;
 DELETE FROM dx_replaced_3;
 INSERT INTO dx_replaced_3 (seq, c0, c1, c2)
  SELECT (SELECT coalesce(max(seq), 0) FROM dx_journal), "account", "day", "note" FROM "visit"
  WHERE (("account" = NEW."account" COLLATE "BINARY" AND "day" = NEW."day" COLLATE "BINARY") OR (rowid = NEW.rowid)) AND NOT ("account" = OLD."account" AND "day" = OLD."day");
END;
CREATE TRIGGER dx_b_3 BEFORE INSERT ON "visit"
WHEN EXISTS (SELECT 1 FROM "visit" WHERE "account" = NEW."account" COLLATE "BINARY" AND "day" = NEW."day" COLLATE "BINARY")
 OR EXISTS (SELECT 1 FROM "visit" WHERE rowid = NEW.rowid) BEGIN
 UPDATE dx_replaced_3 SET seq = NULL;
 DELETE FROM dx_replaced_3;
 INSERT INTO dx_replaced_3 (seq, c0, c1, c2)
  SELECT (SELECT coalesce(max(seq), 0) FROM dx_journal), "account", "day", "note" FROM "visit" WHERE ("account" = NEW."account" COLLATE "BINARY" AND "day" = NEW."day" COLLATE "BINARY") OR (rowid = NEW.rowid);
END;
CREATE TRIGGER dx_k_3 AFTER UPDATE OF "account", "day", rowid, _rowid_, oid ON "visit"
WHEN OLD."account" IS NOT NEW."account" OR NEW."account" = -9223372036854775808 AND typeof(OLD."account") <> typeof(NEW."account") OR OLD."day" IS NOT NEW."day" BEGIN
 SELECT RAISE(ABORT, 'dx: table visit: NULL in key column account cannot be synchronized') WHERE NEW."account" IS NULL;
 SELECT RAISE(ABORT, 'dx: table visit: NULL in key column day cannot be synchronized') WHERE NEW."day" IS NULL;
 DELETE FROM dx_replaced_3 WHERE ((NEW."account" = dx_replaced_3.c0 AND NEW."day" = dx_replaced_3.c1) OR (NOT EXISTS (SELECT 1 FROM "visit" WHERE "visit"."account" = dx_replaced_3.c0 AND "visit"."day" = dx_replaced_3.c1))) AND NOT (OLD."account" = dx_replaced_3.c0 AND OLD."day" = dx_replaced_3.c1);
 INSERT INTO dx_journal (what, c0, c1, c2, d0, d1, d2) VALUES (28, OLD."account", OLD."day", OLD."note", NEW."account", NEW."day", NEW."note");
END;
CREATE TRIGGER dx_q_3 AFTER UPDATE OF rowid, _rowid_, oid ON "visit"
WHEN NOT (OLD."account" IS NOT NEW."account" OR NEW."account" = -9223372036854775808 AND typeof(OLD."account") <> typeof(NEW."account") OR OLD."day" IS NOT NEW."day") AND (OLD.rowid <> NEW.rowid) BEGIN
 DELETE FROM dx_replaced_3 WHERE NOT EXISTS (SELECT 1 FROM "visit" WHERE "visit"."account" = dx_replaced_3.c0 AND "visit"."day" = dx_replaced_3.c1);
END;
CREATE TRIGGER dx_d_3 AFTER DELETE ON "visit" BEGIN
 INSERT INTO dx_journal (what, c0, c1, c2) VALUES (27, OLD."account", OLD."day", OLD."note");
END;
CREATE TRIGGER dx_i_3 AFTER INSERT ON "visit" BEGIN
 SELECT RAISE(ABORT, 'dx: table visit: NULL in key column account cannot be synchronized') WHERE NEW."account" IS NULL;
 SELECT RAISE(ABORT, 'dx: table visit: NULL in key column day cannot be synchronized') WHERE NEW."day" IS NULL;
 DELETE FROM dx_replaced_3 WHERE (NEW."account" = dx_replaced_3.c0 AND NEW."day" = dx_replaced_3.c1) OR (NOT EXISTS (SELECT 1 FROM "visit" WHERE "visit"."account" = dx_replaced_3.c0 AND "visit"."day" = dx_replaced_3.c1));
 INSERT INTO dx_journal (what, c0, c1, c2) VALUES (25, NEW."account", NEW."day", NEW."note");
END;
CREATE TRIGGER dx_u_4 AFTER UPDATE OF "name" ON "product"
WHEN NOT (OLD."id" IS NOT NEW."id") AND (OLD."name" IS NOT NEW."name") BEGIN
 INSERT INTO dx_journal (what, c0, c1, d1) VALUES (34, NEW."id", CASE WHEN OLD."name" IS NOT NEW."name" THEN OLD."name" END, CASE WHEN OLD."name" IS NOT NEW."name" THEN NEW."name" END);
END;
CREATE TRIGGER dx_s_4 AFTER DELETE ON dx_replaced_4
WHEN OLD.seq IS NOT NULL AND NOT EXISTS (SELECT 1 FROM dx_journal
  WHERE seq > OLD.seq AND what IN (35, 36) AND c0 IS OLD.c0) BEGIN
 INSERT INTO dx_journal (what, c0, c1) VALUES (35, OLD.c0, OLD.c1);
END;
CREATE TRIGGER dx_c_4 BEFORE UPDATE OF "id", rowid, _rowid_, oid ON "product"
WHEN EXISTS (SELECT 1 FROM "product" WHERE "id" = NEW."id" AND NOT ("id" = OLD."id")) BEGIN
 UPDATE dx_replaced_4 SET seq = NULL;
 DELETE FROM dx_replaced_4;
 INSERT INTO dx_replaced_4 (seq, c0, c1)
  SELECT (SELECT coalesce(max(seq), 0) FROM dx_journal), "id", "name" FROM "product"
  WHERE (("id" = NEW."id")) AND NOT ("id" = OLD."id");
END;
CREATE TRIGGER dx_b_4 BEFORE INSERT ON "product"
WHEN EXISTS (SELECT 1 FROM "product" WHERE "id" = NEW."id") BEGIN
 UPDATE dx_replaced_4 SET seq = NULL;
 DELETE FROM dx_replaced_4;
 INSERT INTO dx_replaced_4 (seq, c0, c1)
  SELECT (SELECT coalesce(max(seq), 0) FROM dx_journal), "id", "name" FROM "product" WHERE ("id" = NEW."id");
END;
CREATE TRIGGER dx_k_4 AFTER UPDATE OF "id", rowid, _rowid_, oid ON "product"
WHEN OLD."id" IS NOT NEW."id" BEGIN
 DELETE FROM dx_replaced_4 WHERE ((NEW."id" = dx_replaced_4.c0) OR (NOT EXISTS (SELECT 1 FROM "product" WHERE "product"."id" = dx_replaced_4.c0))) AND NOT (OLD."id" = dx_replaced_4.c0);
 INSERT INTO dx_journal (what, c0, c1, d0, d1) VALUES (36, OLD."id", OLD."name", NEW."id", NEW."name");
END;
CREATE TRIGGER dx_d_4 AFTER DELETE ON "product" BEGIN
 INSERT INTO dx_journal (what, c0, c1) VALUES (35, OLD."id", OLD."name");
END;
CREATE TRIGGER dx_i_4 AFTER INSERT ON "product" BEGIN
 DELETE FROM dx_replaced_4 WHERE (NEW."id" = dx_replaced_4.c0) OR (NOT EXISTS (SELECT 1 FROM "product" WHERE "product"."id" = dx_replaced_4.c0));
 INSERT INTO dx_journal (what, c0, c1) VALUES (33, NEW."id", NEW."name");
END;
COMMIT;
