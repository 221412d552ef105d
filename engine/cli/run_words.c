/* Runs in words. */
#include "cli/run_words.h"

#include <math.h>
#include <stdio.h>

#include "cli/json.h"
#include "cli/table.h"

const char *run_state_name(const store_run *r)
{
    return r->state == STORE_RUNNING && r->alive == STORE_UNKNOWN ? "running?" : store_state_names[r->state];
}

int run_state_ink(const store_run *r)
{
    switch (r->state) {
    case STORE_RUNNING:
    case STORE_DONE:
        return INK_GOOD;
    case STORE_FAILED:
        return INK_BAD;
    case STORE_INTERRUPTED:
    case STORE_LOST:
        return INK_WARN;
    default:
        return INK_PLAIN;
    }
}

const char *run_epochs(const store_run *r, char out[WORDS])
{
    out[0] = 0;
    if (r->epochs_planned > 0)
        snprintf(out, WORDS, "%lld/%lld", (long long)r->epochs_done, (long long)r->epochs_planned);
    else if (r->epochs_done > 0)
        snprintf(out, WORDS, "%lld", (long long)r->epochs_done);
    return out;
}

double run_seconds(const store_run *r, double now)
{
    if (!(r->started > 0))
        return NAN;
    if (r->finished > 0)
        return r->finished - r->started;
    return r->state == STORE_RUNNING ? now - r->started : NAN;
}

static json_t *known(int64_t value)
{
    return value ? json_integer(value) : json_null();
}

json_t *run_json(const store_run *r)
{
    const json_field fields[] = {
        {"id", json_integer(r->id)},
        {"uuid", json_text(r->uuid)},
        {"experiment", json_text(r->experiment)},
        {"name", json_text(r->name)},
        {"state", json_text(store_state_names[r->state])},
        {"score_name", json_text(r->score_name)},
        {"score_goal", json_text(r->score_goal)},
        {"score", r->best_epoch ? json_number(r->score) : json_null()},
        {"best_epoch", known(r->best_epoch)},
        {"epochs_planned", json_integer(r->epochs_planned)},
        {"epochs_done", json_integer(r->epochs_done)},
        {"seed", json_integer(r->seed)},
        {"threads", json_integer(r->threads)},
        {"batch_size", json_integer(r->batch_size)},
        {"parameters", json_integer(r->parameters)},
        {"seconds", json_number(run_seconds(r, store_now()))},
        {"created", json_time(r->created)},
        {"started", json_time(r->started)},
        {"finished", json_time(r->finished)},
        {"launch", known(r->launch)},
        {"sweep", known(r->sweep)},
        {"trial", r->sweep ? json_integer(r->trial) : json_null()},
        {"fingerprint", json_text(r->fingerprint)},
        {"digest", json_text(r->digest)},
        {"inexact_why", json_text(r->inexact)},
        {"host", json_text(r->host)},
        {"message", json_text(r->message)},
        {"source", json_text(r->source)},
        {"line", known(r->line)},
    };
    return json_fields(fields, sizeof fields / sizeof *fields);
}
