/* What goes wrong around a database: locked, full, read-only, foreign, newer, damaged, moved. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "store_helpers.h"

/* A connection of somebody else's that holds the file. */
static sqlite3 *hold(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    return db;
}

static void write_file(const char *path, const char *content, size_t bytes)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(content, 1, bytes, f), bytes);
    assert_int_equal(fclose(f), 0);
}

/* The only file in the spill folder with this ending, "" when there is none. */
static const char *spilled(const place *p, const char *ending)
{
    static char found[512];
    char command[256];
    snprintf(command, sizeof command, "ls %s.d/spill/*%s 2>/dev/null", p->db, ending);
    FILE *f = popen(command, "r");
    found[0] = 0;
    if (!fgets(found, sizeof found, f))
        found[0] = 0;
    found[strcspn(found, "\n")] = 0;
    pclose(f);
    return found;
}

/* -------------------------------------------------------------------------------------------------- locked */

static int child_holds(const place *p, int fd)
{
    sqlite3 *db = NULL;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "strange shell");
    if (sqlite3_open(p->db, &db) != SQLITE_OK ||
        sqlite3_exec(db, "begin immediate; insert into experiments(name, created) values('x', 'now')", NULL, NULL,
                     NULL))
        return 1;
    if (write(fd, "x", 1) != 1)
        return 2;
    for (;;)
        pause();
}

static void a_file_that_somebody_holds_delays_nothing_and_the_error_names_who(void **state)
{
    place *p = *state;
    error e = {0};
    int ends[2];
    char word;
    store *s = open_store(p->db, STORE_WRITE);
    assert_int_equal(pipe(ends), 0);
    pid_t child = in_child(child_holds, p, ends[1]);
    assert_int_equal(read(ends[0], &word, 1), 1);
    recording *r = begin_run(s, "x");
    int64_t before = clock_milliseconds();
    for (int i = 1; i <= 20; ++i) {
        add_epoch(r, i, 1.0 / i);
        assert_status(store_flush(s, 0, &e), PLN_E_BUSY, e);
    }
    assert_true(clock_milliseconds() - before < 400);
    assert_says(e, p->db);
    assert_says(e, "COMMIT or ROLLBACK");
    if (access("/proc/locks", R_OK) == 0) {
        char who[64];
        snprintf(who, sizeof who, "strange shell (process %d)", (int)child);
        assert_says(e, who);
    }
    assert_int_equal(recording_id(r), 0);
    kill(child, SIGKILL);
    child_status(child);
    flush(s);
    assert_int_equal(recording_id(r), 1);
    assert_string_equal(ask(p->db, "select count(*) from epochs"), "20");
    recording_close(r);
    close_store(s);
    close(ends[0]);
    close(ends[1]);
}

static void a_database_locked_before_it_is_opened_is_recorded_in_later(void **state)
{
    place *p = *state;
    error e = {0};
    store_runs runs;
    close_store(open_store(p->db, STORE_WRITE));
    sqlite3 *other = hold(p->db, "pragma locking_mode = exclusive; begin immediate;"
                                 " insert into experiments(name, created) values('x', 'now')");
    store *s = open_store(p->db, STORE_WRITE);
    const char *notice = store_notice(s);
    assert_non_null(notice);
    assert_non_null(strstr(notice, "Records wait in memory"));
    assert_null(store_notice(s));
    recording *r = begin_run(s, "x");
    add_epoch(r, 1, 0.5);
    assert_status(store_flush(s, 0, &e), PLN_E_BUSY, e);
    assert_status(store_list_runs(s, NULL, &runs, &e), PLN_E_BUSY, e);
    assert_int_equal(store_stop_requested(s, r), 0);
    sqlite3_close(other);
    flush(s);
    assert_int_equal(recording_id(r), 1);
    recording_close(r);
    close_store(s);
}

