/* perilune resume: executes the script of a run again, from the database; its fits find what was recorded of them. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/database.h"
#include "script/script.h"

static const cli_option options[] = {
    {"threads", "N", "how many threads train (default: all cores)"},
    DATABASE_OPTION,
    {"plugins", "FOLDERS", "where plugins are looked for first, separated by ':'"},
    {"quiet", NULL, "no progress on stderr"},
    {NULL, NULL, NULL},
};

/* What the command needs of the database before it lets go of it. */
typedef struct task {
    int64_t run;
    int nothing;                /* it is said why, and all is well */
    store_launch_detail launch; /* the newest of the run's chain */
    char *database;             /* absolute */
    const char **sets;          /* ended by NULL; of the JSON below */
    json_t *overrides;
} task;

static void free_task(task *t)
{
    store_launch_detail_free(&t->launch);
    free(t->database);
    free(t->sets);
    json_decref(t->overrides);
}

/* ----------------------------------------------------------------------------------- may it be gone on with? ---- */

/* Is the process that recorded a launch still there?  It is the same program under the same number; a script is between
 * two fits then. */
static int process_lives(const store_launch *l)
{
    char path[64], host[256] = "", theirs[4096], ours[4096];
    if (l->ended > 0 || l->pid <= 0 || gethostname(host, sizeof host - 1) != 0 || !l->host ||
        strcmp(host, l->host) != 0)
        return 0;
    snprintf(path, sizeof path, "/proc/%lld/exe", (long long)l->pid);
    ssize_t n = readlink(path, theirs, sizeof theirs), m = readlink("/proc/self/exe", ours, sizeof ours);
    return n > 0 && n == m && memcmp(theirs, ours, (size_t)n) == 0 && l->pid != (int64_t)getpid();
}

/* A living run of the same launches keeps everybody else away. */
static int refuse_living(const arguments *a, store *s, int64_t launch)
{
    error e;
    int status = CLI_DONE;
    while (launch && !status) {
        store_launch_detail l;
        store_runs runs;
        store_filter f = store_filter_all();
        f.launch = launch;
        if (store_read_launch(s, launch, &l, &e) != PLN_E_OK)
            return command_error(a->command, &e);
        if (store_list_runs(s, &f, &runs, &e) != PLN_E_OK) {
            store_launch_detail_free(&l);
            return command_error(a->command, &e);
        }
        for (size_t i = 0; i < runs.count && !status; i++) {
            const store_run *r = &runs.run[i];
            if (r->state == STORE_RUNNING && r->alive == STORE_UNKNOWN)
                status =
                    command_fail(a->command, "run %lld is recorded as running on %s, and from here nobody can tell",
                                 (long long)r->id, r->host ? r->host : "another host");
            else if (r->state == STORE_RUNNING)
                status =
                    command_fail(a->command, "run %lld is running (process %lld); stop it with: perilune stop %lld",
                                 (long long)r->id, (long long)r->pid, (long long)r->id);
        }
        if (!status && process_lives(&l.launch))
            status = command_fail(a->command, "its script is still running (process %lld)", (long long)l.launch.pid);
        launch = l.launch.resumes < launch ? l.launch.resumes : 0;
        store_runs_free(&runs);
        store_launch_detail_free(&l);
    }
    return status;
}

/* A run that is done needs nothing, unless its script was interrupted afterwards. */
static void look_at_state(task *t, const store_run *r)
{
    int over = r->state == STORE_DONE || r->state == STORE_CACHED || r->state == STORE_PRUNED;
    const store_launch *l = &t->launch.launch;
    if (!over)
        return;
    if (l->ended > 0 && l->exit_status == 0) {
        t->nothing = 1;
        fprintf(stderr, "run %lld is %s: there is nothing to go on with\n", (long long)r->id,
                store_state_names[r->state]);
    } else {
        fprintf(stderr, "run %lld is %s; going on with its script, which %s\n", (long long)r->id,
                store_state_names[r->state], l->ended > 0 ? "did not end well" : "did not come to its end");
    }
}

/* ------------------------------------------------------------------------------------------- what is executed ---- */

static int read_overrides(const arguments *a, task *t)
{
    const char *text = t->launch.launch.overrides;
    t->overrides = json_loads(text ? text : "{}", 0, NULL);
    json_t *sets = json_object_get(t->overrides, "set");
    size_t n = json_array_size(sets);
    if (!t->overrides)
        return command_fail(a->command, "launch %lld is damaged: its overrides are no JSON (%s)",
                            (long long)t->launch.launch.id, text);
    t->sets = calloc(n + 1, sizeof *t->sets);
    if (!t->sets)
        return command_fail(a->command, "out of memory");
    for (size_t i = 0, k = 0; i < n; i++)
        if (json_is_string(json_array_get(sets, i)))
            t->sets[k++] = json_string_value(json_array_get(sets, i));
    return CLI_DONE;
}

