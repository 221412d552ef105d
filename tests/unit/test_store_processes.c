/* Many processes, one file: who lives, who died, and what each of them wrote. */
#include <fcntl.h>
#include <sys/prctl.h>

#include "store_helpers.h"

/* ------------------------------------------------------------------------------------- processes to look at */

/* Begins a run, tells its number, and then lives until it is killed. */
static int child_trains(const place *p, int fd)
{
    error e = {0};
    store *s;
    recording *r;
    store_run run = {.experiment = "child"};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (store_open(p->db, STORE_WRITE, &s, &e) || recording_begin(s, &run, &r, &e) || store_flush(s, 5000, &e))
        return 1;
    store_epoch epoch = {.epoch = 1, .present = 1};
    if (recording_epoch(r, &epoch, &e) || store_flush(s, 5000, &e))
        return 1;
    int64_t id = recording_id(r);
    if (write(fd, &id, sizeof id) != (ssize_t)sizeof id)
        return 1;
    for (;;)
        pause();
}

static pid_t start_training(const place *p, int64_t *id)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = in_child(child_trains, p, ends[1]);
    close(ends[1]);
    assert_int_equal(read(ends[0], id, sizeof *id), sizeof *id);
    close(ends[0]);
    return child;
}

static void kill_child(pid_t child)
{
    kill(child, SIGKILL);
    assert_int_equal(child_status(child), -SIGKILL);
}

static int state_of(store *s, int64_t id)
{
    error e = {0};
    store_detail d;
    assert_ok(store_read_run(s, id, &d, &e), e);
    int state = d.run.state;
    store_detail_free(&d);
    return state;
}

/* ------------------------------------------------------------------------------------------- alive or lost */

static void a_killed_process_leaves_a_run_that_readers_show_and_writers_record_as_lost(void **state)
{
    place *p = *state;
    int64_t id;
    pid_t child = start_training(p, &id);
    store *reader = open_store(p->db, STORE_READ);
    assert_int_equal(store_run_alive(reader, id), STORE_ALIVE);
    assert_int_equal(state_of(reader, id), STORE_RUNNING);
    kill_child(child);
    assert_int_equal(store_run_alive(reader, id), STORE_GONE);
    assert_int_equal(state_of(reader, id), STORE_LOST);
    assert_string_equal(ask(p->db, "select state from runs"), "running");
    close_store(reader);
    close_store(open_store(p->db, STORE_WRITE));
    assert_string_equal(ask(p->db,
                            "select state || ' ' || epochs_done || ' ' || (message like 'its process (% is gone')"
                            " from runs"),
                        "lost 1 1");
    assert_string_equal(ask(p->db, "select kind from events order by id desc"), "lost");
}

static void a_living_run_is_neither_resumed_nor_removed_nor_marked_lost(void **state)
{
    place *p = *state;
    error e = {0};
    recording *r;
    int64_t id;
    pid_t child = start_training(p, &id);
    store *s = open_store(p->db, STORE_WRITE);
    assert_int_equal(state_of(s, id), STORE_RUNNING);
    assert_status(recording_resume(s, id, &r, &e), PLN_E_BUSY, e);
    assert_says(e, "trained by another process");
    assert_status(store_remove_run(s, id, 100, &e), PLN_E_BUSY, e);
    store_filter f = store_filter_all();
    store_runs runs;
    f.state = STORE_RUNNING;
    assert_ok(store_list_runs(s, &f, &runs, &e), e);
    assert_int_equal(runs.count, 1);
    store_runs_free(&runs);
    kill_child(child);
    f.state = STORE_LOST;
    f.limit = 5;
    assert_ok(store_list_runs(s, &f, &runs, &e), e);
    assert_int_equal(runs.count, 1);
    store_runs_free(&runs);
    close_store(s);
}

static void a_lost_run_is_resumed_under_its_number(void **state)
{
    place *p = *state;
    error e = {0};
    recording *r, *again;
    int64_t id;
    kill_child(start_training(p, &id));
    char uuid[STORE_UUID];
    snprintf(uuid, sizeof uuid, "%s", ask(p->db, "select uuid from runs"));
    store *s = open_store(p->db, STORE_WRITE);
    assert_ok(recording_resume(s, id, &r, &e), e);
    assert_int_equal(recording_id(r), id);
    assert_string_equal(recording_uuid(r), uuid);
    assert_int_equal(state_of(s, id), STORE_RUNNING);
    assert_status(recording_resume(s, id, &again, &e), PLN_E_INVALID, e);
    add_epoch(r, 2, 0.5);
    finish_run(r, STORE_DONE);
    flush(s);
    recording_close(r);
    assert_int_equal(state_of(s, id), STORE_DONE);
    assert_string_equal(ask(p->db, "select group_concat(epoch) from epochs"), "1,2");
    assert_status(recording_resume(s, 77, &r, &e), PLN_E_MISSING, e);
    assert_int_equal(lock_held(s->lock_fd, 77), 0);
    close_store(s);
}