static void a_new_file_locked_by_somebody_is_made_ours_later(void **state)
{
    place *p = *state;
    error e = {0};
    sqlite3 *other = hold(p->db, "begin exclusive");
    store *s = open_store(p->db, STORE_WRITE);
    recording *r = begin_run(s, "x");
    assert_status(store_flush(s, 0, &e), PLN_E_BUSY, e);
    sqlite3_close(other);
    flush(s);
    assert_int_equal(recording_id(r), 1);
    recording_close(r);
    close_store(s);
}

static void what_cannot_be_committed_is_spilled_and_merged_by_the_next_writer(void **state)
{
    place *p = *state;
    error e = {0};
    store *s = open_store(p->db, STORE_WRITE);
    store_launch launch = {.script = {.name = "a.lua", .text = "-- \xe4\"\0\xff", .bytes = 7}};
    assert_ok(store_launch_begin(s, &launch, &e), e);
    recording *known = begin_run(s, "known");
    add_epoch(known, 1, 0.1);
    flush(s);
    sqlite3 *other = hold(p->db, "begin immediate");
    add_epoch(known, 2, 1.0 / 3);
    finish_run(known, STORE_DONE);
    recording_close(known);
    recording *fresh = begin_run(s, "数字");
    add_epoch(fresh, 1, INFINITY);
    assert_ok(recording_param(fresh, "big", store_integer(INT64_MAX), NULL, &e), e);
    assert_ok(recording_param(fresh, "whole", store_real(2), NULL, &e), e);
    store_file odd = {.name = "odd", .text = "\xff\0x", .bytes = 3};
    assert_ok(store_launch_module(s, &odd, &e), e);
    assert_ok(store_close(s, 30, &e), e);
    assert_says(e, "records wait in");
    assert_says(e, "/spill/");
    sqlite3_close(other);
    assert_string_equal(ask(p->db, "select count(*) from runs"), "1");
    char file[512], copy[560], command[1200];
    snprintf(file, sizeof file, "%s", spilled(p, ".jsonl"));
    assert_true(is_there(file));
    snprintf(copy, sizeof copy, "%s/kept", p->folder);
    snprintf(command, sizeof command, "cp %s %s", file, copy);
    assert_int_equal(system(command), 0);

    s = open_store(p->db, STORE_READ);
    assert_non_null(strstr(store_notice(s), "for the next command that writes"));
    close_store(s);
    s = open_store(p->db, STORE_WRITE);
    assert_non_null(strstr(store_notice(s), "which could not write them"));
    assert_false(is_there(file));
    close_store(s);
    for (int again = 0; again < 2; ++again) {
        assert_string_equal(ask(p->db, "select group_concat(state || ' ' || epochs_done, ', ') from runs"),
                            "done 2, lost 1"); /* merged, and its process has not said how it ended */
        assert_string_equal(ask(p->db, "select count(*) from epochs"), "3");
        assert_string_equal(ask(p->db, "select count(*) from events"), "4");
        assert_string_equal(ask(p->db,
                                "select loss > 1e308 and val_accuracy < -1e308 and nonfinite = 'loss,val_accuracy'"
                                " from epochs where run = 2"),
                            "1");
        assert_string_equal(ask(p->db, "select loss = 1.0/3 from epochs where run = 1 and epoch = 2"), "1");
        assert_string_equal(ask(p->db, "select group_concat(typeof(value)) from params"), "integer,real");
        assert_string_equal(ask(p->db, "select value = 9223372036854775807 from params where name = 'big'"), "1");
        assert_string_equal(ask(p->db, "select name from experiments order by id desc"), "数字");
        assert_string_equal(ask(p->db, "select hex(content) from launch_modules m join blobs b on b.sha256 = m.blob"),
                            "FF0078");
        assert_string_equal(ask(p->db, "select count(*) from spills"), "1");
        /* Killed between the commit and the removal of the file, a process leaves it to be found again. */
        snprintf(command, sizeof command, "cp %s %s", copy, file);
        assert_int_equal(system(command), 0);
        s = open_store(p->db, STORE_WRITE);
        assert_null(store_notice(s));
        close_store(s);
        assert_false(is_there(file));
    }
}

