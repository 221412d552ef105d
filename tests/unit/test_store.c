/* What is recorded is read back as it was said. */
#include "store_helpers.h"

/* ------------------------------------------------------------------------------------------------- opening */

static void a_new_database_is_created_with_its_mark_and_number(void **state)
{
    place *p = *state;
    char lock[128];
    close_store(open_store(p->db, STORE_WRITE));
    assert_string_equal(ask(p->db, "pragma application_id"), "1347570766");
    assert_int_equal(atoi(ask(p->db, "pragma user_version")), schema_version);
    assert_string_equal(ask(p->db, "pragma journal_mode"), "wal");
    assert_string_equal(ask(p->db,
                            "select group_concat(name) from pragma_table_list where type = 'table' and not strict"
                            " and name not like 'sqlite%'"),
                        "");
    snprintf(lock, sizeof lock, "%s.lock", p->db);
    assert_true(is_there(lock));
}

static void a_writer_that_was_alone_leaves_one_file_without_a_log(void **state)
{
    place *p = *state;
    char log[128];
    store *s = open_store(p->db, STORE_WRITE);
    record_run(s, "xor", 0.5, 3);
    snprintf(log, sizeof log, "%s-wal", p->db);
    assert_true(is_there(log));
    close_store(s);
    assert_false(is_there(log));
    assert_string_equal(ask(p->db, "select count(*) from epochs"), "3");
}

static void reading_what_is_not_there_says_so(void **state)
{
    place *p = *state;
    error e = {0};
    store *s = NULL;
    assert_status(store_open(p->db, STORE_READ, &s, &e), PLN_E_MISSING, e);
    assert_null(s);
    assert_says(e, p->db);
    assert_says(e, "perilune run SCRIPT");
    assert_false(is_there(p->db));
}

static void a_missing_folder_is_named_with_the_command_that_makes_it(void **state)
{
    place *p = *state;
    error e = {0};
    store *s = NULL;
    char path[160];
    snprintf(path, sizeof path, "%s/no/where.db", p->folder);
    assert_status(store_open(path, STORE_WRITE, &s, &e), PLN_E_MISSING, e);
    assert_says(e, "mkdir -p");
    assert_status(store_open("", STORE_WRITE, &s, &e), PLN_E_INVALID, e);
    assert_status(store_open(p->folder, STORE_WRITE, &s, &e), PLN_E_FORMAT, e);
    assert_says(e, "is a folder");
    assert_status(store_open(p->folder, STORE_READ, &s, &e), PLN_E_FORMAT, e);
}

static void an_empty_file_becomes_a_database(void **state)
{
    place *p = *state;
    FILE *f = fopen(p->db, "w");
    fclose(f);
    error e = {0};
    store *s = NULL;
    assert_status(store_open(p->db, STORE_READ, &s, &e), PLN_E_MISSING, e);
    close_store(open_store(p->db, STORE_WRITE));
    close_store(open_store(p->db, STORE_READ));
}

static void two_names_of_one_file_are_one_database(void **state)
{
    place *p = *state;
    char name[160], lock[192];
    close_store(open_store(p->db, STORE_WRITE));
    snprintf(name, sizeof name, "%s/link.db", p->folder);
    assert_int_equal(symlink(p->db, name), 0);
    store *s = open_store(name, STORE_WRITE);
    assert_string_equal(store_path(s), p->db);
    close_store(s);
    snprintf(lock, sizeof lock, "%s.lock", name);
    assert_false(is_there(lock));
}

static void the_durable_store_syncs_every_commit(void **state)
{
    place *p = *state;
    for (int durable = 0; durable < 2; ++durable) {
        store *s = open_store(p->db, STORE_WRITE | (durable ? STORE_DURABLE : 0));
        sqlite3_stmt *statement = NULL;
        sqlite3_prepare_v2(s->db, "pragma synchronous", -1, &statement, NULL);
        assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
        assert_int_equal(sqlite3_column_int(statement, 0), durable ? 2 : 1);
        sqlite3_finalize(statement);
        sqlite3_prepare_v2(s->db, "pragma wal_autocheckpoint", -1, &statement, NULL);
        assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
        assert_int_equal(sqlite3_column_int(statement, 0), 0);
        sqlite3_finalize(statement);
        close_store(s);
    }
}

/* ---------------------------------------------------------------------------------------------- recording */

static void a_run_has_its_uuid_at_once_and_its_number_with_the_first_commit(void **state)
{
    place *p = *state;
    store *s = open_store(p->db, STORE_WRITE);
    recording *r = begin_run(s, "mnist-cnn");
    char uuid[STORE_UUID];
    snprintf(uuid, sizeof uuid, "%s", recording_uuid(r));
    assert_int_equal(strlen(uuid), 36);
    assert_int_equal(uuid[14], '4');
    assert_non_null(strchr("89ab", uuid[19]));
    assert_int_equal(recording_id(r), 0);
    assert_string_equal(ask(p->db, "select count(*) from runs"), "0");
    flush(s);
    assert_int_equal(recording_id(r), 1);
    assert_string_equal(ask(p->db, "select uuid from runs"), uuid);
    recording_close(r);
    close_store(s);
}

