/* The system says no: SQLite's n-th allocation fails, its n-th write finds no room or an error, for every n through a
 * small recording.  Whatever fails, nothing crashes, the error has a text, what was told to be committed is there
 * afterwards, and the rest waits in a spill or is told to be lost. */
#include <errno.h>

#include "store_helpers.h"

/* --------------------------------------------------------------------------------------- what is made to fail */

static struct {
    long countdown; /* the call that fails; below 0: none */
    int number;     /* errno of a write, 0: allocations fail */
    int for_good;   /* and all after it */
    long failures;
} fault;

static int fails(void)
{
    if (fault.countdown > 0 && --fault.countdown > 0)
        return 0;
    if (fault.countdown < 0)
        return 0;
    if (!fault.for_good)
        fault.countdown = -1;
    ++fault.failures;
    return 1;
}

static sqlite3_mem_methods real_memory;

static void *faulty_malloc(int size)
{
    return !fault.number && fails() ? NULL : real_memory.xMalloc(size);
}

static void *faulty_realloc(void *memory, int size)
{
    return !fault.number && fails() ? NULL : real_memory.xRealloc(memory, size);
}

static ssize_t faulty_pwrite(int fd, const void *bytes, size_t count, off_t offset)
{
    if (fault.number && fails()) {
        errno = fault.number;
        return -1;
    }
    return pwrite(fd, bytes, count, offset);
}

static int install_faults(void **state)
{
    (void)state;
    fault.countdown = -1;
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory) != SQLITE_OK)
        return -1;
    sqlite3_mem_methods faulty = real_memory;
    faulty.xMalloc = faulty_malloc;
    faulty.xRealloc = faulty_realloc;
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &faulty) != SQLITE_OK || sqlite3_initialize() != SQLITE_OK)
        return -1;
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    return vfs->xSetSystemCall(vfs, "pwrite64", (sqlite3_syscall_ptr)faulty_pwrite) == SQLITE_OK ||
                   vfs->xSetSystemCall(vfs, "pwrite", (sqlite3_syscall_ptr)faulty_pwrite) == SQLITE_OK
               ? 0
               : -1;
}

/* ------------------------------------------------------------------------------------------- what is attempted */

/* Records a run of some epochs and reads it back.  *told: the last epoch that was committed, by what the store said;
 * *lost: what closing said about records that found no place. */
static int record_and_read(const place *p, int64_t *told, int *lost, error *e)
{
    store *s = NULL;
    recording *r = NULL;
    store_detail d;
    store_launch launch = {.script = {.name = "a.lua", .text = "return 1"}};
    store_run run = {.experiment = "faults"};
    *told = *lost = 0;
    int status = store_open(p->db, STORE_WRITE, &s, e);
    if (status != PLN_E_OK)
        return status;
    int worst = store_launch_begin(s, &launch, e);
    if (worst == PLN_E_OK)
        worst = recording_begin(s, &run, &r, e);
    for (int i = 1; i <= 3 && worst == PLN_E_OK; ++i) {
        store_epoch epoch = {.epoch = i, .present = 1, .value = {0.5}};
        worst = recording_param(r, i % 2 ? "odd" : "even", store_integer(i), NULL, e);
        if (worst == PLN_E_OK)
            worst = recording_epoch(r, &epoch, e);
        if (worst == PLN_E_OK && (worst = store_flush(s, 0, e)) == PLN_E_OK)
            *told = i;
    }
    if (worst == PLN_E_OK && (worst = store_read_run(s, recording_id(r), &d, e)) == PLN_E_OK)
        store_detail_free(&d);
    recording_close(r);
    error last = {0};
    status = store_close(s, 0, &last);
    if (status != PLN_E_OK) {
        *lost = strstr(last.text, "are lost") != NULL;
        if (e && worst == PLN_E_OK)
            *e = last;
    }
    return worst == PLN_E_OK ? status : worst;
}

static void check_what_is_there(const place *p, int64_t told, int lost)
{
    error e = {0};
    store *s = NULL;
    fault.countdown = -1;
    assert_ok(store_open(p->db, STORE_WRITE, &s, &e), e);
    close_store(s);
    assert_string_equal(ask(p->db, "pragma integrity_check"), "ok");
    assert_string_equal(ask(p->db, "pragma foreign_key_check"), "");
    int64_t there = atoll(ask(p->db, "select coalesce(max(epoch), 0) from epochs where run = (select max(id) from runs"
                                     " where created >= (select max(started) from launches))"));
    if (there < told)
        fail_msg("epoch %d was committed, %d is there (%d lost)", (int)told, (int)there, lost);
}

/* Every n (or about fifty of them) until nothing fails any more.  Returns how many did. */
static int fail_each(void **state, int number, int for_good)
{
    int failed = 0, thorough = getenv("PERILUNE_THOROUGH") != NULL; /* else fewer and fewer */
    for (long n = 1; n < 20000; n += thorough ? 1 : 1 + n / 15) {
        void *own = NULL;
        error e = {0};
        int64_t told;
        int lost;
        assert_int_equal(make_place(&own), 0);
        const place *p = own;
        fault.number = number;
        fault.for_good = for_good;
        fault.failures = 0;
        fault.countdown = n;
        int status = record_and_read(p, &told, &lost, &e);
        fault.countdown = -1;
        long failures = fault.failures;
        if (status != PLN_E_OK) {
            ++failed;
            assert_true(strlen(e.text) > 10);
            if (number == ENOSPC && status != PLN_E_FULL && status != PLN_E_IO)
                fail_msg("write %ld: %d %s", n, status, e.text);
            if (!number && status != PLN_E_MEMORY && status != PLN_E_IO)
                fail_msg("allocation %ld: %d %s", n, status, e.text);
        }
        check_what_is_there(p, told, lost);
        remove_place(&own);
        if (!failures)
            break;
    }
    (void)state;
    return failed;
}

static void every_allocation_of_sqlite_may_fail(void **state)
{
    assert_true(fail_each(state, 0, 0) > 10);
}

static void memory_may_be_gone_for_good(void **state)
{
    assert_true(fail_each(state, 0, 1) > 10);
}

static void every_write_may_find_no_room(void **state)
{
    assert_true(fail_each(state, ENOSPC, 0) > 5);
}

static void the_disk_may_stay_full(void **state)
{
    assert_true(fail_each(state, ENOSPC, 1) > 5);
}

static void every_write_may_fail(void **state)
{
    assert_true(fail_each(state, EIO, 0) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_of_sqlite_may_fail),
        cmocka_unit_test(memory_may_be_gone_for_good),
        cmocka_unit_test(every_write_may_find_no_room),
        cmocka_unit_test(the_disk_may_stay_full),
        cmocka_unit_test(every_write_may_fail),
    };
    return cmocka_run_group_tests(tests, install_faults, NULL);
}
