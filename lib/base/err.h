/* err: the one message that says why the last library call failed, and the exit code it stands for. */
#ifndef ERR_H
#define ERR_H

/* The exit codes of every command (design: "For people and for scripts"). */
enum err_code {
    ERR_LOOK = 1,    /* done, and there is something to look at */
    ERR_USAGE = 2,   /* the command line is wrong */
    ERR_REFUSED = 3, /* the input is refused, nothing changed */
    ERR_SYSTEM = 4,  /* disk, memory, permissions, SQLite I/O */
    ERR_GUARD = 5,   /* a guard stopped it before the commit */
    ERR_BUSY = 6,    /* someone holds the lock */
    ERR_AGAIN = 7    /* sync again */
};

/* Records the message and its code. Returns -1, so that a function can `return fail(...)`. */
int fail(enum err_code code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The same with code ERR_SYSTEM and ": " and strerror(errno) appended. */
int fail_errno(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Puts "context: " before the message recorded last; its code stays. Returns -1. */
int fail_in(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Lines to show below the message recorded last, as what is to be put into a file. Returns -1. */
int fail_show(const char *lines);

/* The message recorded last ("" if none), and the lines below it (""); valid until the next fail. */
const char *err_message(void);
const char *err_lines(void);

/* Its code. */
enum err_code err_code(void);

#endif