static store_launch example_launch(void)
{
    static const char *const args[] = {"--fast", "drei äpfel", "\xff"};
    static const store_file modules[] = {{.name = "nets", .text = "return {}"}};
    return (store_launch){.script = {.name = "mnist.lua", .text = "print 'hello'"},
                          .args = args,
                          .arg_count = 3,
                          .folder = "/home/somebody",
                          .version = "0.1.0",
                          .modules = modules,
                          .module_count = 1};
}

static void record_everything(store *s, recording **out)
{
    error e = {0};
    store_launch launch = example_launch();
    store_pair environment[] = {{"simd", "avx512"}, {"cpu", "Zen 4"}, {"blas", NULL}};
    assert_ok(store_launch_begin(s, &launch, &e), e);
    store_run run = {.experiment = "数字识别",
                     .name = "<img onerror=…>",
                     .seed = -7,
                     .threads = 2,
                     .batch_size = 32,
                     .epochs_planned = 5,
                     .parameters = 866798,
                     .model = "{\"layers\":[]}",
                     .fingerprint = "f00d",
                     .score_name = "val_loss",
                     .score_goal = "min"};
    recording *r = NULL;
    assert_ok(recording_begin(s, &run, &r, &e), e);
    assert_ok(recording_param(r, "units", store_integer(128), "script", &e), e);
    assert_ok(recording_param(r, "learning_rate", store_real(1e-3), "command line", &e), e);
    assert_ok(recording_param(r, "whole", store_real(2.0), "default", &e), e);
    assert_ok(recording_param(r, "activation", store_text("relu"), "sweep", &e), e);
    assert_ok(recording_param(r, "nesterov", store_boolean(1), NULL, &e), e);
    add_epoch(r, 1, 0.5);
    add_epoch(r, 2, 0.25);
    assert_ok(recording_metric(r, &(store_metric){"f1", 1, 0.9}, &e), e);
    assert_ok(recording_metric(r, &(store_metric){"f1", 2, NAN}, &e), e);
    assert_ok(recording_evaluation(r, &(store_evaluation){"mnist test", "d1", "accuracy", 0.98, 0}, &e), e);
    assert_ok(recording_checkpoint(
                  r,
                  &(store_artifact){.name = "2.safetensors", .kind = "best", .epoch = 2, .bytes = 77, .sha256 = "cafe"},
                  &e),
              e);
    assert_ok(recording_artifact(r, &(store_artifact){.name = "plots/loss.svg", .kind = "plot", .bytes = 5}, &e), e);
    assert_ok(recording_plugin(r, &(store_plugin){"beef", "dense.so", "layer", "Fully", "1"}, &e), e);
    assert_ok(recording_dataset(r, &(store_dataset){"d0", "mnist", "train", 55000, 10, "28x28x1", "./data"}, &e), e);
    assert_ok(recording_log(r, "stderr", "hm", &e), e);
    assert_ok(recording_tag(r, "baseline", &e), e);
    assert_ok(recording_inexact(r, "a time budget", &e), e);
    assert_ok(store_launch_environment(s, environment, 3, &e), e);
    assert_ok(store_launch_git(s, "1234abcd", "+ a line\n", &e), e);
    store_end end = {.state = STORE_FAILED,
                     .message = "loss is no number",
                     .source = "mnist.lua",
                     .line = 16,
                     .digest = "d1g",
                     .best_epoch = 2,
                     .score = 0.25};
    assert_ok(recording_finish(r, &end, &e), e);
    assert_ok(store_launch_end(s, 1, "one run failed", &e), e);
    *out = r;
}

