/* mail: see mail.h. */
#include "mail.h"

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "stage.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *mail_kept(const char *name, const struct run *r, int node, int64_t number)
{
    return mem_printf("%s-n%d.%d/%08lld.dx", name, node, r->client[node].generation, (long long)number);
}

bool mail_same(const char *a, const char *b)
{
    struct buf x = {0}, y = {0};
    bool same = file_load(a, 1 << 24, &x) == 0 && file_load(b, 1 << 24, &y) == 0 && x.n == y.n &&
                memcmp(x.p, y.p, x.n) == 0;
    buf_free(&x);
    buf_free(&y);
    return same;
}

int mail_keep(const struct run *r, const char *name, int node, const char *spool)
{
    DIR *d = opendir(spool);
    int rc = 0;
    for (struct dirent *e; d && rc == 0 && (e = readdir(d));) {
        long long number = strtoll(e->d_name, NULL, 10);
        if (number <= 0 || strlen(e->d_name) != 11)
            continue;
        char *from = file_join(spool, e->d_name), *to = mail_kept(name, r, node, number);
        if (!file_exists(to))
            rc = link(from, to) ? stage_broke("%s: %s", to, strerror(errno)) : 0;
        else if (!mail_same(from, to))
            rc = stage_broke("%s is not what it was when it had that name first", from);
        free(from);
        free(to);
    }
    if (d)
        closedir(d);
    return rc;
}

int mail_keep_downloads(const struct run *r)
{
    int rc = 0;
    for (int n = 0; rc == 0 && n < r->h->nnode; n++) {
        char *spool = mem_printf("docking/n%d/outbox", n);
        rc = r->client[n].stale ? 0 : mail_keep(r, "down", n, spool);
        free(spool);
    }
    return rc;
}

/* The newest archive that was kept; numbers begin where the snapshot stands. */
static int64_t newest(const char *name, const struct run *r, int node)
{
    int64_t n = 0;
    char *path = mail_kept(name, r, node, 1);
    path[strlen(path) - strlen("/00000001.dx")] = 0;
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        long long number = strtoll(e->d_name, NULL, 10);
        n = number > n ? number : n;
    }
    if (d)
        closedir(d);
    free(path);
    return n;
}

enum damage mail_damage(const struct sim_step *s)
{
    return s == NULL || s->damage < 70 ? WHOLE
           : s->damage < 76            ? TWICE
           : s->damage < 84            ? JOINED
           : s->damage < 92            ? CUT
                                       : FLIPPED;
}

/* Writes what is delivered to the file "mail". */
static int write_mail(const struct sim_step *s, const char *path, const char *second, enum damage damage)
{
    struct buf b = {0};
    if (file_load(path, 1 << 24, &b) || (damage == JOINED && file_load(second, 1 << 24, &b)))
        return stage_broke("%s", err_message());
    if (damage == CUT)
        b.n = 1 + (size_t)s->place % (b.n - 1);
    if (damage == FLIPPED)
        b.p[(size_t)(s->place / 8) % b.n] ^= (uint8_t)(1 << s->place % 8);
    FILE *f = fopen("mail", "w");
    if (f == NULL)
        abort();
    fwrite(b.p, 1, b.n, f);
    fclose(f);
    buf_free(&b);
    return 0;
}

struct delivery {
    const char *name; /* of what is kept */
    int node;
    struct party *to;
    char *db;
    const char *position; /* SQL: the number of the newest that was taken */
};

static int64_t position(const struct delivery *d)
{
    return party_number(d->to->db, d->position, d->node);
}

/* Delivers one; checks what the receiver made of it. */
static int deliver_one(const struct run *r, const struct sim_step *s, const struct delivery *d,
                       int64_t number)
{
    int64_t was = position(d), version = party_version(d->to);
    char *path = mail_kept(d->name, r, d->node, number), *second = mail_kept(d->name, r, d->node, number + 1);
    enum damage damage = mail_damage(s);
    int rc = 0, code;
    if (!file_exists(path) || (damage == JOINED && !file_exists(second)))
        goto out;
    rc = write_mail(s, path, second, damage);
    code = rc ? 0 : RUN(s, "mail", NULL, "dxapply", d->db);
    if (rc || stage_was_hurt(s, code))
        goto out;
    int64_t is = position(d), want = was;
    bool fresh = number == was + 1, damaged = damage == CUT || damage == FLIPPED;
    bool refused = number > was + 1 || (damaged && fresh);
    if (!refused && !damaged) {
        want = number > was ? number : was;
        if (damage == JOINED && number + 1 > want)
            want = number + 1;
    }
    if (refused ? code != 3 : damaged ? code != 3 && code != 0 : code != 0 && code != 1)
        rc = stage_surprise(path, code);
    else if (is != want)
        rc = stage_broke("%s: the newest taken was %lld, is %lld, should be %lld", path, (long long)was,
                         (long long)is, (long long)want);
    else if (is == was && party_version(d->to) != version)
        rc = stage_broke("%s: was to change nothing in %s (exit %d), but wrote to it", path, d->db, code);
    if (rc == 0 && damage == TWICE) {
        version = party_version(d->to);
        code = RUN(NULL, "mail", NULL, "dxapply", d->db);
        if (code != (refused ? 3 : 0) || party_version(d->to) != version)
            rc = stage_surprise("the same again", code);
    }
out:
    free(path);
    free(second);
    return rc;
}

static struct delivery delivery(struct run *r, bool up, int node)
{
    if (up)
        return (struct delivery){"up", node, &r->server, party_database(SERVER),
                                 "SELECT merged FROM dx_nodes WHERE name = 'n%d'"};
    return (struct delivery){"down", node, &r->client[node], party_database(node),
                             "SELECT value FROM dx_meta WHERE name = 'applied'"};
}

int mail_deliver(struct run *r, const struct sim_step *s, bool up)
{
    if (r->client[s->node].db == NULL || r->client[s->node].stale)
        return 0;
    struct delivery d = delivery(r, up, s->node);
    int64_t last = newest(d.name, r, d.node);
    int64_t number = s->which < 70 ? position(&d) + 1 : last ? 1 + s->place % last : 0;
    int rc = number > 0 && number <= last ? deliver_one(r, s, &d, number) : 0;
    free(d.db);
    return rc;
}

int mail_deliver_all(struct run *r, bool up, int node)
{
    struct delivery d = delivery(r, up, node);
    int n = 0, rc = 0;
    for (int64_t last = newest(d.name, r, node), at = position(&d) + 1; rc == 0 && at <= last; at++, n++)
        rc = deliver_one(r, NULL, &d, at);
    free(d.db);
    return rc ? -1 : n;
}