static void a_spill_that_cannot_be_understood_is_set_aside_and_nothing_of_it_merged(void **state)
{
    static const char header[] =
        "{\"perilune\":\"spill\",\"uuid\":\"00000000-0000-4000-8000-000000000000\",\"schema\":1}\n";
    static const char good[] = "{\"record\":\"experiment\",\"name\":\"half\",\"created\":\"now\"}\n";
    static const char *const bad[] = {"{\"record\":\"epoch\",\"ru",
                                      "[]",
                                      "{\"record\":\"nonsense\"}",
                                      "{\"record\":7}",
                                      "{\"record\":\"experiment\",\"name\":[1],\"created\":\"now\"}",
                                      "{\"record\":\"experiment\",\"name\":{\"hex\":\"0g\"}}",
                                      "{\"record\":\"experiment\",\"name\":null}",
                                      "{\"record\":\"experiment\",\"a\":1,\"a\":2}"};
    place *p = *state;
    char folder[192], file[256], content[512];
    store *s = open_store(p->db, STORE_WRITE);
    snprintf(folder, sizeof folder, "%s.d", p->db);
    mkdir(folder, 0777);
    snprintf(folder, sizeof folder, "%s.d/spill", p->db);
    mkdir(folder, 0777);
    close_store(s);
    snprintf(file, sizeof file, "%s/1.jsonl", folder);
    for (size_t i = 0; i <= sizeof bad / sizeof *bad; ++i) {
        int headless = i == sizeof bad / sizeof *bad;
        snprintf(content, sizeof content, "%s%s%s", headless ? "" : header, good, headless ? "" : bad[i]);
        write_file(file, content, strlen(content));
        s = open_store(p->db, STORE_WRITE);
        const char *notice = store_notice(s);
        assert_non_null(notice);
        assert_non_null(strstr(notice, "1.jsonl.rejected"));
        assert_non_null(strstr(notice, headless ? "line 1" : "line 3"));
        close_store(s);
        assert_false(is_there(file));
        assert_string_equal(ask(p->db, "select count(*) from experiments"), "0");
    }
    assert_true(*spilled(p, ".rejected"));
    write_file(file, "", 0);
    close_store(open_store(p->db, STORE_WRITE)); /* empty: rejected as well, and no crash */
    assert_false(is_there(file));
}

/* ---------------------------------------------------------------------------------------------------- full */

static void a_full_file_keeps_what_was_committed_and_what_waits(void **state)
{
    place *p = *state;
    error e = {0};
    store *s = open_store(p->db, STORE_WRITE);
    recording *r = begin_run(s, "x");
    add_epoch(r, 1, 0.5);
    flush(s);
    assert_int_equal(sqlite3_exec(s->db, "pragma max_page_count = 1", NULL, NULL, NULL), SQLITE_OK); /* what it has */
    int status = PLN_E_OK;
    for (int i = 2; i < 4000 && status == PLN_E_OK; ++i) {
        add_epoch(r, i, 0.5);
        status = store_flush(s, 0, &e);
    }
    assert_status(status, PLN_E_FULL, e);
    assert_says(e, "disk is full");
    assert_says(e, p->db);
    assert_says(e, "bytes");
    size_t waiting = store_pending(s);
    assert_true(waiting > 0);
    int64_t committed = atoll(ask(p->db, "select max(epoch) from epochs"));
    assert_int_equal(committed, atoll(ask(p->db, "select epochs_done from runs")));
    assert_true(committed > 1);
    assert_int_equal(sqlite3_exec(s->db, "pragma max_page_count = 100000", NULL, NULL, NULL), SQLITE_OK);
    flush(s);
    assert_int_equal(atoll(ask(p->db, "select max(epoch) from epochs")), committed + 1);
    recording_close(r);
    close_store(s);
}