static void everything_recorded_is_read_back(void **state)
{
    place *p = *state;
    error e = {0};
    store_detail d;
    recording *r;
    store *s = open_store(p->db, STORE_WRITE);
    double before = store_now();
    record_everything(s, &r);
    flush(s);
    int64_t id = recording_id(r);
    recording_close(r);
    close_store(s);

    s = open_store(p->db, STORE_READ);
    assert_ok(store_read_run(s, id, &d, &e), e);
    assert_string_equal(d.run.experiment, "数字识别");
    assert_string_equal(d.run.name, "<img onerror=…>");
    assert_int_equal(d.run.seed, -7);
    assert_int_equal(d.run.threads, 2);
    assert_int_equal(d.run.batch_size, 32);
    assert_int_equal(d.run.epochs_planned, 5);
    assert_int_equal(d.run.epochs_done, 2);
    assert_int_equal(d.run.parameters, 866798);
    assert_int_equal(d.run.ordinal, 1);
    assert_string_equal(d.run.model, "{\"layers\":[]}");
    assert_string_equal(d.run.fingerprint, "f00d");
    assert_string_equal(d.run.digest, "d1g");
    assert_string_equal(d.run.inexact, "a time budget");
    assert_string_equal(d.run.score_name, "val_loss");
    assert_string_equal(d.run.score_goal, "min");
    assert_int_equal(d.run.state, STORE_FAILED);
    assert_int_equal(d.run.alive, STORE_GONE);
    assert_string_equal(d.run.message, "loss is no number");
    assert_string_equal(d.run.source, "mnist.lua");
    assert_int_equal(d.run.line, 16);
    assert_int_equal(d.run.best_epoch, 2);
    assert_true(d.run.score == 0.25);
    assert_int_equal(d.run.pid, getpid());
    assert_true(d.run.created >= before && d.run.finished >= d.run.started && d.run.finished < before + 60);

    assert_int_equal(d.params, 5);
    assert_string_equal(d.param[0].name, "activation");
    assert_string_equal(d.param[0].value.text, "relu");
    assert_string_equal(d.param[0].source, "sweep");
    assert_int_equal(d.param[1].value.type, STORE_REAL);
    assert_true(d.param[1].value.real == 1e-3);
    assert_int_equal(d.param[2].value.type, STORE_BOOLEAN);
    assert_int_equal(d.param[2].value.integer, 1);
    assert_null(d.param[2].source);
    assert_int_equal(d.param[3].value.type, STORE_INTEGER);
    assert_int_equal(d.param[3].value.integer, 128);
    assert_int_equal(d.param[4].value.type, STORE_REAL); /* 2.0 stays a real number */

    assert_int_equal(d.epochs, 2);
    assert_int_equal(d.epoch[1].epoch, 2);
    assert_int_equal(d.epoch[1].present, 1u << EPOCH_LOSS | 1u << EPOCH_VAL_ACCURACY);
    assert_true(d.epoch[1].value[EPOCH_LOSS] == 0.25);
    assert_true(d.epoch[1].ended >= before);

    assert_int_equal(d.evaluations, 1);
    assert_string_equal(d.evaluation[0].dataset, "mnist test");
    assert_true(d.evaluation[0].value == 0.98);
    assert_int_equal(d.checkpoints, 1);
    assert_string_equal(d.checkpoint[0].name, "2.safetensors");
    assert_int_equal(d.checkpoint[0].bytes, 77);
    assert_int_equal(d.checkpoint[0].epoch, 2);
    assert_string_equal(d.checkpoint[0].kind, "best");
    assert_memory_equal(d.checkpoint[0].path, p->db, strlen(p->db));
    assert_int_equal(d.artifacts, 1);
    assert_string_equal(d.artifact[0].name, "plots/loss.svg");
    assert_int_equal(d.plugins, 1);
    assert_string_equal(d.plugin[0].type, "Fully");
    assert_int_equal(d.datasets, 1);
    assert_int_equal(d.dataset[0].samples, 55000);
    assert_string_equal(d.dataset[0].role, "train");
    assert_int_equal(d.events, 2);
    assert_string_equal(d.event[0].kind, "started");
    assert_string_equal(d.event[1].kind, "failed");
    assert_string_equal(d.event[1].text, "loss is no number");
    assert_int_equal(d.tags, 1);
    assert_string_equal(d.tag[0], "baseline");
    assert_int_equal(d.metrics, 1);
    assert_string_equal(d.metric[0], "f1");
    assert_int_equal(d.environments, 3);
    assert_string_equal(d.environment[1].name, "cpu");
    assert_string_equal(d.environment[1].value, "Zen 4");
    assert_null(d.environment[0].value);

    assert_int_equal(d.launch.id, 1);
    assert_string_equal(d.launch.script.name, "mnist.lua");
    assert_string_equal(d.launch.script.text, "print 'hello'");
    assert_int_equal(d.launch.script.bytes, 13);
    assert_int_equal(d.launch.arg_count, 3);
    assert_string_equal(d.launch.args[1], "drei äpfel");
    assert_string_equal(d.launch.args[2], "\xef\xbf\xbd");
    assert_string_equal(d.launch.folder, "/home/somebody");
    assert_int_equal(d.launch.module_count, 1);
    assert_string_equal(d.launch.modules[0].text, "return {}");
    assert_string_equal(d.launch.git_commit, "1234abcd");
    assert_string_equal(d.launch.git_diff, "+ a line\n");
    assert_int_equal(d.launch.exit_status, 1);
    assert_string_equal(d.launch.message, "one run failed");
    assert_true(d.launch.ended >= d.launch.started);
    store_detail_free(&d);
    store_detail_free(&d);

    store_metric *points;
    size_t count;
    assert_ok(store_read_metric(s, id, "f1", &points, &count, &e), e);
    assert_int_equal(count, 2);
    assert_true(points[0].value == 0.9);
    assert_true(isnan(points[1].value));
    free(points);
    close_store(s);
}

