/* flow.h: lines of a label and what belongs to it, wrapped to the terminal between items, never within one.
 *
 *     given         batch_size 32   epochs 5   loss sparse_categorical_crossentropy
 *                   optimizer Adam
 *
 *     flow f = flow_begin(&style, "given");
 *     flow_item(&f, INK_PLAIN, "%s %s", name, value);
 *     flow_end(&f);                         // nothing is printed when there was no item
 *
 * Control characters are shown as '?'.  Prints on standard output.  Thread rule: one thread.
 */
#ifndef CLI_FLOW_H
#define CLI_FLOW_H

#include "cli/table.h"

typedef struct flow {
    view_style style;
    const char *label;
    int at; /* cells printed in this line; 0: nothing yet */
} flow;

flow flow_begin(const view_style *style, const char *label);
void flow_item(flow *f, int ink /* INK_* */, const char *format, ...) ERROR_FORMAT(3, 4);
void flow_line(flow *f); /* the next item begins a line */
void flow_end(flow *f);

#endif