static void a_run_on_another_host_is_unknown_and_left_alone(void **state)
{
    place *p = *state;
    int64_t id;
    kill_child(start_training(p, &id));
    execute(p->db, "update runs set host = 'elsewhere', boot = '00000000-0000-0000-0000-000000000000'");
    store *s = open_store(p->db, STORE_WRITE);
    assert_int_equal(store_run_alive(s, id), STORE_UNKNOWN);
    assert_int_equal(state_of(s, id), STORE_RUNNING);
    close_store(s);
    assert_string_equal(ask(p->db, "select state from runs"), "running");
}

static void a_container_of_the_same_kernel_is_seen_and_an_earlier_boot_is_lost(void **state)
{
    place *p = *state;
    int64_t id;
    pid_t child = start_training(p, &id);
    execute(p->db, "update runs set host = 'container'");
    store *s = open_store(p->db, STORE_READ);
    assert_int_equal(store_run_alive(s, id), STORE_ALIVE);
    kill_child(child);
    assert_int_equal(store_run_alive(s, id), STORE_GONE);
    char host[256] = "", sql[512];
    gethostname(host, sizeof host - 1);
    snprintf(sql, sizeof sql, "update runs set host = '%s', boot = 'an earlier one'", host);
    execute(p->db, sql);
    assert_int_equal(store_run_alive(s, id), STORE_GONE);
    s->network = 1; /* another machine of this name may hold it */
    assert_int_equal(store_run_alive(s, id), STORE_UNKNOWN);
    close_store(s);
}

static void two_stores_of_one_process_see_each_other(void **state)
{
    place *p = *state;
    error e = {0};
    store *a = open_store(p->db, STORE_WRITE), *b = open_store(p->db, STORE_WRITE);
    recording *r = begin_run(a, "x"), *other;
    flush(a);
    assert_int_equal(store_run_alive(a, recording_id(r)), STORE_ALIVE);
    assert_int_equal(store_run_alive(b, recording_id(r)), STORE_ALIVE);
    assert_status(recording_resume(b, recording_id(r), &other, &e), PLN_E_BUSY, e);
    finish_run(r, STORE_DONE);
    flush(a);
    assert_int_equal(lock_held(b->lock_fd, recording_id(r)), 0); /* freed with the commit of its end */
    recording_close(r);
    close_store(b);
    close_store(a);
}

static void a_handle_given_back_before_the_end_is_a_lost_run(void **state)
{
    place *p = *state;
    store *s = open_store(p->db, STORE_WRITE);
    recording *r = begin_run(s, "x");
    flush(s);
    int64_t id = recording_id(r);
    recording_close(r);
    assert_int_equal(state_of(s, id), STORE_LOST);
    r = begin_run(s, "y"); /* given back while its rows wait */
    recording_close(r);
    flush(s);
    assert_int_equal(state_of(s, id + 1), STORE_LOST);
    close_store(s);
}

/* ----------------------------------------------------------------------------------------- forks of ours */

/* Trains, forks a child that forgets the store and outlives it, and waits to be killed. */
static int child_with_a_zygote(const place *p, int fd)
{
    error e = {0};
    store *s;
    recording *r;
    store_run run = {.experiment = "parent"};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (store_open(p->db, STORE_WRITE, &s, &e) || recording_begin(s, &run, &r, &e) || store_flush(s, 1000, &e) ||
        store_suspend(s, 1000, &e))
        return 1;
    if (fork() == 0) {
        store_forget(s);
        pid_t me = getpid();
        if (write(fd, &me, sizeof me) != (ssize_t)sizeof me)
            _exit(1);
        for (;;)
            pause();
    }
    if (store_resume(s, &e))
        return 1;
    for (;;)
        pause();
}

static void a_forked_child_that_forgets_keeps_no_run_alive(void **state)
{
    place *p = *state;
    int ends[2];
    pid_t grandchild;
    assert_int_equal(pipe(ends), 0);
    pid_t child = in_child(child_with_a_zygote, p, ends[1]);
    assert_int_equal(read(ends[0], &grandchild, sizeof grandchild), sizeof grandchild);
    store *s = open_store(p->db, STORE_READ);
    assert_int_equal(store_run_alive(s, 1), STORE_ALIVE);
    kill_child(child);
    assert_int_equal(kill(grandchild, 0), 0); /* it lives */
    assert_int_equal(store_run_alive(s, 1), STORE_GONE);
    kill(grandchild, SIGKILL);
    close_store(s);
    close(ends[0]);
    close(ends[1]);
}