static void a_clean_tree_and_an_unknown_one_are_told_apart(void **state)
{
    place *p = *state;
    error e = {0};
    store_detail d;
    store *s = open_store(p->db, STORE_WRITE);
    for (int known = 0; known < 2; ++known) {
        store_launch launch = {.script = {.name = "a.lua"}};
        assert_ok(store_launch_begin(s, &launch, &e), e);
        assert_status(store_launch_begin(s, &launch, &e), PLN_E_INVALID, e);
        if (known)
            assert_ok(store_launch_git(s, "1234", "", &e), e);
        int64_t id = record_run(s, "x", 1, 1);
        assert_ok(store_launch_end(s, 0, NULL, &e), e);
        assert_ok(store_read_run(s, id, &d, &e), e);
        if (known)
            assert_string_equal(d.launch.git_diff, "");
        else
            assert_null(d.launch.git_diff);
        assert_null(d.launch.script.text);
        store_detail_free(&d);
    }
    assert_status(store_launch_git(s, "1", "", &e), PLN_E_INVALID, e);
    close_store(s);
}

static void a_launch_is_read_alone_and_its_continuations_are_followed(void **state)
{
    place *p = *state;
    error e = {0};
    store_launch_detail d;
    int64_t newest;
    store *s = open_store(p->db, STORE_WRITE);
    for (int i = 0; i < 4; ++i) { /* 2 goes on from 1, 3 from 2; 4 is another one */
        store_launch launch = {.script = {.name = "a.lua", .text = "return 1"},
                               .resumes = i < 3 ? i : 0,
                               .overrides = i ? "{\"seed\":7}" : NULL};
        assert_ok(store_launch_begin(s, &launch, &e), e);
        assert_ok(store_launch_end(s, 0, NULL, &e), e);
    }
    flush(s);
    assert_ok(store_newest_launch(s, 1, &newest, &e), e);
    assert_int_equal(newest, 3);
    assert_ok(store_newest_launch(s, 4, &newest, &e), e);
    assert_int_equal(newest, 4);
    assert_ok(store_read_launch(s, 2, &d, &e), e);
    assert_int_equal(d.launch.resumes, 1);
    assert_string_equal(d.launch.overrides, "{\"seed\":7}");
    assert_string_equal(d.launch.script.text, "return 1");
    store_launch_detail_free(&d);
    assert_status(store_read_launch(s, 9, &d, &e), PLN_E_MISSING, e);
    close_store(s);
}

static void a_run_that_has_ended_takes_what_is_found_out_later_and_keeps_its_state(void **state)
{
    place *p = *state;
    error e = {0};
    recording *r;
    store *s = open_store(p->db, STORE_WRITE);
    int64_t id = record_run(s, "x", 0.5, 1);
    assert_ok(recording_revisit(s, id, &r, &e), e);
    assert_int_equal(recording_id(r), id);
    assert_ok(recording_evaluation(r, &(store_evaluation){"mnist test", NULL, "accuracy", 0.97, 0}, &e), e);
    recording_close(r);
    flush(s);
    assert_string_equal(ask(p->db, "select state || ' ' || (select value from evaluations where run = 1) from runs"),
                        "done 0.97");
    assert_int_equal(lock_held(s->lock_fd, id), 0);
    assert_status(recording_revisit(s, 9, &r, &e), PLN_E_MISSING, e);
    close_store(s);
}

static void nan_is_null_and_named_and_infinity_stays(void **state)
{
    place *p = *state;
    error e = {0};
    store_detail d;
    store *s = open_store(p->db, STORE_WRITE);
    recording *r = begin_run(s, "nan");
    store_epoch epoch = {.epoch = 1};
    store_epoch_set(&epoch, "loss", NAN);
    store_epoch_set(&epoch, "val_loss", INFINITY);
    store_epoch_set(&epoch, "grad_norm", -INFINITY);
    store_epoch_set(&epoch, "memory", NAN);
    store_epoch_set(&epoch, "seconds", 0.5);
    assert_int_equal(store_epoch_set(&epoch, "f1", 0.5), 0);
    assert_ok(recording_epoch(r, &epoch, &e), e);
    assert_ok(recording_param(r, "rate", store_real(NAN), NULL, &e), e);
    flush(s);
    assert_string_equal(ask(p->db,
                            "select loss is null and accuracy is null and val_loss > 1e308 and grad_norm < -1e308"
                            " and memory is null and seconds = 0.5 from epochs"),
                        "1");
    assert_string_equal(ask(p->db, "select nonfinite from epochs"), "loss,val_loss,grad_norm,memory");
    assert_ok(store_read_run(s, recording_id(r), &d, &e), e);
    assert_true(isnan(d.epoch[0].value[EPOCH_LOSS]));
    assert_int_equal(d.epoch[0].present, epoch.present); /* accuracy was not measured, loss was */
    assert_true(d.epoch[0].value[EPOCH_VAL_LOSS] == INFINITY);
    assert_int_equal(d.param[0].value.type, STORE_REAL);
    assert_true(isnan(d.param[0].value.real));
    store_detail_free(&d);
    recording_close(r);
    close_store(s);
}

static void an_epoch_that_is_computed_again_replaces_its_row(void **state)
{
    place *p = *state;
    store *s = open_store(p->db, STORE_WRITE);
    recording *r = begin_run(s, "again");
    add_epoch(r, 1, 0.5);
    flush(s);
    add_epoch(r, 1, 0.25);
    flush(s);
    assert_string_equal(ask(p->db, "select count(*) || ' ' || min(loss) from epochs"), "1 0.25");
    recording_close(r);
    close_store(s);
}