/* Says in one line when the script's file is not what is executed. */
static void compare_file(const store_file *script)
{
    FILE *f = fopen(script->name, "rb");
    if (!f) {
        fprintf(stderr, "note: %s cannot be read any more (%s); its recorded text is executed\n", script->name,
                strerror(errno));
        return;
    }
    size_t at = 0, n = 0;
    char part[4096];
    int same = 1;
    while (same && (n = fread(part, 1, sizeof part, f)) > 0) {
        same = n <= script->bytes - at && memcmp(part, script->text + at, n) == 0;
        at += n;
    }
    same = same && at == script->bytes;
    fclose(f);
    if (!same)
        fprintf(stderr, "note: %s has changed since; its recorded text is executed\n", script->name);
}

static int read_task(const arguments *a, store *s, task *t)
{
    error e;
    store_detail d = {0};
    int64_t newest = 0;
    int status = database_find_run(a, s, a->words[0], &t->run);
    if (status)
        return status;
    if (store_read_run(s, t->run, &d, &e) != PLN_E_OK)
        return command_error(a->command, &e);
    if (!d.run.launch)
        status =
            command_fail(a->command, "run %lld was recorded without its script, so that it cannot be executed again",
                         (long long)t->run);
    else if (store_newest_launch(s, d.run.launch, &newest, &e) != PLN_E_OK ||
             store_read_launch(s, newest, &t->launch, &e) != PLN_E_OK)
        status = command_error(a->command, &e);
    else if (!t->launch.launch.script.text || !t->launch.launch.script.name)
        status = command_fail(a->command,
                              "run %lld was typed in or recorded without its script's text, so that it cannot be "
                              "executed again",
                              (long long)t->run);
    if (!status)
        status = refuse_living(a, s, newest);
    if (!status)
        look_at_state(t, &d.run);
    if (!status)
        status = read_overrides(a, t);
    if (!status && !(t->database = text_copy(store_path(s))))
        status = command_fail(a->command, "out of memory");
    store_detail_free(&d);
    return status;
}

static int execute(const arguments *a, const task *t)
{
    const store_launch *l = &t->launch.launch;
    const json_t *seed = json_object_get(t->overrides, "seed");
    const char *folders = arguments_text(a, "plugins");
    int64_t threads = 0;
    if (arguments_integer(a, "threads", 1, 256, &threads))
        return CLI_MISUSED;
    if (l->folder && chdir(l->folder) != 0)
        return command_fail(a->command, "cannot go to the folder that the script ran in, %s: %s", l->folder,
                            strerror(errno));
    compare_file(&l->script);
    char *const *args = (char *const *)(uintptr_t)l->args;
    const script_settings settings = {
        .script = l->script.name,
        .args = args,
        .nargs = (int)l->arg_count,
        .database = t->database,
        .plugins = folders ? folders : json_string_value(json_object_get(t->overrides, "plugins")),
        .sets = t->sets,
        .has_seed = json_is_integer(seed),
        .seed = (uint64_t)json_integer_value(seed),
        .threads = (int)threads,
        .quiet = arguments_given(a, "quiet"),
        .resumes = l->id,
        .text = &l->script,
        .modules = l->modules,
        .nmodules = l->module_count,
    };
    return script_run(&settings);
}

static int run(const arguments *a)
{
    task t = {0};
    store *s = NULL;
    int status = database_open(a, STORE_WRITE, &s);
    if (!status)
        status = read_task(a, s, &t);
    status = database_close(a, s, status);
    if (!status && !t.nothing)
        status = execute(a, &t);
    free_task(&t);
    return status;
}

const command command_resume = {
    .name = "resume",
    .summary = "Go on with a run that was interrupted or lost",
    .usage = "RUN [options]",
    .text =
        "Executes the run's script again, as it was recorded, in the folder it ran in.  Fits that are done give back\n"
        "their history and weights; the interrupted one goes on from its last checkpoint, and epochs that were\n"
        "recorded after it are computed again and compared with their rows.  The result is the same, bit for bit.\n"
        "RUN is a number, a uuid, or \"last\".  Checkpoints are written each second ($PERILUNE_CHECKPOINT says "
        "another\n"
        "number of seconds), but never so often that they take more than 1 % of the time.",
    .options = options,
    .example = "perilune resume last",
    .min_words = 1,
    .max_words = 1,
    .run = run,
};
