/* The tables: migrations from every earlier version, the questions that must stay short, and docs/schema.md, whose
 * examples are executed. */
#include <ctype.h>

#include "store_helpers.h"

/* A file as the first `version` migrations made it. */
static void make_old(const char *path, int version)
{
    sqlite3 *db = NULL;
    int step;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "pragma journal_mode = wal", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(schema_migrate(db, 0, version, &step), SQLITE_OK);
    sqlite3_close(db);
}

static const char old_run[] =
    "insert into experiments(id, name, created) values(1, 'old', '2025-01-01T00:00:00.000Z');"
    "insert into launches(id, uuid, script, started) values(1, 'l', 'old.lua', '2025-01-01T00:00:00.000Z');"
    "insert into runs(id, uuid, experiment, launch, state, created)"
    " values(1, 'r', 1, 1, 'done', '2025-01-01T00:00:00.000Z');"
    "insert into params(run, name, value, type) values(1, 'units', 128, 'integer');"
    "insert into epochs(run, epoch, loss) values(1, 1, 0.5);";

static const char *whole_schema(const char *path)
{
    return ask(path,
               "select group_concat(sql, ';') from (select sql from sqlite_schema where sql is not null order by type,"
               " name)");
}

static void every_earlier_version_is_brought_up_to_date_after_a_backup(void **state)
{
    place *p = *state;
    char fresh[160], old[160], backup[192], schema[65536];
    snprintf(fresh, sizeof fresh, "%s/fresh.db", p->folder);
    close_store(open_store(fresh, STORE_WRITE));
    snprintf(schema, sizeof schema, "%s", whole_schema(fresh));
    for (int version = 1; version < schema_version; ++version) {
        snprintf(old, sizeof old, "%s/old%d.db", p->folder, version);
        make_old(old, version);
        execute(old, old_run);
        store *s = open_store(old, STORE_WRITE);
        const char *notice = store_notice(s);
        assert_non_null(notice);
        snprintf(backup, sizeof backup, "%s.v%d.backup", old, version);
        assert_non_null(strstr(notice, backup));
        record_run(s, "new", 0.5, 2);
        store_detail d;
        error e = {0};
        assert_ok(store_read_run(s, 1, &d, &e), e);
        assert_int_equal(d.params, 1);
        assert_int_equal(d.epochs, 1);
        assert_string_equal(d.launch.script.name, "old.lua");
        store_detail_free(&d);
        close_store(s);
        assert_string_equal(whole_schema(old), schema);
        assert_int_equal(atoi(ask(old, "pragma user_version")), schema_version);
        assert_string_equal(ask(old, "pragma foreign_key_check"), "");
        assert_int_equal(atoi(ask(backup, "pragma user_version")), version);
        assert_string_equal(ask(backup, "select name from experiments"), "old");
        assert_string_equal(ask(backup, "select count(*) from epochs"), "1");
        assert_null(store_notice(NULL));
    }
}

static void an_old_file_without_records_needs_no_backup(void **state)
{
    place *p = *state;
    char backup[128];
    make_old(p->db, 1);
    store *s = open_store(p->db, STORE_WRITE);
    assert_null(store_notice(s));
    close_store(s);
    snprintf(backup, sizeof backup, "%s.v1.backup", p->db);
    assert_false(is_there(backup));
}

static void a_backup_never_replaces_another(void **state)
{
    place *p = *state;
    char backup[160];
    make_old(p->db, 2);
    execute(p->db, old_run);
    snprintf(backup, sizeof backup, "%s.v2.backup", p->db);
    execute(backup, "create table precious(x)");
    close_store(open_store(p->db, STORE_WRITE));
    assert_string_equal(ask(backup, "select name from sqlite_schema"), "precious");
    snprintf(backup, sizeof backup, "%s.v2.backup-2", p->db);
    assert_string_equal(ask(backup, "select name from experiments"), "old");
}

static void a_migration_that_fails_leaves_the_file_at_the_version_before(void **state)
{
    place *p = *state;
    error e = {0};
    store *s = NULL;
    make_old(p->db, 1);
    execute(p->db, old_run);
    execute(p->db, "create table tags(in_the_way)"); /* the third migration makes this table */
    assert_int_equal(store_open(p->db, STORE_WRITE, &s, &e), PLN_E_FORMAT);
    assert_says(e, "migration 3 of");
    assert_says(e, "tags");
    assert_string_equal(ask(p->db, "pragma user_version"), "2");
    assert_string_equal(ask(p->db, "select count(*) from sqlite_schema where name = 'metrics'"), "0");
    execute(p->db, "drop table tags");
    close_store(open_store(p->db, STORE_WRITE));
    assert_int_equal(atoi(ask(p->db, "pragma user_version")), schema_version);
}

