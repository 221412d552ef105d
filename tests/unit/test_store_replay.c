/* What executing a launch again needs: the launch with its texts, the chain of launches, and runs that have ended. */
#include "store_helpers.h"

#include "store/store.h"

static int64_t begin_launch(store *s, int64_t resumes)
{
    error e = {0};
    const char *args[] = {"--fast", "3 4"};
    const store_file modules[] = {{.name = "shape", .text = "return {}"}, {.name = "tools.more", .text = "return 2"}};
    const store_launch launch = {.script = {.name = "x.lua", .text = "print 'x'\n"},
                                 .args = args,
                                 .arg_count = 2,
                                 .folder = "/somewhere",
                                 .version = "1",
                                 .modules = modules,
                                 .module_count = 2,
                                 .resumes = resumes,
                                 .overrides = "{\"set\":[\"units=8\"],\"seed\":7}"};
    assert_ok(store_launch_begin(s, &launch, &e), e);
    flush(s);
    return atoi(ask(store_path(s), "select max(id) from launches"));
}

static void end_launch(store *s)
{
    error e = {0};
    assert_ok(store_launch_end(s, 1, "it broke", &e), e);
    flush(s);
}

static void a_launch_is_read_with_all_that_executing_it_needs(void **state)
{
    const place *p = *state;
    error e = {0};
    store_launch_detail d;
    store *s = open_store(p->db, STORE_WRITE);
    int64_t id = begin_launch(s, 0);
    end_launch(s);
    assert_ok(store_read_launch(s, id, &d, &e), e);
    assert_string_equal(d.launch.script.name, "x.lua");
    assert_string_equal(d.launch.script.text, "print 'x'\n");
    assert_int_equal(d.launch.script.bytes, 10);
    assert_string_equal(d.launch.folder, "/somewhere");
    assert_int_equal(d.launch.arg_count, 2);
    assert_string_equal(d.launch.args[1], "3 4");
    assert_int_equal(d.launch.module_count, 2);
    assert_string_equal(d.launch.modules[1].name, "tools.more");
    assert_string_equal(d.launch.modules[1].text, "return 2");
    assert_string_equal(d.launch.overrides, "{\"set\":[\"units=8\"],\"seed\":7}");
    assert_int_equal(d.launch.exit_status, 1);
    assert_int_equal(d.launch.resumes, 0);
    store_launch_detail_free(&d);
    assert_status(store_read_launch(s, 99, &d, &e), PLN_E_MISSING, e);
    assert_says(e, "no launch 99");
    close_store(s);
}

static void the_newest_launch_of_a_chain_is_found_from_any_of_it(void **state)
{
    const place *p = *state;
    error e = {0};
    int64_t newest, id[5];
    store *s = open_store(p->db, STORE_WRITE);
    const int before[5] = {0, 1, 0, 2, 4}; /* 1 <- 2 <- 4 <- 5, and 3 by itself */
    for (int i = 0; i < 5; ++i) {
        id[i] = begin_launch(s, before[i]);
        end_launch(s);
    }
    for (int i = 0; i < 5; ++i) {
        assert_ok(store_newest_launch(s, id[i], &newest, &e), e);
        assert_int_equal(newest, i == 2 ? id[2] : id[4]);
    }
    close_store(s);
}

static void what_is_found_out_after_a_runs_end_is_added_and_its_state_stays(void **state)
{
    const place *p = *state;
    error e = {0};
    recording *r;
    store *s = open_store(p->db, STORE_WRITE);
    int64_t id = record_run(s, "x", 0.9, 3);
    close_store(s);
    s = open_store(p->db, STORE_WRITE);
    assert_ok(recording_revisit(s, id, &r, &e), e);
    assert_int_equal(recording_id(r), id);
    assert_string_equal(recording_uuid(r), ask(p->db, "select uuid from runs"));
    assert_ok(recording_evaluation(r, &(store_evaluation){.dataset = "test", .name = "loss", .value = 0.5}, &e), e);
    const store_end end = {.state = STORE_FAILED, .score = NAN};
    assert_status(recording_finish(r, &end, &e), PLN_E_INVALID, e);
    flush(s);
    recording_close(r);
    assert_string_equal(ask(p->db, "select value from evaluations"), "0.5");
    assert_string_equal(ask(p->db, "select state from runs"), "done");
    assert_int_equal(lock_held(s->lock_fd, id), 0);
    assert_status(recording_revisit(s, 77, &r, &e), PLN_E_MISSING, e);
    close_store(s);
}

static void a_resume_says_where_it_goes_on(void **state)
{
    const place *p = *state;
    error e = {0};
    recording *r;
    store *s = open_store(p->db, STORE_WRITE);
    r = begin_run(s, "x");
    add_epoch(r, 1, 0.5);
    finish_run(r, STORE_INTERRUPTED);
    flush(s);
    int64_t id = recording_id(r);
    recording_close(r);
    assert_ok(recording_resume_with(s, id, "in epoch 2 of 5", &r, &e), e);
    assert_string_equal(ask(p->db, "select message from events where kind = 'resumed'"), "in epoch 2 of 5");
    recording_close(r);
    close_store(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        case_of(a_launch_is_read_with_all_that_executing_it_needs),
        case_of(the_newest_launch_of_a_chain_is_found_from_any_of_it),
        case_of(what_is_found_out_after_a_runs_end_is_added_and_its_state_stays),
        case_of(a_resume_says_where_it_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