static void between_suspend_and_resume_records_wait_and_runs_stay_alive(void **state)
{
    place *p = *state;
    error e = {0};
    store_runs runs;
    store *s = open_store(p->db, STORE_WRITE);
    recording *r = begin_run(s, "x");
    add_epoch(r, 1, 0.5);
    assert_ok(store_suspend(s, 1000, &e), e);
    assert_int_equal(store_pending(s), 0);
    int64_t id = recording_id(r);
    assert_int_equal(id, 1);
    store *other = open_store(p->db, STORE_WRITE); /* does not find it lost */
    assert_int_equal(store_run_alive(other, id), STORE_ALIVE);
    close_store(other);
    assert_string_equal(ask(p->db, "select state from runs"), "running");
    add_epoch(r, 2, 0.25);
    assert_status(store_flush(s, 0, &e), PLN_E_BUSY, e);
    assert_status(store_list_runs(s, NULL, &runs, &e), PLN_E_BUSY, e);
    assert_int_equal(store_stop_requested(s, r), 0);
    assert_ok(store_resume(s, &e), e);
    flush(s);
    assert_string_equal(ask(p->db, "select group_concat(epoch) from epochs"), "1,2");
    recording_close(r);
    close_store(s);
}

static void an_executed_program_inherits_no_lock(void **state)
{
    place *p = *state;
    store *s = open_store(p->db, STORE_WRITE);
    assert_true(fcntl(s->lock_fd, F_GETFD) & FD_CLOEXEC);
    close_store(s);
}

/* -------------------------------------------------------------------------------------- writing at once */

enum { WRITERS = 3, EPOCHS = 150 };

static int child_writes_epochs(const place *p, int fd)
{
    error e = {0};
    store *s;
    recording *r;
    store_run run = {.experiment = "many"};
    (void)fd;
    if (store_open(p->db, STORE_WRITE, &s, &e) || recording_begin(s, &run, &r, &e))
        return 1;
    for (int i = 1; i <= EPOCHS; ++i) {
        store_epoch epoch = {.epoch = i, .present = 1, .value = {1.0 / i}};
        if (recording_epoch(r, &epoch, &e))
            return 2;
        int status = store_flush(s, i % 3 ? 0 : 50, &e);
        if (status != PLN_E_OK && status != PLN_E_BUSY) {
            fprintf(stderr, "%s\n", e.text);
            return 3;
        }
    }
    store_end end = {.state = STORE_DONE, .score = NAN};
    if (recording_finish(r, &end, &e))
        return 4;
    recording_close(r);
    int status = store_close(s, 10000, &e);
    if (status != PLN_E_OK || *e.text) {
        fprintf(stderr, "%s\n", e.text);
        return 5;
    }
    return 0;
}

static void processes_that_write_at_once_lose_nothing(void **state)
{
    place *p = *state;
    error e = {0};
    store_runs runs;
    pid_t child[WRITERS];
    for (int i = 0; i < WRITERS; ++i) /* none of them finds a database: they create it at once, too */
        child[i] = in_child(child_writes_epochs, p, -1);
    usleep(20000);
    store *s = NULL;
    if (store_open(p->db, STORE_READ, &s, &e) == PLN_E_OK) { /* a reader is never in their way */
        for (int i = 0; i < 50; ++i) {
            assert_ok(store_list_runs(s, NULL, &runs, &e), e);
            store_runs_free(&runs);
        }
        close_store(s);
    }
    for (int i = 0; i < WRITERS; ++i)
        assert_int_equal(child_status(child[i]), 0);
    assert_string_equal(ask(p->db, "pragma integrity_check"), "ok");
    assert_int_equal(atoi(ask(p->db, "select count(*) from runs where state = 'done'")), WRITERS);
    assert_int_equal(atoi(ask(p->db, "select count(*) from epochs")), WRITERS * EPOCHS);
    assert_int_equal(atoi(ask(p->db, "select count(*) from experiments")), 1);
}