static void texts_that_are_no_utf8_are_cleaned_and_scripts_kept_as_they_are(void **state)
{
    place *p = *state;
    error e = {0};
    store_detail d;
    store *s = open_store(p->db, STORE_WRITE);
    store_launch launch = {.script = {.name = "latin\xe4.lua", .text = "-- \xe4\0\xff", .bytes = 6}};
    assert_ok(store_launch_begin(s, &launch, &e), e);
    recording *r = begin_run(s, "caf\xe9 \xf0\x9f\x8c\x99 \xed\xa0\x80");
    flush(s);
    assert_ok(store_read_run(s, recording_id(r), &d, &e), e);
    assert_string_equal(d.run.experiment, "caf\xef\xbf\xbd \xf0\x9f\x8c\x99 \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    assert_string_equal(d.launch.script.name, "latin\xef\xbf\xbd.lua");
    assert_int_equal(d.launch.script.bytes, 6);
    assert_memory_equal(d.launch.script.text, "-- \xe4\0\xff", 6);
    store_detail_free(&d);
    recording_close(r);
    close_store(s);
}

static void a_file_outside_the_runs_folder_is_not_recorded(void **state)
{
    place *p = *state;
    error e = {0};
    store *s = open_store(p->db, STORE_WRITE);
    recording *r = begin_run(s, "files");
    static const char *const names[] = {"/etc/passwd", "../x", "..", "a/../../b", ""};
    for (size_t i = 0; i < sizeof names / sizeof *names; ++i)
        assert_status(recording_artifact(r, &(store_artifact){.name = names[i]}, &e), PLN_E_INVALID, e);
    char *folder = NULL;
    assert_ok(store_run_folder(s, recording_uuid(r), &folder, &e), e);
    assert_true(is_there(folder));
    free(folder);
    assert_status(store_run_folder(s, "../../../../../../../etc/xxxxxxxxxxxx", &folder, &e), PLN_E_INVALID, e);
    assert_ok(recording_artifact(r, &(store_artifact){.name = "a.svg"}, &e), e);
    flush(s);
    assert_ok(recording_forget_file(r, "a.svg", &e), e);
    flush(s);
    assert_string_equal(ask(p->db, "select count(*) from artifacts"), "0");
    recording_close(r);
    close_store(s);
}

static void a_row_that_the_tables_refuse_is_named_and_the_others_are_kept(void **state)
{
    place *p = *state;
    error e = {0};
    store *s = open_store(p->db, STORE_WRITE);
    recording *r = begin_run(s, "good"), *bad = NULL;
    store_run run = {.experiment = "bad", .model = "{"};
    assert_ok(recording_begin(s, &run, &bad, &e), e);
    add_epoch(r, 1, 0.5);
    assert_status(store_flush(s, 100, &e), PLN_E_INVALID, e);
    assert_says(e, "json_valid");
    assert_says(e, recording_uuid(bad));
    assert_int_equal(store_pending(s), 0);
    assert_int_equal(recording_id(bad), 0);
    assert_string_equal(ask(p->db, "select count(*) from epochs"), "1");
    recording_close(r);
    recording_close(bad);
    close_store(s);
}

static void a_run_removed_by_somebody_is_told_and_the_others_go_on(void **state)
{
    place *p = *state;
    error e = {0};
    store *s = open_store(p->db, STORE_WRITE);
    recording *a = begin_run(s, "a"), *b = begin_run(s, "b");
    flush(s);
    execute(p->db, "pragma foreign_keys = on; delete from runs where id = 1");
    add_epoch(a, 1, 0.5);
    add_epoch(b, 1, 0.5);
    assert_status(store_flush(s, 100, &e), PLN_E_MISSING, e);
    assert_says(e, "removed it");
    assert_string_equal(ask(p->db, "select group_concat(run) from epochs"), "2");
    assert_string_equal(ask(p->db, "select seq from sqlite_sequence where name = 'runs'"),
                        "2"); /* 1 is never given again */
    recording_close(a);
    recording_close(b);
    close_store(s);
}

static void a_prediction_is_recorded_with_its_ten_probabilities(void **state)
{
    place *p = *state;
    error e = {0};
    store *s = open_store(p->db, STORE_WRITE);
    int64_t id = record_run(s, "x", 0.5, 1);
    store_prediction seven = {.run = id,
                              .image = "seven.png",
                              .digit = 7,
                              .confidence = 0.973,
                              .truth = -1,
                              .probability = {[7] = 0.973, [2] = 0.002},
                              .microseconds = 120};
    assert_ok(store_predict(s, &seven, &e), e);
    seven.run = 99; /* no such run: the answer is kept all the same */
    seven.truth = 1;
    assert_ok(store_predict(s, &seven, &e), e);
    flush(s);
    assert_string_equal(ask(p->db,
                            "select group_concat(coalesce(run, '-') || ' ' || image || ' ' || digit || ' ' || p7 ||"
                            " ' ' || coalesce(truth, '-') || ' ' || microseconds) from predictions"),
                        "1 seven.png 7 0.973 - 120,- seven.png 7 0.973 1 120");
    close_store(s);
}

/* ------------------------------------------------------------------------------------------------- reading */

static void runs_are_listed_newest_first_and_filtered(void **state)
{
    place *p = *state;
    error e = {0};
    store_runs runs;
    store *s = open_store(p->db, STORE_WRITE);
    record_run(s, "a", 0.5, 1);
    record_run(s, "b", 0.9, 1);
    record_run(s, "a", 0.7, 1);
    recording *live = begin_run(s, "a");
    flush(s);
    assert_ok(store_tag(s, 2, "good", 100, &e), e);

    assert_ok(store_list_runs(s, NULL, &runs, &e), e);
    assert_int_equal(runs.count, 4);
    assert_int_equal(runs.run[0].id, 4);
    assert_int_equal(runs.run[0].state, STORE_RUNNING);
    assert_int_equal(runs.run[0].alive, STORE_ALIVE);
    store_runs_free(&runs);

    store_filter f = store_filter_all();
    f.experiment = "a";
    f.order = STORE_BEST;
    assert_ok(store_list_runs(s, &f, &runs, &e), e);
    assert_int_equal(runs.count, 3);
    assert_int_equal(runs.run[0].id, 3);
    store_runs_free(&runs);

    f = store_filter_all();
    f.state = STORE_DONE;
    f.limit = 2;
    assert_ok(store_list_runs(s, &f, &runs, &e), e);
    assert_int_equal(runs.count, 2);
    assert_int_equal(runs.run[0].id, 3);
    store_runs_free(&runs);

    f = store_filter_all();
    f.tag = "good";
    assert_ok(store_list_runs(s, &f, &runs, &e), e);
    assert_int_equal(runs.count, 1);
    assert_int_equal(runs.run[0].id, 2);
    store_runs_free(&runs);

    f = store_filter_all();
    f.state = STORE_LOST;
    assert_ok(store_list_runs(s, &f, &runs, &e), e);
    assert_int_equal(runs.count, 0);
    store_runs_free(&runs);
    recording_close(live);
    close_store(s);
}

static void a_word_finds_its_run(void **state)
{
    place *p = *state;
    error e = {0};
    int64_t id;
    store *s = open_store(p->db, STORE_WRITE);
    assert_status(store_find_run(s, "last", &id, &e), PLN_E_MISSING, e);
    assert_says(e, "no run in");
    record_run(s, "a", 0.5, 1);
    record_run(s, "b", 0.9, 1);
    record_run(s, "a", 0.7, 1);
    const char *uuid = ask(p->db, "select upper(uuid) from runs where id = 2");
    char beginning[16];
    snprintf(beginning, sizeof beginning, "%.13s", uuid);
    const struct {
        const char *word;
        int64_t id;
    } good[] = {{"1", 1}, {"last", 3}, {"best", 2}, {"best:a", 3}, {uuid, 2}, {beginning, 2}};
    for (size_t i = 0; i < sizeof good / sizeof *good; ++i) {
        assert_ok(store_find_run(s, good[i].word, &id, &e), e);
        assert_int_equal(id, good[i].id);
    }
    assert_status(store_find_run(s, "4", &id, &e), PLN_E_MISSING, e);
    assert_says(e, "the newest is 3");
    assert_status(store_find_run(s, "best:c", &id, &e), PLN_E_MISSING, e);
    assert_says(e, "no experiment \"c\"");
    assert_status(store_find_run(s, "99999999999999999999999999", &id, &e), PLN_E_MISSING, e);
    assert_status(store_find_run(s, "-1", &id, &e), PLN_E_MISSING, e);
    assert_status(store_find_run(s, "", &id, &e), PLN_E_INVALID, e);
    close_store(s);
}

static void the_best_of_a_loss_is_the_lowest(void **state)
{
    place *p = *state;
    error e = {0};
    int64_t id;
    store *s = open_store(p->db, STORE_WRITE);
    for (int i = 0; i < 3; ++i) {
        static const double scores[] = {0.3, 0.1, 0.2};
        recording *r = NULL;
        store_run run = {.experiment = "loss", .score_name = "val_loss", .score_goal = "min", .fingerprint = "f"};
        assert_ok(recording_begin(s, &run, &r, &e), e);
        store_end end = {.state = i == 2 ? STORE_FAILED : STORE_DONE, .score = scores[i]};
        assert_ok(recording_finish(r, &end, &e), e);
        recording_close(r);
    }
    flush(s);
    assert_ok(store_find_run(s, "best", &id, &e), e);
    assert_int_equal(id, 2);
    assert_string_equal(ask(p->db, "select group_concat(id) from (select id from leaderboard)"), "2,3,1");
    assert_ok(store_find_fingerprint(s, "f", &id, &e), e);
    assert_int_equal(id, 2); /* the newest that is done; the failed one is none */
    assert_ok(store_find_fingerprint(s, "g", &id, &e), e);
    assert_int_equal(id, 0);
    close_store(s);
}

static const store_difference *difference_of(const store_diff *diff, const char *what, const char *name)
{
    for (size_t i = 0; i < diff->count; ++i)
        if (strcmp(diff->difference[i].what, what) == 0 && strcmp(diff->difference[i].name, name) == 0)
            return &diff->difference[i];
    return NULL;
}

static void the_difference_of_two_runs_names_each_side(void **state)
{
    place *p = *state;
    error e = {0};
    store_diff diff;
    store *s = open_store(p->db, STORE_WRITE);
    for (int i = 0; i < 2; ++i) {
        store_launch launch = {.script = {.name = "a.lua", .text = i ? "return 2" : "return 1"}};
        store_pair environment[] = {{"cpu", "Zen 4"}, {"blas", i ? "openblas" : "blis"}};
        assert_ok(store_launch_begin(s, &launch, &e), e);
        assert_ok(store_launch_environment(s, environment, 2, &e), e);
        recording *r = begin_run(s, "diff");
        assert_ok(recording_param(r, "rate", store_real(i ? 0.01 : 0.1), NULL, &e), e);
        assert_ok(recording_param(r, "units", store_integer(128), NULL, &e), e);
        if (i)
            assert_ok(recording_param(r, "extra", store_boolean(1), NULL, &e), e);
        assert_ok(recording_plugin(r, &(store_plugin){i ? "02" : "01", "d.so", "layer", "Fully", "1"}, &e), e);
        finish_run(r, STORE_DONE);
        recording_close(r);
        assert_ok(store_launch_end(s, 0, NULL, &e), e);
    }
    flush(s);
    assert_ok(store_diff_runs(s, 1, 2, &diff, &e), e);
    const store_difference *d = difference_of(&diff, "parameter", "rate");
    assert_non_null(d);
    assert_string_equal(d->a, "0.1");
    assert_string_equal(d->b, "0.01");
    d = difference_of(&diff, "parameter", "extra");
    assert_null(d->a);
    assert_string_equal(d->b, "true");
    assert_null(difference_of(&diff, "parameter", "units"));
    assert_null(difference_of(&diff, "environment", "cpu"));
    assert_string_equal(difference_of(&diff, "environment", "blas")->b, "openblas");
    assert_string_equal(difference_of(&diff, "plugin", "layer Fully")->a, "01");
    assert_non_null(difference_of(&diff, "script", "text"));
    assert_string_equal(diff.script_a, "return 1");
    assert_string_equal(diff.script_b, "return 2");
    store_diff_free(&diff);
    assert_string_equal(ask(p->db,
                            "select group_concat(what || ' ' || name || ' ' || coalesce(a_value, '-') || ' ' ||"
                            " b_value, '; ') from (select * from run_diff where a = 1 and b = 2 and what <> 'script'"
                            " order by what, name)"),
                        "environment blas blis openblas; parameter extra - 1; parameter rate 0.1 0.01");
    assert_ok(store_diff_runs(s, 1, 1, &diff, &e), e);
    assert_int_equal(diff.count, 0);
    store_diff_free(&diff);
    assert_status(store_diff_runs(s, 1, 3, &diff, &e), PLN_E_MISSING, e);
    close_store(s);
}

static void words_are_added_and_taken_back(void **state)
{
    place *p = *state;
    error e = {0};
    store *s = open_store(p->db, STORE_WRITE);
    int64_t id = record_run(s, "x", 0.5, 1);
    assert_ok(store_tag(s, id, "good \xff", 100, &e), e);
    assert_ok(store_tag(s, id, "good \xff", 100, &e), e);
    assert_string_equal(ask(p->db, "select group_concat(tag) from tags"), "good \xef\xbf\xbd");
    assert_ok(store_untag(s, id, "good \xff", 100, &e), e);
    assert_status(store_untag(s, id, "good", 100, &e), PLN_E_MISSING, e);
    assert_ok(store_note(s, id, "first that converged", 100, &e), e);
    assert_string_equal(ask(p->db, "select note from notes"), "first that converged");
    assert_status(store_tag(s, 9, "x", 100, &e), PLN_E_MISSING, e);
    assert_status(store_note(s, 9, "x", 100, &e), PLN_E_MISSING, e);
    assert_status(store_tag(s, id, "", 100, &e), PLN_E_INVALID, e);
    assert_ok(store_remove_run(s, id, 100, &e), e);
    assert_string_equal(ask(p->db, "select (select count(*) from epochs) + (select count(*) from notes)"), "0");
    assert_status(store_remove_run(s, id, 100, &e), PLN_E_MISSING, e);
    close_store(s);
}

static void a_reader_writes_nothing(void **state)
{
    place *p = *state;
    error e = {0};
    recording *r;
    store_run run = {.experiment = "x"};
    store_launch launch = {.script = {.name = "a.lua"}};
    close_store(open_store(p->db, STORE_WRITE));
    store *s = open_store(p->db, STORE_READ);
    assert_status(recording_begin(s, &run, &r, &e), PLN_E_INVALID, e);
    assert_status(recording_resume(s, 1, &r, &e), PLN_E_INVALID, e);
    assert_status(store_launch_begin(s, &launch, &e), PLN_E_INVALID, e);
    assert_status(store_tag(s, 1, "x", 0, &e), PLN_E_INVALID, e);
    assert_int_equal(sqlite3_exec(s->db, "delete from runs", NULL, NULL, NULL) & 0xff, SQLITE_READONLY);
    close_store(s);
}

/* -------------------------------------------------------------------------------------------------- values */

static void times_are_utc_texts_and_come_back(void **state)
{
    (void)state;
    char out[TIME_TEXT];
    const struct {
        double time;
        const char *text;
    } known[] = {{1.0, "1970-01-01T00:00:01.000Z"},
                 {951782400.5, "2000-02-29T00:00:00.500Z"},
                 {1767225599.999, "2025-12-31T23:59:59.999Z"},
                 {4107542400.0, "2100-03-01T00:00:00.000Z"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; ++i) {
        assert_string_equal(time_format(known[i].time, out), known[i].text);
        assert_true(time_parse(known[i].text) == known[i].time);
    }
    assert_null(time_format(0, out));
    assert_null(time_format(NAN, out));
    assert_null(time_format(1e300, out));
    assert_true(time_parse("yesterday") == 0 && time_parse(NULL) == 0 && time_parse("2025-12-31 23:59:59.999Z") == 0);
}

static void every_kind_of_row_has_a_parameter_a_cell(void **state)
{
    place *p = *state;
    store *s = open_store(p->db, STORE_WRITE);
    for (int kind = 0; kind < ROW_KINDS; ++kind) {
        sqlite3_stmt *statement = NULL;
        if (sqlite3_prepare_v2(s->db, row_kinds[kind].sql, -1, &statement, NULL) != SQLITE_OK)
            fail_msg("%s: %s", row_kinds[kind].name, sqlite3_errmsg(s->db));
        if (sqlite3_bind_parameter_count(statement) != row_kind_cells(kind))
            fail_msg("%s: %d parameters, %d cells", row_kinds[kind].name, sqlite3_bind_parameter_count(statement),
                     row_kind_cells(kind));
        sqlite3_finalize(statement);
    }
    close_store(s);
}

static void values_are_equal_by_type_and_value(void **state)
{
    (void)state;
    store_value one = store_integer(1), real = store_real(1), yes = store_boolean(2), none = store_text(NULL),
                nan_a = store_real(NAN), nan_b = store_real(NAN), word = store_text("a"), same = store_text("a");
    assert_true(store_value_equal(&one, &one) && store_value_equal(&nan_a, &nan_b) && store_value_equal(&word, &same));
    assert_false(store_value_equal(&one, &real) || store_value_equal(&one, &yes) || store_value_equal(&none, &word));
    assert_int_equal(yes.integer, 1);
    assert_int_equal(none.type, STORE_NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        case_of(a_new_database_is_created_with_its_mark_and_number),
        case_of(a_writer_that_was_alone_leaves_one_file_without_a_log),
        case_of(reading_what_is_not_there_says_so),
        case_of(a_missing_folder_is_named_with_the_command_that_makes_it),
        case_of(an_empty_file_becomes_a_database),
        case_of(two_names_of_one_file_are_one_database),
        case_of(the_durable_store_syncs_every_commit),
        case_of(a_run_has_its_uuid_at_once_and_its_number_with_the_first_commit),
        case_of(everything_recorded_is_read_back),
        case_of(a_clean_tree_and_an_unknown_one_are_told_apart),
        case_of(a_launch_is_read_alone_and_its_continuations_are_followed),
        case_of(a_run_that_has_ended_takes_what_is_found_out_later_and_keeps_its_state),
        case_of(nan_is_null_and_named_and_infinity_stays),
        case_of(an_epoch_that_is_computed_again_replaces_its_row),
        case_of(texts_that_are_no_utf8_are_cleaned_and_scripts_kept_as_they_are),
        case_of(a_file_outside_the_runs_folder_is_not_recorded),
        case_of(a_row_that_the_tables_refuse_is_named_and_the_others_are_kept),
        case_of(a_run_removed_by_somebody_is_told_and_the_others_go_on),
        case_of(a_prediction_is_recorded_with_its_ten_probabilities),
        case_of(runs_are_listed_newest_first_and_filtered),
        case_of(a_word_finds_its_run),
        case_of(the_best_of_a_loss_is_the_lowest),
        case_of(the_difference_of_two_runs_names_each_side),
        case_of(words_are_added_and_taken_back),
        case_of(a_reader_writes_nothing),
        cmocka_unit_test(times_are_utc_texts_and_come_back),
        case_of(every_kind_of_row_has_a_parameter_a_cell),
        cmocka_unit_test(values_are_equal_by_type_and_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
