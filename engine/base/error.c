#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void error_fill(error *e, int status, const char *format, ...)
{
    if (e) {
        va_list args;
        va_start(args, format);
        e->status = status;
        vsnprintf(e->text, sizeof e->text, format, args);
        va_end(args);
    }
}

int error_system(error *e, int errnum, const char *format, ...)
{
    int status = errnum == ENOSPC || errnum == EDQUOT ? PLN_E_FULL : errnum == ENOMEM ? PLN_E_MEMORY : PLN_E_IO;
    if (e) {
        va_list args;
        va_start(args, format);
        e->status = status;
        int n = vsnprintf(e->text, sizeof e->text, format, args);
        va_end(args);
        if (n >= 0 && (size_t)n < sizeof e->text) {
            char room[128]; /* GNU's strerror_r returns the text, which need not be in it */
            snprintf(e->text + n, sizeof e->text - (size_t)n, ": %s", strerror_r(errnum, room, sizeof room));
        }
    }
    return status;
}

void error_prefix(error *e, const char *format, ...)
{
    if (!e)
        return;
    char joined[sizeof e->text];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(joined, sizeof joined, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof joined)
        return;
    snprintf(joined + n, sizeof joined - (size_t)n, "%s", e->text);
    memcpy(e->text, joined, sizeof e->text);
}