static void an_older_file_is_read_without_being_changed(void **state)
{
    place *p = *state;
    error e = {0};
    store_detail d;
    make_old(p->db, 1);
    execute(p->db, old_run);
    store *s = open_store(p->db, STORE_READ);
    assert_non_null(strstr(store_notice(s), "is older"));
    assert_ok(store_read_run(s, 1, &d, &e), e);
    assert_int_equal(d.epochs, 1);
    assert_int_equal(d.tags, 0);
    store_detail_free(&d);
    close_store(s);
    assert_string_equal(ask(p->db, "pragma user_version"), "1");
}

/* ------------------------------------------------------------------------------------------- the questions */

/* A database in which every example has an answer: runs 1 to 9, of which 7 and 9 are one computation; sweep 3. */
static void make_example(const place *p)
{
    error e = {0};
    static const char *const args[] = {"--fast"};
    store *s = open_store(p->db, STORE_WRITE);
    for (int i = 1; i <= 9; ++i) {
        store_launch launch = {.script = {.name = "mnist_cnn.lua", .text = i == 9 ? "print '九'" : "print 'nine'"},
                               .args = args,
                               .arg_count = 1};
        store_pair environment[] = {{"cpu", "Zen 4"}, {"blas", i == 9 ? "openblas" : "blis"}};
        store_run run = {.experiment = i % 2 ? "mnist-cnn" : "数字识别",
                         .seed = i == 9 ? 7 : i,
                         .fingerprint = "f",
                         .score_name = "val_accuracy",
                         .score_goal = "max",
                         .parameters = 1000};
        recording *r = NULL;
        assert_ok(store_launch_begin(s, &launch, &e), e);
        assert_ok(store_launch_environment(s, environment, 2, &e), e);
        assert_ok(recording_begin(s, &run, &r, &e), e);
        assert_ok(recording_param(r, "learning_rate", store_real(i < 8 ? 0.0001 * i : 0.01 * i), "script", &e), e);
        assert_ok(recording_param(r, "units", store_integer(16 * i), "default", &e), e);
        assert_ok(recording_param(r, "activation", store_text("relu"), "script", &e), e);
        for (int k = 1; k <= 3; ++k) {
            store_epoch epoch = {.epoch = k, .best_epoch = k, .score = 0.9 + 0.01 * i};
            for (int c = 0; c < EPOCH_COLUMNS; ++c)
                store_epoch_set(&epoch, store_epoch_names[c], c == EPOCH_LOSS && i == 4 && k == 3 ? NAN : 0.5 + c);
            assert_ok(recording_epoch(r, &epoch, &e), e);
            assert_ok(recording_metric(r, &(store_metric){"f1", k, 0.7}, &e), e);
        }
        assert_ok(recording_evaluation(r, &(store_evaluation){"mnist test", "d", "accuracy", 0.98, 0}, &e), e);
        assert_ok(recording_dataset(r, &(store_dataset){"d", "mnist", "train", 60000, 10, "28x28x1", "./data"}, &e), e);
        assert_ok(recording_tag(r, "baseline", &e), e);
        store_end end = {
            .state = i == 5 ? STORE_FAILED : STORE_DONE, .score = NAN, .digest = i == 8 ? "other" : "same"};
        assert_ok(recording_finish(r, &end, &e), e);
        recording_close(r);
        assert_ok(store_launch_end(s, 0, NULL, &e), e);
    }
    store_prediction seven = {.run = 0, .image = "seven.png", .digit = 7, .confidence = 0.8, .truth = -1};
    assert_ok(store_predict(s, &seven, &e), e);
    flush(s);
    close_store(s);
    execute(p->db, "insert into sweeps(id, uuid, experiment, state, created) values(3, 's', 1, 'done', 'now');"
                   "update runs set sweep = 3, trial = id, message = 'loss is no number', source = 'a.lua', line = 3"
                   " where id between 4 and 6");
}

/* Runs SQL in the shell that people use; *lines: of output. */
static void in_shell(const char *path, const char *sql, char *out, size_t size, int *lines)
{
    char command[8192], name[128];
    snprintf(name, sizeof name, "%s.question", path);
    FILE *f = fopen(name, "w");
    fprintf(f, "%s\n", sql);
    fclose(f);
    snprintf(command, sizeof command, "sqlite3 -bail %s < %s 2>&1", path, name);
    f = popen(command, "r");
    assert_non_null(f);
    size_t got = fread(out, 1, size - 1, f);
    out[got] = 0;
    if (pclose(f) != 0)
        fail_msg("%s: %s", sql, out);
    *lines = 0;
    for (char *c = out; *c; ++c)
        *lines += *c == '\n';
}