static void a_number_that_was_rolled_back_may_go_to_another_run(void **state)
{
    place *p = *state;
    error e = {0};
    store *s = open_store(p->db, STORE_WRITE), *other = open_store(p->db, STORE_WRITE);
    recording *r = begin_run(s, "x");
    for (int i = 1; i < 4000; ++i)
        add_epoch(r, i, 0.5);
    assert_int_equal(sqlite3_exec(s->db, "pragma max_page_count = 1", NULL, NULL, NULL), SQLITE_OK);
    assert_status(store_flush(s, 0, &e), PLN_E_FULL, e);
    assert_int_equal(recording_id(r), 0);
    assert_int_equal(lock_held(other->lock_fd, 1), 0);
    assert_int_equal(record_run(other, "y", 0.5, 1), 1);
    assert_int_equal(sqlite3_exec(s->db, "pragma max_page_count = 100000", NULL, NULL, NULL), SQLITE_OK);
    flush(s);
    assert_int_equal(recording_id(r), 2);
    assert_int_equal(lock_held(other->lock_fd, 2), 1);
    assert_string_equal(ask(p->db, "select count(*) from epochs where run = 2"), "3999");
    recording_close(r);
    close_store(other);
    close_store(s);
}

static int child_fills_the_disk(const place *p, int fd)
{
    error e = {0};
    store *s;
    recording *r;
    store_run run = {.experiment = "full"};
    struct rlimit limit = {400000, 400000};
    (void)fd;
    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) || store_open(p->db, STORE_WRITE, &s, &e) || recording_begin(s, &run, &r, &e))
        return 1;
    int status = PLN_E_OK;
    for (int i = 1; i < 10000 && status == PLN_E_OK; ++i) {
        store_epoch epoch = {.epoch = i, .present = 1, .value = {0.5}};
        if (recording_epoch(r, &epoch, &e))
            return 2;
        status = store_flush(s, 0, &e);
    }
    if (status != PLN_E_FULL || !strstr(e.text, p->db) || !strstr(e.text, "the disk is full")) {
        fprintf(stderr, "%d: %s\n", status, e.text);
        return 3;
    }
    status = store_close(s, 0, &e); /* a few rows find room in the spill */
    if (status != PLN_E_OK || !strstr(e.text, "wait in")) {
        fprintf(stderr, "%d: %s\n", status, e.text);
        return 4;
    }
    return 0;
}

static void a_write_that_finds_no_room_on_the_disk_says_so(void **state)
{
    place *p = *state;
    assert_int_equal(child_status(in_child(child_fills_the_disk, p, -1)), 0);
    assert_string_equal(ask(p->db, "pragma integrity_check"), "ok");
    int before = atoi(ask(p->db, "select max(epoch) from epochs"));
    close_store(open_store(p->db, STORE_WRITE));
    assert_int_equal(atoi(ask(p->db, "select max(epoch) from epochs")), before + 1);
    assert_int_equal(atoi(ask(p->db, "select count(*) from epochs")), before + 1);
}

static void rows_that_find_no_place_at_all_are_counted_in_the_error(void **state)
{
    place *p = *state;
    error e = {0};
    char folder[192];
    store *s = open_store(p->db, STORE_WRITE);
    sqlite3 *other = hold(p->db, "begin immediate");
    snprintf(folder, sizeof folder, "%s.d", p->db);
    write_file(folder, "in the way", 10);
    recording *r = begin_run(s, "x");
    (void)r;
    assert_status(store_close(s, 0, &e), PLN_E_BUSY, e);
    assert_says(e, "3 records are lost");
    assert_says(e, "spill");
    sqlite3_close(other);
}

/* --------------------------------------------------------------------------------------------- not our file */

