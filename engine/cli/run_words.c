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

json_t *run_json(const store_run *r)
{
    return json_pack("{sI so so ss sI sI so so so so sI sI sI sI sI sI so so so so so so so so so so so so so}", "id",
                     (json_int_t)r->id, "uuid", json_text(r->uuid), "experiment", json_text(r->experiment), "state",
                     run_state_name(r), "launch", (json_int_t)r->launch, "ordinal", (json_int_t)r->ordinal, "sweep",
                     r->sweep ? json_integer(r->sweep) : json_null(), "trial",
                     r->sweep ? json_integer(r->trial) : json_null(), "name", json_text(r->name), "score_name",
                     json_text(r->score_name), "epochs_planned", (json_int_t)r->epochs_planned, "epochs_done",
                     (json_int_t)r->epochs_done, "seed", (json_int_t)r->seed, "threads", (json_int_t)r->threads,
                     "batch_size", (json_int_t)r->batch_size, "parameters", (json_int_t)r->parameters, "score_goal",
                     json_text(r->score_goal), "score", r->best_epoch ? json_number(r->score) : json_null(), "best_epoch",
                     r->best_epoch ? json_integer(r->best_epoch) : json_null(), "fingerprint", json_text(r->fingerprint),
                     "digest", json_text(r->digest), "inexact_why", json_text(r->inexact), "host", json_text(r->host),
                     "created", json_time(r->created), "started", json_time(r->started), "finished",
                     json_time(r->finished), "message", json_text(r->message), "source", json_text(r->source), "line",
                     r->line ? json_integer(r->line) : json_null());
}