static int has_shell(void)
{
    return system("command -v sqlite3 >/dev/null 2>&1") == 0;
}

static void the_questions_stay_short(void **state)
{
    place *p = *state;
    char out[16384];
    int lines;
    if (!has_shell())
        skip();
    make_example(p);
    in_shell(p->db, "select id, experiment, score, state from leaderboard limit 5;", out, sizeof out, &lines);
    assert_string_equal(out,
                        "9|mnist-cnn|0.99|done\n8|数字识别|0.98|done\n7|mnist-cnn|0.97|done\n6|数字识别|0.96|done\n"
                        "5|mnist-cnn|0.95|failed\n");
    in_shell(p->db,
             "select epoch, loss, accuracy, val_loss, val_accuracy, learning_rate, seconds, images_per_second from"
             " epochs where run = 7;",
             out, sizeof out, &lines);
    assert_string_equal(
        out, "1|0.5|1.5|2.5|3.5|4.5|5.5|6.5\n2|0.5|1.5|2.5|3.5|4.5|5.5|6.5\n3|0.5|1.5|2.5|3.5|4.5|5.5|6.5\n");
    in_shell(
        p->db,
        "select r.id, max(e.val_accuracy) from runs r join epochs e on e.run = r.id join params p on p.run = r.id\n"
        " where p.name = 'learning_rate' and p.value < 0.001 group by r.id;",
        out, sizeof out, &lines);
    assert_string_equal(out, "1|3.5\n2|3.5\n3|3.5\n4|3.5\n5|3.5\n6|3.5\n7|3.5\n");
    in_shell(p->db, "select trial, state, message, source, line from runs where sweep = 3 and state = 'failed';", out,
             sizeof out, &lines);
    assert_string_equal(out, "5|failed|loss is no number|a.lua|3\n");
    in_shell(p->db, "select a.digest = b.digest from runs a, runs b where a.id = 7 and b.id = 9;", out, sizeof out,
             &lines);
    assert_string_equal(out, "1\n");
}

/* All of a query's plan in one text. */
static const char *plan_of(const char *path, const char *sql)
{
    static char plan[4096];
    char whole[2048];
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    size_t length = 0;
    snprintf(whole, sizeof whole, "explain query plan %s", sql);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, whole, -1, &statement, NULL), SQLITE_OK);
    plan[0] = 0;
    while (sqlite3_step(statement) == SQLITE_ROW)
        length += (size_t)snprintf(plan + length, sizeof plan - length, "%s\n",
                                   (const char *)sqlite3_column_text(statement, 3));
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return plan;
}

static void assert_plan(const char *path, const char *sql, const char *wanted)
{
    const char *plan = plan_of(path, sql);
    if (!strstr(plan, wanted))
        fail_msg("%s\ndoes not %s:\n%s", sql, wanted, plan);
    if (strstr(plan, "SCAN"))
        fail_msg("%s\nscans:\n%s", sql, plan);
}

static void questions_are_searches_in_an_index(void **state)
{
    place *p = *state;
    close_store(open_store(p->db, STORE_WRITE));
    assert_plan(
        p->db,
        "select r.id, max(e.val_accuracy) from runs r join epochs e on e.run = r.id join params p on p.run = r.id"
        " where p.name = 'learning_rate' and p.value < 0.001 group by r.id",
        "SEARCH p USING COVERING INDEX params_value (name=? AND value<?)");
    assert_plan(p->db, "select * from epochs where run = 7", "SEARCH epochs USING PRIMARY KEY (run=?)");
    assert_plan(p->db, "select trial from runs where sweep = 3 and state = 'failed'",
                "SEARCH runs USING INDEX runs_sweep");
    assert_plan(p->db, "select id from runs where fingerprint = 'f'", "SEARCH runs USING");
    assert_plan(p->db, "select id from runs where state in ('queued', 'running')", "runs_live");
    assert_plan(p->db, "select kind from events where run = 1 order by id desc limit 1", "SEARCH events USING");
}