static void a_foreign_database_is_refused_and_left_as_it_is(void **state)
{
    place *p = *state;
    error e = {0};
    store *s = NULL;
    char lock[128];
    execute(p->db, "create table recipes(id, cake); create table cooks(name)");
    struct stat before, after;
    assert_int_equal(stat(p->db, &before), 0);
    for (int mode = STORE_READ; mode <= STORE_WRITE; ++mode) {
        assert_status(store_open(p->db, mode, &s, &e), PLN_E_FORMAT, e);
        assert_says(e, "another program");
        assert_says(e, "recipes, cooks");
        assert_says(e, "--db FILE");
    }
    execute(p->db, "pragma application_id = 7; drop table recipes; drop table cooks");
    assert_status(store_open(p->db, STORE_WRITE, &s, &e), PLN_E_FORMAT, e);
    assert_says(e, "0x00000007");
    snprintf(lock, sizeof lock, "%s.lock", p->db);
    assert_false(is_there(lock));
    assert_string_equal(ask(p->db, "pragma journal_mode"), "delete");
    assert_int_equal(stat(p->db, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
}

static void a_file_that_is_no_database_is_refused_and_left_as_it_is(void **state)
{
    place *p = *state;
    error e = {0};
    store *s = NULL;
    char content[5000], lock[128];
    memset(content, 'a', sizeof content);
    for (size_t bytes = 3; bytes <= sizeof content; bytes += sizeof content - 3) {
        write_file(p->db, content, bytes);
        for (int mode = STORE_READ; mode <= STORE_WRITE; ++mode) {
            assert_status(store_open(p->db, mode, &s, &e), PLN_E_FORMAT, e);
            assert_says(e, "is no database");
            assert_says(e, p->db);
        }
        struct stat of;
        assert_int_equal(stat(p->db, &of), 0);
        assert_int_equal(of.st_size, bytes);
    }
    snprintf(lock, sizeof lock, "%s.lock", p->db);
    assert_false(is_there(lock));
}

static void a_damaged_database_says_how_to_save_what_can_be_read(void **state)
{
    place *p = *state;
    error e = {0};
    store *s = open_store(p->db, STORE_WRITE);
    recording *r = begin_run(s, "x");
    for (int i = 1; i < 2000; ++i)
        add_epoch(r, i, 0.5);
    finish_run(r, STORE_DONE);
    flush(s);
    recording_close(r);
    close_store(s);
    char noise[4096];
    memset(noise, 0x5a, sizeof noise);
    int page = atoi(ask(p->db, "select rootpage from sqlite_schema where name = 'epochs'"));
    int fd = open(p->db, O_WRONLY);
    assert_int_equal(pwrite(fd, noise, sizeof noise, (off_t)(page - 1) * 4096), sizeof noise);
    close(fd);
    store_detail d;
    s = open_store(p->db, STORE_READ);
    assert_status(store_read_run(s, 1, &d, &e), PLN_E_FORMAT, e);
    assert_says(e, "is damaged");
    assert_says(e, ".recover");
    close_store(s);
    /* Cut short */
    assert_int_equal(truncate(p->db, 4096 * 3), 0);
    int status = store_open(p->db, STORE_WRITE, &s, &e);
    if (status == PLN_E_OK) {
        begin_run(s, "x");
        assert_status(store_flush(s, 0, &e), PLN_E_FORMAT, e);
        store_close(s, 0, NULL);
    } else {
        assert_status(status, PLN_E_FORMAT, e);
    }
    assert_says(e, "is damaged");
}

static void a_newer_database_is_read_with_a_notice_and_not_written(void **state)
{
    place *p = *state;
    error e = {0};
    store_runs runs;
    store *s = open_store(p->db, STORE_WRITE);
    record_run(s, "x", 0.5, 1);
    close_store(s);
    execute(p->db, "pragma user_version = 999; alter table runs add column future text; create table later(x)");
    s = open_store(p->db, STORE_READ);
    const char *notice = store_notice(s);
    assert_non_null(notice);
    assert_non_null(strstr(notice, "newer Perilune (schema 999"));
    assert_ok(store_list_runs(s, NULL, &runs, &e), e);
    assert_int_equal(runs.count, 1);
    store_runs_free(&runs);
    close_store(s);
    assert_status(store_open(p->db, STORE_WRITE, &s, &e), PLN_E_FORMAT, e);
    assert_says(e, "newer Perilune");
    assert_string_equal(ask(p->db, "pragma user_version"), "999");
}

static void a_database_that_was_moved_away_is_noticed_and_what_waits_is_kept(void **state)
{
    place *p = *state;
    error e = {0};
    char away[160];
    store *s = open_store(p->db, STORE_WRITE);
    recording *r = begin_run(s, "x");
    flush(s);
    snprintf(away, sizeof away, "%s/away.db", p->folder);
    assert_int_equal(rename(p->db, away), 0);
    add_epoch(r, 1, 0.5);
    assert_status(store_flush(s, 0, &e), PLN_E_MISSING, e);
    assert_says(e, "was moved or removed");
    assert_int_equal(store_pending(s), 2);
    assert_int_equal(rename(away, p->db), 0);
    flush(s);
    assert_string_equal(ask(p->db, "select count(*) from epochs"), "1");
    recording_close(r);
    close_store(s);
}

/* ----------------------------------------------------------------------------------------------- read-only */

/* Becomes somebody who is not root; 77 where that cannot be done. */
static int become_nobody(void)
{
    if (geteuid() != 0)
        return 0;
    return setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0 ? 0 : 77;
}

static int expect_refusal(const place *p, const char *words)
{
    error e = {0};
    store *s = NULL;
    int status = store_open(p->db, STORE_WRITE, &s, &e);
    if (status != PLN_E_IO || !strstr(e.text, words) || !strstr(e.text, p->db)) {
        fprintf(stderr, "%d: %s\n", status, e.text);
        return 1;
    }
    return 0;
}

static int child_meets_a_read_only_file(const place *p, int fd)
{
    (void)fd;
    int status = become_nobody();
    return status ? status : expect_refusal(p, "may only read this file");
}

static int child_meets_a_read_only_folder(const place *p, int fd)
{
    (void)fd;
    int status = become_nobody();
    return status ? status : expect_refusal(p, "you may not write in its folder");
}

static int child_reads_in_a_read_only_folder(const place *p, int fd)
{
    error e = {0};
    store *s;
    store_runs runs;
    (void)fd;
    int status = become_nobody();
    if (status)
        return status;
    if (store_open(p->db, STORE_READ, &s, &e) || store_list_runs(s, NULL, &runs, &e)) {
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    status = runs.count == 1 ? 0 : 2;
    store_runs_free(&runs);
    store_close(s, 0, NULL);
    return status;
}

static int child_meets_a_log_it_cannot_share(const place *p, int fd)
{
    error e = {0};
    store *s;
    (void)fd;
    int status = become_nobody();
    if (status)
        return status;
    status = store_open(p->db, STORE_READ, &s, &e);
    if (status != PLN_E_IO || !strstr(e.text, "holds rows that are not in the file yet")) {
        fprintf(stderr, "%d: %s\n", status, e.text);
        return 1;
    }
    return 0;
}

static void expect_child(int (*body)(const place *, int), const place *p)
{
    int status = child_status(in_child(body, p, -1));
    if (status == 77)
        skip();
    assert_int_equal(status, 0);
}

static void a_read_only_file_or_folder_is_named_to_a_user_who_is_not_root(void **state)
{
    place *p = *state;
    char lock[128];
    store *s = open_store(p->db, STORE_WRITE);
    record_run(s, "x", 0.5, 1);
    close_store(s);
    snprintf(lock, sizeof lock, "%s.lock", p->db);
    assert_int_equal(chmod(p->folder, 0777), 0);
    assert_int_equal(chmod(p->db, 0444), 0);
    assert_int_equal(chmod(lock, 0666), 0);
    expect_child(child_meets_a_read_only_file, p);
    assert_int_equal(chmod(p->db, 0666), 0);
    assert_int_equal(chmod(lock, 0444), 0);
    assert_int_equal(chmod(p->folder, 0555), 0);
    expect_child(child_reads_in_a_read_only_folder, p);
    assert_int_equal(unlink(lock), geteuid() == 0 ? 0 : -1);
    if (geteuid() == 0)
        expect_child(child_meets_a_read_only_folder, p);
    assert_int_equal(chmod(p->folder, 0755), 0);
}

static void a_log_in_a_folder_that_may_not_be_written_is_not_silently_left_out(void **state)
{
    place *p = *state;
    char command[512];
    if (geteuid() != 0)
        skip();
    store *s = open_store(p->db, STORE_WRITE);
    record_run(s, "x", 0.5, 1);
    /* A copy made while somebody was writing, without the shared memory. */
    snprintf(command, sizeof command, "mkdir %s/copy && cp %s %s-wal %s/copy && chmod 555 %s/copy && chmod 755 %s",
             p->folder, p->db, p->db, p->folder, p->folder, p->folder);
    assert_int_equal(system(command), 0);
    close_store(s);
    place copy = *p;
    snprintf(copy.db, sizeof copy.db, "%s/copy/perilune.db", p->folder);
    expect_child(child_meets_a_log_it_cannot_share, &copy);
}

/* ------------------------------------------------------------------------------------- rollback journal */

static void with_a_rollback_journal_readers_and_writers_wait_and_nothing_is_lost(void **state)
{
    place *p = *state;
    error e = {0};
    store *s = open_store(p->db, STORE_WRITE | STORE_ROLLBACK);
    assert_string_equal(ask(p->db, "pragma journal_mode"), "delete");
    recording *r = begin_run(s, "x");
    flush(s);
    sqlite3 *reader = hold(p->db, "begin; select * from runs");
    add_epoch(r, 1, 0.5);
    assert_status(store_flush(s, 0, &e), PLN_E_BUSY, e);
    assert_int_equal(sqlite3_get_autocommit(s->db), 1);
    sqlite3_close(reader);
    flush(s);
    recording_close(r);
    close_store(s);
    store *again = open_store(p->db, STORE_WRITE); /* and the other way round: to a log */
    assert_string_equal(ask(p->db, "pragma journal_mode"), "wal");
    assert_string_equal(ask(p->db, "select count(*) from epochs"), "1");
    close_store(again);
    again = open_store(p->db, STORE_WRITE | STORE_ROLLBACK);
    assert_string_equal(ask(p->db, "pragma journal_mode"), "delete");
    close_store(again);
}

static void network_file_systems_are_told_from_local_ones(void **state)
{
    static const long kinds[] = {0x6969, 0x517b, (long)0xfe534d42, (long)0xff534d42, 0x01021997, 0x65735546};
    static const long local[] = {0xef53, 0x58465342, (long)0x9123683e, 0x01021994, 0x794c7630};
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; ++i)
        assert_true(file_system_is_network(kinds[i]));
    for (size_t i = 0; i < sizeof local / sizeof *local; ++i)
        assert_false(file_system_is_network(local[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        case_of(a_file_that_somebody_holds_delays_nothing_and_the_error_names_who),
        case_of(a_database_locked_before_it_is_opened_is_recorded_in_later),
        case_of(a_new_file_locked_by_somebody_is_made_ours_later),
        case_of(what_cannot_be_committed_is_spilled_and_merged_by_the_next_writer),
        case_of(a_spill_that_cannot_be_understood_is_set_aside_and_nothing_of_it_merged),
        case_of(a_full_file_keeps_what_was_committed_and_what_waits),
        case_of(a_number_that_was_rolled_back_may_go_to_another_run),
        case_of(a_write_that_finds_no_room_on_the_disk_says_so),
        case_of(rows_that_find_no_place_at_all_are_counted_in_the_error),
        case_of(a_foreign_database_is_refused_and_left_as_it_is),
        case_of(a_file_that_is_no_database_is_refused_and_left_as_it_is),
        case_of(a_damaged_database_says_how_to_save_what_can_be_read),
        case_of(a_newer_database_is_read_with_a_notice_and_not_written),
        case_of(a_database_that_was_moved_away_is_noticed_and_what_waits_is_kept),
        case_of(a_read_only_file_or_folder_is_named_to_a_user_who_is_not_root),
        case_of(a_log_in_a_folder_that_may_not_be_written_is_not_silently_left_out),
        case_of(with_a_rollback_journal_readers_and_writers_wait_and_nothing_is_lost),
        cmocka_unit_test(network_file_systems_are_told_from_local_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