/* Writes epochs as fast as it can and tells each one that is committed. */
static int child_tells_commits(const place *p, int fd)
{
    error e = {0};
    store *s;
    recording *r;
    store_run run = {.experiment = "killed"};
    if (store_open(p->db, STORE_WRITE, &s, &e) || recording_begin(s, &run, &r, &e))
        return 1;
    for (int64_t i = 1;; ++i) {
        store_epoch epoch = {.epoch = i, .present = 1, .value = {1.0 / (double)i}};
        if (recording_epoch(r, &epoch, &e) || store_flush(s, 1000, &e))
            return 2;
        if (write(fd, &i, sizeof i) != (ssize_t)sizeof i)
            return 3;
    }
}

static void a_process_killed_at_any_moment_loses_no_committed_epoch(void **state)
{
    place *p = *state;
    for (int round = 1; round <= 8; ++round) {
        int ends[2];
        int64_t told = 0, last;
        char sql[96];
        assert_int_equal(pipe(ends), 0);
        pid_t child = in_child(child_tells_commits, p, ends[1]);
        close(ends[1]);
        usleep((useconds_t)(3000 + round * 7919 % 17000));
        kill_child(child);
        while (read(ends[0], &last, sizeof last) == (ssize_t)sizeof last)
            told = last;
        close(ends[0]);
        if (!is_there(p->db))
            continue;
        close_store(open_store(p->db, STORE_WRITE));
        assert_string_equal(ask(p->db, "pragma integrity_check"), "ok");
        snprintf(sql, sizeof sql, "select coalesce(max(epoch), 0) from epochs where run = (select max(id) from runs)");
        assert_true(atoll(ask(p->db, sql)) >= told);
        assert_string_equal(ask(p->db, "select count(*) from (select run from epochs group by run"
                                       " having count(*) <> max(epoch))"),
                            "0");
        assert_string_equal(ask(p->db, "select count(*) from runs where state <> 'lost'"), "0");
    }
}

static void a_long_log_is_checkpointed(void **state)
{
    place *p = *state;
    struct stat log;
    char name[128];
    store *s = open_store(p->db, STORE_WRITE);
    recording *r = begin_run(s, "long");
    for (int i = 1; i <= 2 * STORE_WAL_PAGES; ++i) {
        add_epoch(r, i, 1.0 / i);
        flush(s);
    }
    snprintf(name, sizeof name, "%s-wal", p->db);
    assert_int_equal(stat(name, &log), 0);
    assert_true(log.st_size < (STORE_WAL_PAGES + 50) * 4200);
    recording_close(r);
    close_store(s);
}

static void a_reader_that_stays_does_not_make_every_commit_a_checkpoint(void **state)
{
    place *p = *state;
    sqlite3 *reader = NULL;
    store *s = open_store(p->db, STORE_WRITE);
    recording *r = begin_run(s, "long");
    flush(s);
    assert_int_equal(sqlite3_open(p->db, &reader), SQLITE_OK);
    assert_int_equal(sqlite3_exec(reader, "begin; select * from runs", NULL, NULL, NULL), SQLITE_OK);
    int checkpoints = 0, kept = 0;
    for (int i = 1; i <= STORE_WAL_PAGES; ++i) {
        add_epoch(r, i, 1.0 / i);
        flush(s);
        checkpoints += s->wal_kept != kept;
        kept = s->wal_kept;
    }
    assert_in_range(checkpoints, 1, 3);
    sqlite3_close(reader);
    recording_close(r);
    close_store(s);
}

/* ----------------------------------------------------------------------------------------------- stopping */

static void a_request_to_stop_reaches_the_process_and_is_not_for_its_next_life(void **state)
{
    place *p = *state;
    error e = {0};
    store *s = open_store(p->db, STORE_WRITE), *other = open_store(p->db, STORE_WRITE);
    recording *r = begin_run(s, "x"), *bystander = begin_run(s, "y");
    assert_int_equal(store_stop_requested(s, r), 0);
    flush(s);
    assert_int_equal(store_stop_requested(s, r), 0);
    assert_ok(store_note(other, recording_id(r), "a word that is no stop", 100, &e), e);
    assert_int_equal(store_stop_requested(s, r), 0);
    assert_ok(store_request_stop(other, recording_id(r), 100, &e), e);
    assert_int_equal(store_stop_requested(s, r), 1);
    assert_int_equal(store_stop_requested(s, bystander), 0);
    assert_int_equal(store_stop_requested(s, r), 1);
    int64_t id = recording_id(r);
    finish_run(r, STORE_INTERRUPTED);
    flush(s);
    recording_close(r);
    assert_status(store_request_stop(other, id, 100, &e), PLN_E_INVALID, e);
    assert_says(e, "it is interrupted");
    assert_status(store_request_stop(other, 99, 100, &e), PLN_E_MISSING, e);
    assert_ok(recording_resume(s, id, &r, &e), e);
    assert_int_equal(store_stop_requested(s, r), 0);
    assert_ok(store_request_stop(s, id, 100, &e), e); /* by the same store, too */
    assert_int_equal(store_stop_requested(s, r), 1);
    recording_close(r);
    recording_close(bystander);
    close_store(other);
    close_store(s);
}

