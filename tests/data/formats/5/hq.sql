PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE account (id INTEGER PRIMARY KEY, name TEXT, owner TEXT, credit REAL);
INSERT INTO account VALUES(1,'moved','bob',0.5);
INSERT INTO account VALUES(2,'two','ann',1.5);
INSERT INTO account VALUES(3,'three','bob',2.25);
INSERT INTO account VALUES(5,'five','bob',5.5);
CREATE TABLE contact (code TEXT PRIMARY KEY, account INTEGER REFERENCES account, email TEXT, photo) WITHOUT ROWID;
INSERT INTO contact VALUES('c1',1,'a@x',X'00ff');
INSERT INTO contact VALUES('c2',2,NULL,2);
INSERT INTO contact VALUES('c3',3,'c@x',2.0);
CREATE TABLE visit (account INTEGER, day TEXT, note TEXT, PRIMARY KEY (account, day));
INSERT INTO visit VALUES(1,'mon','n1');
INSERT INTO visit VALUES(2,'tue','n2');
INSERT INTO visit VALUES(3,'wed','n3');
CREATE TABLE product (id INTEGER PRIMARY KEY, name TEXT);
INSERT INTO product VALUES(1,'p1');
INSERT INTO product VALUES(2,'replaced');
INSERT INTO product VALUES(3,'hq');
INSERT INTO product VALUES(543834088024249,'ann');
CREATE TABLE dx_meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
INSERT INTO dx_meta VALUES('captured_schema',86);
INSERT INTO dx_meta VALUES('captured_upto',9);
INSERT INTO dx_meta VALUES('collect',1001);
INSERT INTO dx_meta VALUES('docking','docking');
INSERT INTO dx_meta VALUES('epoch','93ef50edcd083c12');
INSERT INTO dx_meta VALUES('format',5);
INSERT INTO dx_meta VALUES('quarantine_seen',9);
INSERT INTO dx_meta VALUES('quarantined',1);
INSERT INTO dx_meta VALUES('routed',9);
INSERT INTO dx_meta VALUES('routed_epoch','93ef50edcd083c12');
INSERT INTO dx_meta VALUES('routed_schema',86);
INSERT INTO dx_meta VALUES('routes',6);
CREATE TABLE dx_table ( id INTEGER PRIMARY KEY, name TEXT NOT NULL, columns TEXT NOT NULL, key TEXT NOT NULL, current INTEGER NOT NULL);
INSERT INTO dx_table VALUES(1,'account','["id","name","owner","credit"]','["id"]',1);
INSERT INTO dx_table VALUES(2,'contact','["code","account","email","photo"]','["code"]',1);
INSERT INTO dx_table VALUES(3,'product','["id","name"]','["id"]',1);
INSERT INTO dx_table VALUES(4,'visit','["account","day","note"]','["account","day"]',1);
CREATE TABLE dx_journal (seq INTEGER PRIMARY KEY, what INTEGER, origin TEXT, c0, d0, c1, d1, c2, d2, c3, d3);
INSERT INTO dx_journal VALUES(1,10,NULL,2,NULL,NULL,NULL,'ann','bob',NULL,NULL);
INSERT INTO dx_journal VALUES(2,10,NULL,4,NULL,NULL,NULL,NULL,'ann',NULL,NULL);
INSERT INTO dx_journal VALUES(3,10,NULL,2,NULL,NULL,NULL,'bob','ann',NULL,NULL);
INSERT INTO dx_journal VALUES(4,10,NULL,1,NULL,'one','ours',NULL,NULL,NULL,NULL);
INSERT INTO dx_journal VALUES(5,35,NULL,4,NULL,'thu',NULL,'n4',NULL,NULL,NULL);
INSERT INTO dx_journal VALUES(6,19,NULL,'c4',NULL,4,NULL,'d@x',NULL,'',NULL);
INSERT INTO dx_journal VALUES(7,11,NULL,4,NULL,'four',NULL,'ann',NULL,NULL,NULL);
INSERT INTO dx_journal VALUES(8,25,NULL,3,NULL,'hq',NULL,NULL,NULL,NULL,NULL);
INSERT INTO dx_journal VALUES(9,25,'ann',543834088024249,NULL,'ann',NULL,NULL,NULL,NULL,NULL);
INSERT INTO dx_journal VALUES(10,9,NULL,5,NULL,'five',NULL,'bob',NULL,5.5,NULL);
INSERT INTO dx_journal VALUES(11,10,NULL,1,NULL,'ours','moved','ann','bob',NULL,NULL);
INSERT INTO dx_journal VALUES(12,27,NULL,2,NULL,'p2',NULL,NULL,NULL,NULL,NULL);
INSERT INTO dx_journal VALUES(13,25,NULL,2,NULL,'replaced',NULL,NULL,NULL,NULL,NULL);
CREATE TABLE dx_peer ( name TEXT PRIMARY KEY, mark INTEGER NOT NULL, epoch TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO dx_peer VALUES('warehouse',3,'93ef50edcd083c12');
CREATE TABLE dx_upload ( number INTEGER PRIMARY KEY, after INTEGER NOT NULL, upto INTEGER NOT NULL, applied INTEGER NOT NULL);
CREATE TABLE dx_replaced_1 (seq, c0, c1, c2, c3);
CREATE TABLE dx_replaced_2 (seq, c0, c1, c2, c3);
CREATE TABLE dx_replaced_3 (seq, c0, c1);
CREATE TABLE dx_replaced_4 (seq, c0, c1, c2);
CREATE TABLE dx_nodes ( id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, user TEXT NOT NULL, package TEXT NOT NULL, epoch TEXT NOT NULL, active INTEGER NOT NULL, archive INTEGER NOT NULL DEFAULT 0, position INTEGER NOT NULL DEFAULT 0, suspended_at INTEGER, suspended_run INTEGER, applied INTEGER NOT NULL DEFAULT 0, merged INTEGER NOT NULL DEFAULT 0, last_ack INTEGER NOT NULL DEFAULT 0);
INSERT INTO dx_nodes VALUES(1,'ann','ann','p','966b19ec28046380',1,3,9,NULL,NULL,2,1,1);
INSERT INTO dx_nodes VALUES(2,'bob','bob','p','354d591a112db89d',1,3,9,NULL,NULL,0,0,0);
CREATE TABLE dx_force ( id INTEGER PRIMARY KEY, node INTEGER NOT NULL, tbl TEXT NOT NULL, key NOT NULL, UNIQUE (node, tbl, key));
CREATE TABLE dx_package ( name TEXT PRIMARY KEY, version TEXT NOT NULL, hash TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO dx_package VALUES('p','1','70f3db3b54ca09b21f797dd887fc568f1fba68651b01f2951610277b0c36d00c');
CREATE TABLE dx_object ( id INTEGER PRIMARY KEY, package TEXT NOT NULL, name TEXT NOT NULL, place INTEGER NOT NULL, tbl TEXT NOT NULL, visible TEXT NOT NULL, rule TEXT, via_column TEXT, via_object TEXT, columns TEXT NOT NULL, key TEXT NOT NULL, written INTEGER NOT NULL, conflict TEXT NOT NULL, keys TEXT NOT NULL, deletes TEXT NOT NULL, duplicates TEXT NOT NULL, change_key TEXT NOT NULL, user_key TEXT NOT NULL, keep TEXT NOT NULL, refs TEXT NOT NULL DEFAULT '', triggers TEXT NOT NULL DEFAULT 'server', guard TEXT NOT NULL DEFAULT '', was TEXT, fresh INTEGER NOT NULL DEFAULT 0, gone INTEGER NOT NULL DEFAULT 0, bound TEXT, UNIQUE (package, name));
INSERT INTO dx_object VALUES(1,'p','account',0,'account','select','SELECT n.name, a.id FROM account a JOIN dx_node n ON n.user = a.owner',NULL,NULL,'["id","name","owner","credit"]','["id"]',7,'server','rekey','win','issue','','','','','server','',NULL,0,0,NULL);
INSERT INTO dx_object VALUES(2,'p','contact',1,'contact','via',NULL,'account','account','["code","account","email","photo"]','["code"]',7,'server','rekey','win','issue','','','','','server','',NULL,0,0,NULL);
INSERT INTO dx_object VALUES(3,'p','visit',2,'visit','via',NULL,'account','account','["account","day","note"]','["account","day"]',7,'server','rekey','win','issue','','','','','server','',NULL,0,0,NULL);
INSERT INTO dx_object VALUES(4,'p','product',3,'product','all',NULL,NULL,NULL,'["id","name"]','["id"]',7,'server','rekey','win','issue','','','','','server','',NULL,0,0,NULL);
CREATE TABLE dx_file_claim (digest TEXT NOT NULL, node INTEGER NOT NULL, tbl TEXT NOT NULL, key NOT NULL, proven INTEGER NOT NULL, made TEXT NOT NULL DEFAULT (datetime('now')), PRIMARY KEY (digest, tbl, key, node)) WITHOUT ROWID;
CREATE TABLE dx_file_unused (digest TEXT PRIMARY KEY, since INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE dx_audience ( id INTEGER PRIMARY KEY, hash INTEGER NOT NULL, nodes BLOB NOT NULL);
INSERT INTO dx_audience VALUES(1,7149884097694328749,X'01');
INSERT INTO dx_audience VALUES(2,7223481267311574204,X'02');
CREATE TABLE dx_history ( position INTEGER NOT NULL, run INTEGER NOT NULL, obj INTEGER NOT NULL, moves BLOB NOT NULL);
INSERT INTO dx_history VALUES(0,3,1,X'0100000000000000030103');
INSERT INTO dx_history VALUES(0,3,2,X'030263330103');
INSERT INTO dx_history VALUES(0,3,3,X'040e01000000000000000303037765640103');
INSERT INTO dx_history VALUES(2,4,1,X'01000000000000000202030100000000000000040102');
INSERT INTO dx_history VALUES(2,4,2,X'030263320203030263340102');
INSERT INTO dx_history VALUES(2,4,3,X'040e01000000000000000203037475650203040e01000000000000000403037468750102');
INSERT INTO dx_history VALUES(3,5,1,X'0100000000000000020302');
INSERT INTO dx_history VALUES(3,5,2,X'030263320302');
INSERT INTO dx_history VALUES(3,5,3,X'040e01000000000000000203037475650302');
INSERT INTO dx_history VALUES(9,6,1,X'0100000000000000040201');
INSERT INTO dx_history VALUES(9,6,2,X'030263340201');
INSERT INTO dx_history VALUES(9,6,3,X'040e01000000000000000403037468750201');
CREATE TABLE dx_archive ( node INTEGER NOT NULL, number INTEGER NOT NULL, position INTEGER NOT NULL, changes INTEGER NOT NULL, bytes INTEGER NOT NULL, made TEXT NOT NULL, digest TEXT NOT NULL, since INTEGER NOT NULL, run INTEGER NOT NULL, snapshot INTEGER NOT NULL, PRIMARY KEY (node, number)) WITHOUT ROWID;
INSERT INTO dx_archive VALUES(1,0,0,8,855,'2026-11-29 14:02:36','966b19ec28046380',2,2,1);
INSERT INTO dx_archive VALUES(1,1,2,6,1592,'2026-11-29 14:02:36','ee2d1b87978d04a345b3a6896635ad9e05cc7882a56263a138e2a4446a1ee038',3,4,0);
INSERT INTO dx_archive VALUES(1,2,3,3,1287,'2026-11-29 14:02:36','ebc813e8828a9c1c196a48997aabc5d17e34a464761bf614e636fcaabb478c86',4,5,0);
INSERT INTO dx_archive VALUES(1,3,9,7,1979,'2026-11-29 14:02:37','9739fa4199c42bf1244838c9aaf0727d831b2be4c36c23c7c219727bcb734692',5,6,0);
INSERT INTO dx_archive VALUES(2,0,0,5,820,'2026-11-29 14:02:36','354d591a112db89d',3,3,1);
INSERT INTO dx_archive VALUES(2,1,2,3,1200,'2026-11-29 14:02:36','45719d8ea2956d1cc51413832de161cbe4c720a481a689f7d6cebd8331d74c25',3,4,0);
INSERT INTO dx_archive VALUES(2,2,3,3,1257,'2026-11-29 14:02:36','3b9e8e9d967b5aa4786f74de08b34ed99d69122b84ee6bc5b8f57e1f2353c1b1',4,5,0);
INSERT INTO dx_archive VALUES(2,3,9,2,927,'2026-11-29 14:02:37','2642bbc663452460abfe22ea6fb01a3c6f423bf68370e48b71cfd352a4f09500',5,6,0);
CREATE TABLE dx_declared (object INTEGER PRIMARY KEY, sha256 TEXT NOT NULL);
INSERT INTO dx_declared VALUES(1,'b74563f99f304b52117c3afc9dd25b4c23faa63a427f5885eb6a908e6c7169e1');
INSERT INTO dx_declared VALUES(2,'3a211f207ce557933862f4374468ced0c98acf1967d6daa2252ae90138613de1');
INSERT INTO dx_declared VALUES(3,'65cbb355af9b506538ba7d8ac2409842e1621cb1890dda54aad89a88c7e77a9d');
INSERT INTO dx_declared VALUES(4,'ebb49df23f879a195c90e01e34c444629436108f2cb0ed09dd94bd68338ce780');
CREATE TABLE dx_declared_sql (object INTEGER, place INTEGER, sql TEXT NOT NULL, PRIMARY KEY (object, place)) WITHOUT ROWID;
INSERT INTO dx_declared_sql VALUES(1,0,'CREATE TABLE account (id INTEGER PRIMARY KEY, name TEXT, owner TEXT, credit REAL)');
INSERT INTO dx_declared_sql VALUES(1,1,'CREATE INDEX account_owner ON account (owner)');
INSERT INTO dx_declared_sql VALUES(2,0,'CREATE TABLE contact (code TEXT PRIMARY KEY, account INTEGER REFERENCES account, email TEXT, photo) WITHOUT ROWID');
INSERT INTO dx_declared_sql VALUES(2,1,'CREATE INDEX contact_account ON contact (account)');
INSERT INTO dx_declared_sql VALUES(3,0,'CREATE TABLE visit (account INTEGER, day TEXT, note TEXT, PRIMARY KEY (account, day))');
INSERT INTO dx_declared_sql VALUES(4,0,'CREATE TABLE product (id INTEGER PRIMARY KEY, name TEXT)');
CREATE TABLE dx_set_aside ( kind TEXT NOT NULL, obj INTEGER NOT NULL, node INTEGER NOT NULL, key NOT NULL, shown TEXT NOT NULL, position INTEGER NOT NULL, run INTEGER NOT NULL, since TEXT NOT NULL, reason TEXT NOT NULL, remedy TEXT NOT NULL, PRIMARY KEY (kind, obj, node, key)) WITHOUT ROWID;
CREATE TABLE dx_set_aside_node ( obj INTEGER NOT NULL, node INTEGER NOT NULL, bare INTEGER NOT NULL, PRIMARY KEY (obj, node)) WITHOUT ROWID;
CREATE TABLE dx_routed ( id INTEGER PRIMARY KEY, name TEXT NOT NULL, user TEXT NOT NULL, package TEXT NOT NULL);
INSERT INTO dx_routed VALUES(1,'ann','ann','p');
INSERT INTO dx_routed VALUES(2,'bob','bob','p');
CREATE TABLE dx_member_1 (key INTEGER PRIMARY KEY, audience INTEGER NOT NULL);
INSERT INTO dx_member_1 VALUES(1,1);
INSERT INTO dx_member_1 VALUES(2,1);
INSERT INTO dx_member_1 VALUES(3,2);
CREATE TABLE dx_member_2 (key PRIMARY KEY, audience INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO dx_member_2 VALUES('c1',1);
INSERT INTO dx_member_2 VALUES('c2',1);
INSERT INTO dx_member_2 VALUES('c3',2);
CREATE TABLE dx_member_3 (key PRIMARY KEY, audience INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO dx_member_3 VALUES(X'01000000000000000103036d6f6e',1);
INSERT INTO dx_member_3 VALUES(X'0100000000000000020303747565',1);
INSERT INTO dx_member_3 VALUES(X'0100000000000000030303776564',2);
CREATE TABLE dx_member_4 (key INTEGER PRIMARY KEY, audience INTEGER NOT NULL);
CREATE TABLE dx_offer (node INTEGER PRIMARY KEY, before TEXT NOT NULL, epoch TEXT NOT NULL, archive INTEGER NOT NULL, merged INTEGER NOT NULL, rekey INTEGER NOT NULL);
INSERT INTO dx_offer VALUES(1,'966b19ec28046380','966b19ec28046380',0,0,0);
INSERT INTO dx_offer VALUES(2,'354d591a112db89d','354d591a112db89d',0,0,0);
CREATE TABLE dx_numbering (node INTEGER, epoch TEXT, PRIMARY KEY (node, epoch)) WITHOUT ROWID;
INSERT INTO dx_numbering VALUES(1,'966b19ec28046380');
INSERT INTO dx_numbering VALUES(2,'354d591a112db89d');
CREATE TABLE dx_merges (node TEXT PRIMARY KEY, hour TEXT, n INTEGER) WITHOUT ROWID;
INSERT INTO dx_merges VALUES('ann','2026-11-29T14',1);
CREATE TABLE dx_verdict (id INTEGER PRIMARY KEY, node INTEGER NOT NULL, archive INTEGER, kind TEXT NOT NULL, outcome TEXT NOT NULL, tbl TEXT NOT NULL, col TEXT, reason TEXT, change BLOB NOT NULL);
INSERT INTO dx_verdict VALUES(1,1,3,'update','ours','account','name',NULL,X'1702030269640100000000000000010003046e616d6503036f6e650306746865697273');
INSERT INTO dx_verdict VALUES(2,1,3,'quarantine','waits','contact',NULL,NULL,X'12040304636f6465000302633903076163636f756e74000100000000000000040305656d61696c0003046c6f7374030570686f746f0005');
CREATE TABLE dx_conflict (id INTEGER PRIMARY KEY, kind TEXT, tbl TEXT, col TEXT, key, base, ours, theirs, incoming BLOB, row BLOB, outcome TEXT, reason TEXT, origin TEXT, archive TEXT, resolved TEXT, made TEXT, own INTEGER NOT NULL DEFAULT 0);
INSERT INTO dx_conflict VALUES(1,'update','account','name',1,'one','ours','theirs',NULL,NULL,'ours',NULL,'ann','ann 1',NULL,'2026-11-29T14:02:37Z',0);
INSERT INTO dx_conflict VALUES(2,'rekey','product',NULL,3,NULL,NULL,NULL,X'1202030269640001000000000000000303046e616d65000303616e6e',X'1202030269640001000000000000000303046e616d650003026871','theirs','its row got another key','ann','ann 1','rekeyed','2026-11-29T14:02:37Z',0);
CREATE TABLE dx_rekey (id INTEGER PRIMARY KEY, node INTEGER NOT NULL, tbl TEXT NOT NULL, old NOT NULL, new NOT NULL, archive INTEGER, refs TEXT, adopt INTEGER NOT NULL DEFAULT 0);
INSERT INTO dx_rekey VALUES(1,1,'product',3,543834088024249,3,'',0);
CREATE TABLE dx_quarantine (id INTEGER PRIMARY KEY, way INTEGER, judged INTEGER, tbl TEXT, key, origin TEXT, archive TEXT, reason TEXT, change BLOB, sent_back INTEGER);
INSERT INTO dx_quarantine VALUES(1,1,1,'contact','c9','ann','ann 1','it refers to account 4, which is not there',X'12040304636f6465000302633903076163636f756e74000100000000000000040305656d61696c0003046c6f7374030570686f746f0005',3);
CREATE TABLE dx_quarantine_parent (entry INTEGER PRIMARY KEY, tbl TEXT NOT NULL COLLATE NOCASE, key);
INSERT INTO dx_quarantine_parent VALUES(1,'account',4);
CREATE TABLE dx_seen (kind TEXT, epoch TEXT, number INTEGER, digest TEXT, PRIMARY KEY (kind, epoch, number)) WITHOUT ROWID;
INSERT INTO dx_seen VALUES('upload','966b19ec28046380',1,'0a82d26ee42807c72247fc8546672f3de04fbded48a768e28067e2964240968e');
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('dx_nodes',2);
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
CREATE TRIGGER dx_u_3 AFTER UPDATE OF "name" ON "product"
WHEN NOT (OLD."id" IS NOT NEW."id") AND (OLD."name" IS NOT NEW."name") BEGIN
 INSERT INTO dx_journal (what, c0, c1, d1) VALUES (26, NEW."id", CASE WHEN OLD."name" IS NOT NEW."name" THEN OLD."name" END, CASE WHEN OLD."name" IS NOT NEW."name" THEN NEW."name" END);
END;
CREATE TRIGGER dx_s_3 AFTER DELETE ON dx_replaced_3
WHEN OLD.seq IS NOT NULL AND NOT EXISTS (SELECT 1 FROM dx_journal
  WHERE seq > OLD.seq AND what IN (27, 28) AND c0 IS OLD.c0) BEGIN
 INSERT INTO dx_journal (what, c0, c1) VALUES (27, OLD.c0, OLD.c1);
END;
CREATE TRIGGER dx_c_3 BEFORE UPDATE OF "id", rowid, _rowid_, oid ON "product"
WHEN EXISTS (SELECT 1 FROM "product" WHERE "id" = NEW."id" AND NOT ("id" = OLD."id")) BEGIN
 UPDATE dx_replaced_3 SET seq = NULL;
 DELETE FROM dx_replaced_3;
 INSERT INTO dx_replaced_3 (seq, c0, c1)
  SELECT (SELECT coalesce(max(seq), 0) FROM dx_journal), "id", "name" FROM "product"
  WHERE (("id" = NEW."id")) AND NOT ("id" = OLD."id");
END;
CREATE TRIGGER dx_b_3 BEFORE INSERT ON "product"
WHEN EXISTS (SELECT 1 FROM "product" WHERE "id" = NEW."id") BEGIN
 UPDATE dx_replaced_3 SET seq = NULL;
 DELETE FROM dx_replaced_3;
 INSERT INTO dx_replaced_3 (seq, c0, c1)
  SELECT (SELECT coalesce(max(seq), 0) FROM dx_journal), "id", "name" FROM "product" WHERE ("id" = NEW."id");
END;
CREATE TRIGGER dx_k_3 AFTER UPDATE OF "id", rowid, _rowid_, oid ON "product"
WHEN OLD."id" IS NOT NEW."id" BEGIN
 DELETE FROM dx_replaced_3 WHERE ((NEW."id" = dx_replaced_3.c0) OR (NOT EXISTS (SELECT 1 FROM "product" WHERE "product"."id" = dx_replaced_3.c0))) AND NOT (OLD."id" = dx_replaced_3.c0);
 INSERT INTO dx_journal (what, c0, c1, d0, d1) VALUES (28, OLD."id", OLD."name", NEW."id", NEW."name");
END;
CREATE TRIGGER dx_d_3 AFTER DELETE ON "product" BEGIN
 INSERT INTO dx_journal (what, c0, c1) VALUES (27, OLD."id", OLD."name");
END;
CREATE TRIGGER dx_i_3 AFTER INSERT ON "product" BEGIN
 DELETE FROM dx_replaced_3 WHERE (NEW."id" = dx_replaced_3.c0) OR (NOT EXISTS (SELECT 1 FROM "product" WHERE "product"."id" = dx_replaced_3.c0));
 INSERT INTO dx_journal (what, c0, c1) VALUES (25, NEW."id", NEW."name");
END;
CREATE TRIGGER dx_u_4 AFTER UPDATE OF "note" ON "visit"
WHEN NOT (OLD."account" IS NOT NEW."account" OR NEW."account" = -9223372036854775808 AND typeof(OLD."account") <> typeof(NEW."account") OR OLD."day" IS NOT NEW."day") AND (OLD."note" IS NOT NEW."note") BEGIN
 INSERT INTO dx_journal (what, c0, c1, c2, d2) VALUES (34, NEW."account", NEW."day", CASE WHEN OLD."note" IS NOT NEW."note" THEN OLD."note" END, CASE WHEN OLD."note" IS NOT NEW."note" THEN NEW."note" END);
END;
CREATE TRIGGER dx_s_4 AFTER DELETE ON dx_replaced_4
WHEN OLD.seq IS NOT NULL AND NOT EXISTS (SELECT 1 FROM dx_journal
  WHERE seq > OLD.seq AND what IN (35, 36) AND c0 IS OLD.c0 AND c1 IS OLD.c1) BEGIN
 INSERT INTO dx_journal (what, c0, c1, c2) VALUES (35, OLD.c0, OLD.c1, OLD.c2);
END;
CREATE TRIGGER dx_c_4 BEFORE UPDATE OF "account", "day", rowid, _rowid_, oid ON "visit"
WHEN EXISTS (SELECT 1 FROM "visit" WHERE "account" = NEW."account" COLLATE "BINARY" AND "day" = NEW."day" COLLATE "BINARY" AND NOT ("account" = OLD."account" AND "day" = OLD."day"))
 OR EXISTS (SELECT 1 FROM "visit" WHERE rowid = NEW.rowid AND NOT ("account" = OLD."account" AND "day" = OLD."day")) BEGIN
 UPDATE dx_replaced_4 SET seq = NULL;
 DELETE FROM dx_replaced_4;
 INSERT INTO dx_replaced_4 (seq, c0, c1, c2)
  SELECT (SELECT coalesce(max(seq), 0) FROM dx_journal), "account", "day", "note" FROM "visit"
  WHERE (("account" = NEW."account" COLLATE "BINARY" AND "day" = NEW."day" COLLATE "BINARY") OR (rowid = NEW.rowid)) AND NOT ("account" = OLD."account" AND "day" = OLD."day");
END;
CREATE TRIGGER dx_b_4 BEFORE INSERT ON "visit"
WHEN EXISTS (SELECT 1 FROM "visit" WHERE "account" = NEW."account" COLLATE "BINARY" AND "day" = NEW."day" COLLATE "BINARY")
 OR EXISTS (SELECT 1 FROM "visit" WHERE rowid = NEW.rowid) BEGIN
 UPDATE dx_replaced_4 SET seq = NULL;
 DELETE FROM dx_replaced_4;
 INSERT INTO dx_replaced_4 (seq, c0, c1, c2)
  SELECT (SELECT coalesce(max(seq), 0) FROM dx_journal), "account", "day", "note" FROM "visit" WHERE ("account" = NEW."account" COLLATE "BINARY" AND "day" = NEW."day" COLLATE "BINARY") OR (rowid = NEW.rowid);
END;
CREATE TRIGGER dx_k_4 AFTER UPDATE OF "account", "day", rowid, _rowid_, oid ON "visit"
WHEN OLD."account" IS NOT NEW."account" OR NEW."account" = -9223372036854775808 AND typeof(OLD."account") <> typeof(NEW."account") OR OLD."day" IS NOT NEW."day" BEGIN
 SELECT RAISE(ABORT, 'dx: table visit: NULL in key column account cannot be synchronized') WHERE NEW."account" IS NULL;
 SELECT RAISE(ABORT, 'dx: table visit: NULL in key column day cannot be synchronized') WHERE NEW."day" IS NULL;
 DELETE FROM dx_replaced_4 WHERE ((NEW."account" = dx_replaced_4.c0 AND NEW."day" = dx_replaced_4.c1) OR (NOT EXISTS (SELECT 1 FROM "visit" WHERE "visit"."account" = dx_replaced_4.c0 AND "visit"."day" = dx_replaced_4.c1))) AND NOT (OLD."account" = dx_replaced_4.c0 AND OLD."day" = dx_replaced_4.c1);
 INSERT INTO dx_journal (what, c0, c1, c2, d0, d1, d2) VALUES (36, OLD."account", OLD."day", OLD."note", NEW."account", NEW."day", NEW."note");
END;
CREATE TRIGGER dx_q_4 AFTER UPDATE OF rowid, _rowid_, oid ON "visit"
WHEN NOT (OLD."account" IS NOT NEW."account" OR NEW."account" = -9223372036854775808 AND typeof(OLD."account") <> typeof(NEW."account") OR OLD."day" IS NOT NEW."day") AND (OLD.rowid <> NEW.rowid) BEGIN
 DELETE FROM dx_replaced_4 WHERE NOT EXISTS (SELECT 1 FROM "visit" WHERE "visit"."account" = dx_replaced_4.c0 AND "visit"."day" = dx_replaced_4.c1);
END;
CREATE TRIGGER dx_d_4 AFTER DELETE ON "visit" BEGIN
 INSERT INTO dx_journal (what, c0, c1, c2) VALUES (35, OLD."account", OLD."day", OLD."note");
END;
CREATE TRIGGER dx_i_4 AFTER INSERT ON "visit" BEGIN
 SELECT RAISE(ABORT, 'dx: table visit: NULL in key column account cannot be synchronized') WHERE NEW."account" IS NULL;
 SELECT RAISE(ABORT, 'dx: table visit: NULL in key column day cannot be synchronized') WHERE NEW."day" IS NULL;
 DELETE FROM dx_replaced_4 WHERE (NEW."account" = dx_replaced_4.c0 AND NEW."day" = dx_replaced_4.c1) OR (NOT EXISTS (SELECT 1 FROM "visit" WHERE "visit"."account" = dx_replaced_4.c0 AND "visit"."day" = dx_replaced_4.c1));
 INSERT INTO dx_journal (what, c0, c1, c2) VALUES (33, NEW."account", NEW."day", NEW."note");
END;
CREATE VIEW dx_node (name, user, package, status) AS SELECT name, user, package, iif(active, 'active', 'ended') FROM dx_nodes;
CREATE INDEX dx_audience_hash ON dx_audience (hash);
CREATE INDEX dx_verdict_node ON dx_verdict (node, archive);
CREATE INDEX dx_quarantine_row ON dx_quarantine (origin, tbl, key);
CREATE INDEX dx_quarantine_parent_row ON dx_quarantine_parent (tbl, key);
COMMIT;