static void the_view_of_curves_is_long_and_complete(void **state)
{
    place *p = *state;
    make_example(p);
    assert_string_equal(ask(p->db, "select count(*) from curves where run = 7"), "30"); /* (9 columns + f1) x 3 */
    assert_string_equal(ask(p->db, "select count(*) from curves where run = 4 and metric = 'loss'"), "2");
    for (int i = 0; i < EPOCH_COLUMNS; ++i) {
        char sql[160];
        snprintf(sql, sizeof sql, "select count(*) from curves where run = 7 and metric = '%s'", store_epoch_names[i]);
        assert_string_equal(ask(p->db, sql), "3");
    }
    assert_string_equal(
        ask(p->db, "select group_concat(step || ' ' || value) from curves where run = 7 and metric = 'f1'"),
        "1 0.7,2 0.7,3 0.7");
    assert_string_equal(ask(p->db, "select repeated || ' ' || same_bits from reproducibility where id = 7"), "8 7");
    assert_null(strstr(plan_of(p->db, "select * from curves where run = 7"), "SCAN epochs"));
    const char *plan = plan_of(p->db, "select * from run_diff where a = 7 and b = 9"); /* its few rows, no table */
    assert_non_null(strstr(plan, "SCAN run_diff"));
    assert_null(strstr(plan, "SCAN a"));
    assert_null(strstr(plan, "SCAN p"));
    assert_null(strstr(plan, "SCAN q"));
}

/* ----------------------------------------------------------------------------------------- docs/schema.md */

static char *read_docs(void)
{
    const char *root = getenv("PERILUNE_SOURCE");
    char path[4096];
    snprintf(path, sizeof path, "%s/docs/schema.md", root ? root : ".");
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("cannot open %s (set PERILUNE_SOURCE to the source folder)", path);
    char *text_of = calloc(1, 1 << 20);
    assert_non_null(text_of);
    assert_true(fread(text_of, 1, (1 << 20) - 1, f) > 1000);
    fclose(f);
    return text_of;
}

static void every_example_of_the_docs_runs_and_has_an_answer(void **state)
{
    place *p = *state;
    char *docs = read_docs(), out[65536];
    int examples = 0, lines;
    if (!has_shell()) {
        free(docs);
        skip();
    }
    make_example(p);
    for (char *at = strstr(docs, "```sql\n"); at; at = strstr(at, "```sql\n")) {
        char *end = strstr(at + 7, "```");
        assert_non_null(end);
        *end = 0;
        in_shell(p->db, at + 7, out, sizeof out, &lines);
        if (lines == 0)
            fail_msg("no row comes from the example\n%s", at + 7);
        ++examples;
        at = end + 1;
    }
    assert_true(examples >= 15);
    free(docs);
}

/* The section of a table: from the heading that holds `name` to the next heading. */
static char *section_of(const char *docs, const char *name)
{
    char heading[128];
    snprintf(heading, sizeof heading, "`%s`", name);
    for (const char *at = strstr(docs, "\n### "); at; at = strstr(at + 1, "\n### ")) {
        size_t line = strcspn(at + 1, "\n");
        char *title = strndup(at + 1, line);
        int found = strstr(title, heading) != NULL;
        free(title);
        if (!found)
            continue;
        const char *end = strstr(at + 1, "\n## "), *next = strstr(at + 1, "\n### ");
        if (next && (!end || next < end))
            end = next;
        return end ? strndup(at, (size_t)(end - at)) : strdup(at);
    }
    return NULL;
}

static void every_table_and_column_is_in_the_docs(void **state)
{
    place *p = *state;
    char *docs = read_docs();
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    int columns = 0;
    close_store(open_store(p->db, STORE_WRITE));
    assert_int_equal(sqlite3_open(p->db, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(db,
                           "select t.name, t.type, c.name from pragma_table_list t,"
                           " pragma_table_info(t.name) c where t.schema = 'main' and t.name not like 'sqlite%'",
                           -1, &statement, NULL),
        SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        const char *table = (const char *)sqlite3_column_text(statement, 0);
        int view = strcmp((const char *)sqlite3_column_text(statement, 1), "view") == 0;
        char column[128];
        snprintf(column, sizeof column, "`%s`", (const char *)sqlite3_column_text(statement, 2));
        char *section = view ? strdup(strstr(docs, "\n## Views")) : section_of(docs, table);
        if (!section || !strstr(section, column))
            fail_msg("docs/schema.md does not describe the column %s of %s", column, table);
        free(section);
        ++columns;
    }
    sqlite3_finalize(statement);
    sqlite3_close(db);
    assert_true(columns > 150);
    free(docs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        case_of(every_earlier_version_is_brought_up_to_date_after_a_backup),
        case_of(an_old_file_without_records_needs_no_backup),
        case_of(a_backup_never_replaces_another),
        case_of(a_migration_that_fails_leaves_the_file_at_the_version_before),
        case_of(an_older_file_is_read_without_being_changed),
        case_of(the_questions_stay_short),
        case_of(questions_are_searches_in_an_index),
        case_of(the_view_of_curves_is_long_and_complete),
        case_of(every_example_of_the_docs_runs_and_has_an_answer),
        case_of(every_table_and_column_is_in_the_docs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
