/* Labels and their items. */
#include "cli/flow.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/words.h"

#define LABEL 14 /* cells */
#define GAP   3

flow flow_begin(const view_style *style, const char *label)
{
    return (flow){.style = *style, .label = label};
}

static void begin_line(flow *f)
{
    if (f->at)
        putchar('\n');
    int pad = LABEL - words_width(f->label);
    printf("%s%s%s%*s", ink_on(&f->style, INK_DIM), f->label, ink_off(&f->style, INK_DIM), pad > 0 ? pad : 0, "");
    f->label = "";
    f->at = LABEL;
}

void flow_item(flow *f, int ink, const char *format, ...)
{
    char *s = NULL;
    va_list list;
    va_start(list, format);
    int n = vasprintf(&s, format, list);
    va_end(list);
    if (n < 0)
        return;
    words_clean(s);
    int width = words_width(s);
    if (!f->at || (f->at > LABEL && f->at + GAP + width > f->style.width))
        begin_line(f);
    printf("%*s%s%s%s", f->at > LABEL ? GAP : 0, "", ink_on(&f->style, ink), s, ink_off(&f->style, ink));
    f->at += (f->at > LABEL ? GAP : 0) + width;
    free(s);
}

void flow_line(flow *f)
{
    if (f->at > LABEL)
        begin_line(f);
}

void flow_end(flow *f)
{
    if (f->at)
        putchar('\n');
    f->at = 0;
}
