/* err: see base/err.h. One message for the process; the library is single-threaded. */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static char message[4096], lines[4096];
static enum err_code code_now = ERR_SYSTEM;

__attribute__((format(printf, 2, 0))) static void record(enum err_code code, const char *fmt, va_list ap)
{
    char text[sizeof message];
    vsnprintf(text, sizeof text, fmt, ap);
    memcpy(message, text, sizeof message);
    code_now = code;
}

int fail(enum err_code code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    record(code, fmt, ap);
    va_end(ap);
    *lines = 0;
    return -1;
}

int fail_errno(const char *fmt, ...)
{
    int saved = errno;
    va_list ap;
    va_start(ap, fmt);
    record(ERR_SYSTEM, fmt, ap);
    va_end(ap);
    size_t n = strlen(message);
    snprintf(message + n, sizeof message - n, ": %s", strerror(saved));
    *lines = 0;
    return -1;
}

int fail_in(const char *fmt, ...)
{
    char rest[sizeof message];
    memcpy(rest, message, sizeof rest);
    va_list ap;
    va_start(ap, fmt);
    record(code_now, fmt, ap);
    va_end(ap);
    size_t n = strlen(message), room = sizeof message - n;
    if (snprintf(message + n, room, ": %s", rest) >= (int)room)
        message[sizeof message - 1] = 0; /* a long one is cut */
    return -1;
}

int fail_show(const char *text)
{
    snprintf(lines, sizeof lines, "%s", text);
    return -1;
}

const char *err_lines(void)
{
    return lines;
}

const char *err_message(void)
{
    return message;
}

enum err_code err_code(void)
{
    return code_now;
}