static void a_lost_run_cannot_be_stopped(void **state)
{
    place *p = *state;
    error e = {0};
    int64_t id;
    store *s = open_store(p->db, STORE_WRITE);
    kill_child(start_training(p, &id));
    assert_status(store_request_stop(s, id, 100, &e), PLN_E_INVALID, e);
    assert_says(e, "perilune resume");
    close_store(s);
}

/* ---------------------------------------------------------------------------------------------- the lock file */

static void a_lock_file_that_was_removed_is_made_again_with_its_locks(void **state)
{
    place *p = *state;
    char lock[128];
    store *s = open_store(p->db, STORE_WRITE);
    recording *r = begin_run(s, "x");
    flush(s);
    snprintf(lock, sizeof lock, "%s.lock", p->db);
    assert_int_equal(unlink(lock), 0);
    add_epoch(r, 1, 0.5);
    flush(s);
    assert_true(is_there(lock));
    store *other = open_store(p->db, STORE_READ);
    assert_int_equal(store_run_alive(other, recording_id(r)), STORE_ALIVE);
    close_store(other);
    recording_close(r);
    close_store(s);
}

static void another_writer_of_ours_is_waited_for_only_as_long_as_asked(void **state)
{
    place *p = *state;
    error e = {0};
    store *s = open_store(p->db, STORE_WRITE), *other = open_store(p->db, STORE_WRITE);
    recording *r = begin_run(s, "x");
    assert_int_equal(lock_take(other->lock_fd, 0, 0), 0);
    int64_t before = clock_milliseconds();
    assert_status(store_flush(s, 0, &e), PLN_E_BUSY, e);
    assert_says(e, "another Perilune process");
    assert_true(clock_milliseconds() - before < 50);
    assert_status(store_flush(s, 60, &e), PLN_E_BUSY, e);
    assert_true(clock_milliseconds() - before >= 60);
    lock_release(other->lock_fd, 0);
    flush(s);
    recording_close(r);
    close_store(other);
    close_store(s);
}

static void a_writer_that_closes_checkpoints_only_under_the_lock(void **state)
{
    place *p = *state;
    error e = {0};
    int fd;
    char name[128];
    store *s = open_store(p->db, STORE_WRITE);
    record_run(s, "x", 0.5, 3);
    snprintf(name, sizeof name, "%s.lock", p->db);
    assert_int_equal(lock_file_open(name, 1, &fd), 0);
    assert_int_equal(lock_take(fd, 0, 0), 0); /* another process is writing, for long */
    assert_ok(store_close(s, 0, &e), e);
    snprintf(name, sizeof name, "%s-wal", p->db);
    assert_true(is_there(name));
    close(fd);
    close_store(open_store(p->db, STORE_WRITE));
    assert_false(is_there(name));
    assert_string_equal(ask(p->db, "select count(*) from epochs"), "3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        case_of(a_killed_process_leaves_a_run_that_readers_show_and_writers_record_as_lost),
        case_of(a_living_run_is_neither_resumed_nor_removed_nor_marked_lost),
        case_of(a_lost_run_is_resumed_under_its_number),
        case_of(a_run_on_another_host_is_unknown_and_left_alone),
        case_of(a_container_of_the_same_kernel_is_seen_and_an_earlier_boot_is_lost),
        case_of(two_stores_of_one_process_see_each_other),
        case_of(a_handle_given_back_before_the_end_is_a_lost_run),
        case_of(a_forked_child_that_forgets_keeps_no_run_alive),
        case_of(between_suspend_and_resume_records_wait_and_runs_stay_alive),
        case_of(an_executed_program_inherits_no_lock),
        case_of(processes_that_write_at_once_lose_nothing),
        case_of(a_process_killed_at_any_moment_loses_no_committed_epoch),
        case_of(a_long_log_is_checkpointed),
        case_of(a_reader_that_stays_does_not_make_every_commit_a_checkpoint),
        case_of(a_request_to_stop_reaches_the_process_and_is_not_for_its_next_life),
        case_of(a_lost_run_cannot_be_stopped),
        case_of(a_lock_file_that_was_removed_is_made_again_with_its_locks),
        case_of(another_writer_of_ours_is_waited_for_only_as_long_as_asked),
        case_of(a_writer_that_closes_checkpoints_only_under_the_lock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
