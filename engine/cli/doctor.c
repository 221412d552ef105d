/* perilune doctor: is everything there that training needs, and does it work? */
#include "cli/doctor.h"

#include <stdarg.h>
#include <stdlib.h>

#include "cli/database.h"
#include "cli/json.h"
#include "cli/table.h"

static const cli_option options[] = {
    {"quick", NULL, "no measuring and no training"},
    JSON_OPTION,
    {"plugins", "FOLDERS", "where plugins are looked for first, separated by ':'"},
    DATABASE_OPTION,
    {NULL, NULL, NULL},
};

static const char *const level_names[] = {"good", "note", "bad"};
static const char *const marks[] = {"ok", "note", "BAD"};
static const int mark_inks[] = {INK_GOOD, INK_WARN, INK_BAD};

void finding_add(findings *f, int level, const char *what, const char *wanted, const char *format, ...)
{
    va_list list;
    if (f->count == f->room) {
        int room = f->room ? 2 * f->room : 32;
        finding *grown = realloc(f->list, (size_t)room * sizeof *grown);
        if (!grown) {
            f->failed = 1;
            return;
        }
        f->list = grown;
        f->room = room;
    }
    finding *x = &f->list[f->count++];
    *x = (finding){.level = level};
    snprintf(x->what, sizeof x->what, "%s", what);
    snprintf(x->wanted, sizeof x->wanted, "%s", wanted ? wanted : "");
    va_start(list, format);
    vsnprintf(x->found, sizeof x->found, format, list);
    va_end(list);
}

static int worst(const findings *f)
{
    int level = FINDING_GOOD;
    for (int i = 0; i < f->count; i++)
        level = f->list[i].level > level ? f->list[i].level : level;
    return level;
}

static int print_findings(const findings *f, int from)
{
    static const table_column columns[] = {{"", 0, 0, 0}, {"", 0, 0, 0}, {"", TABLE_WRAP, 24, 0}, {NULL, 0, 0, 0}};
    view_style style = style_of_output(0);
    table t = table_begin(columns, &style);
    t.untitled = 1;
    for (int i = from; i < f->count; i++) {
        const finding *x = &f->list[i];
        /* all groups get equal columns */
        table_cell(&t, mark_inks[x->level], "%-4s", marks[x->level]);
        table_cell(&t, INK_PLAIN, "%-9s", x->what);
        table_cell(&t, INK_PLAIN, "%s%s%s%s", x->found, *x->wanted ? "   (wanted: " : "", x->wanted,
                   *x->wanted ? ")" : "");
    }
    int failed = table_print(&t, 0, stdout);
    table_free(&t);
    fflush(stdout);
    return failed;
}

static json_t *findings_json(const findings *f)
{
    json_t *list = json_array();
    for (int i = 0; i < f->count; i++) {
        const finding *x = &f->list[i];
        list = json_push(list, JSON_OBJECT({"what", json_text(x->what)}, {"level", json_text(level_names[x->level])},
                                           {"found", json_text(x->found)},
                                           {"wanted", *x->wanted ? json_text(x->wanted) : json_null()}));
    }
    return JSON_OBJECT({"ready", json_boolean(worst(f) < FINDING_BAD)}, {"findings", list});
}

static void print_verdict(const findings *f)
{
    view_style style = style_of_output(0);
    int level = worst(f), bad = 0;
    for (int i = 0; i < f->count; i++)
        bad += f->list[i].level == FINDING_BAD;
    if (level == FINDING_BAD)
        printf("\n%snot ready%s: %d of these must be put right first\n", ink_on(&style, INK_BAD),
               ink_off(&style, INK_BAD), bad);
    else
        printf("\n%sready%s: everything that training needs is here and works\n", ink_on(&style, INK_GOOD),
               ink_off(&style, INK_GOOD));
}

/* Each part is shown as soon as it is known: measuring and training take a second. */
static int run(const arguments *a)
{
    findings f = {0};
    const char *folders = arguments_text(a, "plugins");
    int json = arguments_given(a, "json"), quick = arguments_given(a, "quick"), shown = 0, failed = 0;
    for (int part = 0; part < 7 && !failed; part++) {
        if (part == 0)
            doctor_libraries(&f);
        if (part == 1)
            doctor_machine(&f);
        if (part == 2 && !quick)
            doctor_speed(&f);
        if (part == 3)
            doctor_plugins(&f, folders);
        if (part == 4)
            doctor_data(&f);
        if (part == 5)
            doctor_places(&f, database_path(a));
        if (part == 6 && !quick)
            doctor_training(&f, folders);
        failed = f.failed || (!json && print_findings(&f, shown));
        shown = f.count;
    }
    int status = failed ? command_fail(a->command, "out of memory") : worst(&f) == FINDING_BAD ? CLI_FAILED : CLI_DONE;
    if (!failed && json && json_print(a, findings_json(&f)) != CLI_DONE)
        status = CLI_FAILED;
    if (!failed && !json)
        print_verdict(&f);
    free(f.list);
    return status;
}

const command command_doctor = {
    .name = "doctor",
    .summary = "Check libraries, machine, plugins, data; train a small net twice",
    .usage = "[options]",
    .text =
        "Says for each component what was found and what is wanted, measures the matrix kernel, and trains a small\n"
        "net on drawn digits with one and with two threads, whose results must be the same bits.  Exit status 0 when\n"
        "all that training needs is there and works.",
    .options = options,
    .example = "perilune doctor\nperilune doctor --quick --json",
    .min_words = 0,
    .max_words = 0,
    .run = run,
};
