/* The tables, as numbered migrations.
 *
 * A migration is never changed once it has been released; what comes later is a new one at the end.  Each is executed
 * in one transaction together with its number (PRAGMA user_version).  Tables are STRICT; small tables with composite
 * keys are WITHOUT ROWID, so that a run's epochs are neighbours on disk.  Times are texts in UTC, which sort as they
 * should; metrics are NULL where they were not measured or no number (`nonfinite` says which were).
 * docs/schema.md explains the columns. */
#include <stdio.h>

#include "store/internal.h"

#define RUN_STATES "'queued', 'running', 'done', 'pruned', 'failed', 'interrupted', 'lost', 'cached'"

/* 1: what a training run leaves behind. */
static const char tables_of_runs[] =
    "create table experiments("
    " id integer primary key,"
    " name text not null unique,"
    " note text,"
    " created text not null) strict;"

    "create table blobs("
    " sha256 text primary key,"
    " bytes integer not null,"
    " content any not null) strict;"

    "create table launches("
    " id integer primary key autoincrement,"
    " uuid text not null unique,"
    " script text,"
    " script_blob text references blobs(sha256),"
    " arguments text check (arguments is null or json_valid(arguments)),"
    " folder text,"
    " version text,"
    " host text,"
    " pid integer,"
    " resumes integer references launches(id) on delete set null,"
    " started text not null,"
    " ended text,"
    " exit integer,"
    " message text) strict;"

    "create table sweeps("
    " id integer primary key autoincrement,"
    " uuid text not null unique,"
    " experiment integer not null references experiments(id),"
    " launch integer references launches(id),"
    " name text,"
    " sampler text,"
    " sampler_options text check (sampler_options is null or json_valid(sampler_options)),"
    " pruner text,"
    " pruner_options text check (pruner_options is null or json_valid(pruner_options)),"
    " lag integer,"
    " seed integer,"
    " goal text,"
    " trials integer,"
    " state text not null,"
    " exact integer not null default 1 check (exact in (0, 1)),"
    " inexact_why text,"
    " created text not null,"
    " finished text) strict;"

    "create table runs("
    " id integer primary key autoincrement,"
    " uuid text not null unique,"
    " experiment integer not null references experiments(id),"
    " launch integer references launches(id),"
    " ordinal integer,"
    " sweep integer references sweeps(id),"
    " trial integer,"
    " name text,"
    " state text not null check (state in (" RUN_STATES ")),"
    " score_name text,"
    " score_goal text check (score_goal in ('max', 'min')),"
    " score real,"
    " best_epoch integer,"
    " epochs_planned integer,"
    " epochs_done integer not null default 0,"
    " seed integer,"
    " threads integer,"
    " batch_size integer,"
    " parameters integer,"
    " model text check (model is null or json_valid(model)),"
    " fingerprint text,"
    " digest text,"
    " exact integer not null default 1 check (exact in (0, 1)),"
    " inexact_why text,"
    " host text,"
    " boot text,"
    " pid integer,"
    " created text not null,"
    " started text,"
    " finished text,"
    " message text,"
    " source text,"
    " line integer) strict;"
    "create index runs_experiment on runs(experiment);"
    "create index runs_launch on runs(launch, ordinal);"
    "create index runs_sweep on runs(sweep, trial) where sweep is not null;"
    "create index runs_fingerprint on runs(fingerprint) where fingerprint is not null;"
    "create index runs_live on runs(state) where state in ('queued', 'running');"

    "create table params("
    " run integer not null references runs(id) on delete cascade,"
    " name text not null,"
    " value any,"
    " type text not null check (type in ('integer', 'real', 'text', 'boolean', 'null')),"
    " source text,"
    " primary key (run, name)) strict, without rowid;"
    "create index params_value on params(name, value, run);"

    "create table epochs("
    " run integer not null references runs(id) on delete cascade,"
    " epoch integer not null,"
    " loss real,"
    " accuracy real,"
    " val_loss real,"
    " val_accuracy real,"
    " learning_rate real,"
    " seconds real,"
    " images_per_second real,"
    " grad_norm real,"
    " memory integer,"
    " ended text,"
    " nonfinite text,"
    " primary key (run, epoch)) strict, without rowid;";

/* 2: where it came from and what it left in files. */
static const char tables_of_provenance[] = "create table environments("
                                           " hash text not null,"
                                           " name text not null,"
                                           " value text,"
                                           " primary key (hash, name)) strict, without rowid;"
                                           "alter table launches add column environment text;"
                                           "alter table launches add column git_commit text;"
                                           "alter table launches add column git_dirty integer;"
                                           "alter table launches add column git_diff text references blobs(sha256);"

                                           "create table launch_modules("
                                           " launch integer not null references launches(id) on delete cascade,"
                                           " name text not null,"
                                           " blob text not null references blobs(sha256),"
                                           " primary key (launch, name)) strict, without rowid;"

                                           "create table plugins("
                                           " id integer primary key,"
                                           " sha256 text not null,"
                                           " file text,"
                                           " kind text not null,"
                                           " type text not null,"
                                           " version text,"
                                           " unique (sha256, kind, type)) strict;"
                                           "create table run_plugins("
                                           " run integer not null references runs(id) on delete cascade,"
                                           " plugin integer not null references plugins(id),"
                                           " primary key (run, plugin)) strict, without rowid;"

                                           "create table datasets("
                                           " digest text primary key,"
                                           " name text,"
                                           " samples integer,"
                                           " classes integer,"
                                           " shape text,"
                                           " origin text) strict;"
                                           "create table run_datasets("
                                           " run integer not null references runs(id) on delete cascade,"
                                           " role text not null,"
                                           " dataset text not null references datasets(digest),"
                                           " primary key (run, role, dataset)) strict, without rowid;"

                                           "create table evaluations("
                                           " run integer not null references runs(id) on delete cascade,"
                                           " dataset text not null,"
                                           " name text not null,"
                                           " value real,"
                                           " digest text,"
                                           " at text not null,"
                                           " primary key (run, dataset, name)) strict, without rowid;"

                                           "create table checkpoints("
                                           " run integer not null references runs(id) on delete cascade,"
                                           " path text not null,"
                                           " epoch integer,"
                                           " kind text,"
                                           " sha256 text,"
                                           " bytes integer,"
                                           " at text not null,"
                                           " primary key (run, path)) strict, without rowid;"
                                           "create table artifacts("
                                           " run integer not null references runs(id) on delete cascade,"
                                           " path text not null,"
                                           " kind text,"
                                           " sha256 text,"
                                           " bytes integer,"
                                           " at text not null,"
                                           " primary key (run, path)) strict, without rowid;"

                                           "create table events("
                                           " id integer primary key,"
                                           " run integer not null references runs(id) on delete cascade,"
                                           " at text not null,"
                                           " kind text not null,"
                                           " message text) strict;"
                                           "create index events_run on events(run);";

/* 3: custom metrics, captured output, words of people, answers. */
static const char tables_of_words[] =
    "create table metric_names("
    " id integer primary key,"
    " name text not null unique) strict;"
    "create table metrics("
    " run integer not null references runs(id) on delete cascade,"
    " name integer not null references metric_names(id),"
    " step integer not null,"
    " value real,"
    " primary key (run, name, step)) strict, without rowid;"

    "create table logs("
    " id integer primary key,"
    " run integer not null references runs(id) on delete cascade,"
    " at text not null,"
    " stream text not null,"
    " line text not null) strict;"
    "create index logs_run on logs(run);"

    "create table tags("
    " run integer not null references runs(id) on delete cascade,"
    " tag text not null,"
    " primary key (run, tag)) strict, without rowid;"
    "create index tags_tag on tags(tag, run);"

    "create table notes("
    " id integer primary key,"
    " run integer not null references runs(id) on delete cascade,"
    " at text not null,"
    " note text not null) strict;"
    "create index notes_run on notes(run);"

    "create table predictions("
    " id integer primary key,"
    " at text not null,"
    " run integer references runs(id) on delete set null,"
    " model text,"
    " model_hash text,"
    " image text,"
    " image_hash text,"
    " digit integer,"
    " confidence real,"
    " p0 real, p1 real, p2 real, p3 real, p4 real, p5 real, p6 real, p7 real, p8 real, p9 real,"
    " truth integer,"
    " microseconds integer) strict;"
    "create index predictions_run on predictions(run) where run is not null;"

    "create table spills("
    " uuid text primary key,"
    " merged text not null,"
    " records integer not null) strict;";

/* 4: what people ask most, in one word each. */
static const char views[] =
    "create view leaderboard as"
    " select r.id, x.name as experiment, r.name, r.score, r.score_name, r.state, r.best_epoch, r.epochs_done,"
    "  r.parameters, r.seed, r.sweep, r.trial,"
    "  round((julianday(r.finished) - julianday(r.started)) * 86400, 3) as seconds, r.started, r.uuid"
    " from runs r join experiments x on x.id = r.experiment"
    " order by r.score is null, case r.score_goal when 'min' then -r.score else r.score end desc, r.id;"

    "create view curves(run, metric, step, value) as"
    " select run, 'loss', epoch, loss from epochs where loss is not null union all"
    " select run, 'accuracy', epoch, accuracy from epochs where accuracy is not null union all"
    " select run, 'val_loss', epoch, val_loss from epochs where val_loss is not null union all"
    " select run, 'val_accuracy', epoch, val_accuracy from epochs where val_accuracy is not null union all"
    " select run, 'learning_rate', epoch, learning_rate from epochs where learning_rate is not null union all"
    " select run, 'seconds', epoch, seconds from epochs where seconds is not null union all"
    " select run, 'images_per_second', epoch, images_per_second from epochs where images_per_second is not null union "
    "all"
    " select run, 'grad_norm', epoch, grad_norm from epochs where grad_norm is not null union all"
    " select run, 'memory', epoch, cast(memory as real) from epochs where memory is not null union all"
    " select m.run, n.name, m.step, m.value from metrics m join metric_names n on n.id = m.name;";

/* 5: two runs side by side (both directions of a full join, which SQLite has only since 3.39), and what is known about
 * repeating one. */
static const char comparisons[] =
    "create view run_diff(a, b, what, name, a_value, b_value) as"
    " select a.id, b.id, 'parameter', p.name, p.value, q.value"
    "  from runs a join runs b join params p on p.run = a.id left join params q on q.run = b.id and q.name = p.name"
    "  where q.run is null or p.value is not q.value"
    " union all"
    " select a.id, b.id, 'parameter', q.name, null, q.value"
    "  from runs a join runs b join params q on q.run = b.id left join params p on p.run = a.id and p.name = q.name"
    "  where p.run is null"
    " union all"
    " select a.id, b.id, 'environment', p.name, p.value, q.value"
    "  from runs a join runs b join launches k on k.id = a.launch join launches l on l.id = b.launch"
    "  join environments p on p.hash = k.environment"
    "  left join environments q on q.hash = l.environment and q.name = p.name"
    "  where k.environment is not l.environment and (q.hash is null or p.value is not q.value)"
    " union all"
    " select a.id, b.id, 'environment', q.name, null, q.value"
    "  from runs a join runs b join launches k on k.id = a.launch join launches l on l.id = b.launch"
    "  join environments q on q.hash = l.environment"
    "  left join environments p on p.hash = k.environment and p.name = q.name"
    "  where k.environment is not l.environment and p.hash is null"
    " union all"
    " select a.id, b.id, 'script', coalesce(k.script, l.script), k.script_blob, l.script_blob"
    "  from runs a join runs b left join launches k on k.id = a.launch left join launches l on l.id = b.launch"
    "  where k.script_blob is not l.script_blob"
    " union all"
    " select a.id, b.id, 'run', 'seed', a.seed, b.seed from runs a join runs b where a.seed is not b.seed"
    " union all"
    " select a.id, b.id, 'run', 'epochs_planned', a.epochs_planned, b.epochs_planned from runs a join runs b"
    "  where a.epochs_planned is not b.epochs_planned"
    " union all"
    " select a.id, b.id, 'run', 'batch_size', a.batch_size, b.batch_size from runs a join runs b"
    "  where a.batch_size is not b.batch_size"
    " union all"
    " select a.id, b.id, 'run', 'parameters', a.parameters, b.parameters from runs a join runs b"
    "  where a.parameters is not b.parameters"
    " union all"
    " select a.id, b.id, 'run', 'fingerprint', a.fingerprint, b.fingerprint from runs a join runs b"
    "  where a.fingerprint is not b.fingerprint"
    " union all"
    " select a.id, b.id, 'run', 'digest', a.digest, b.digest from runs a join runs b where a.digest is not b.digest;"

    "create view reproducibility as"
    " select r.id, x.name as experiment, r.state, r.exact, r.inexact_why, r.seed, r.threads, r.fingerprint, r.digest,"
    "  l.script, l.script_blob, l.git_commit, l.git_dirty, l.environment,"
    "  (select count(*) from runs o where o.fingerprint = r.fingerprint and o.id <> r.id and o.digest is not null)"
    "   as repeated,"
    "  (select count(*) from runs o where o.fingerprint = r.fingerprint and o.id <> r.id and o.digest = r.digest)"
    "   as same_bits,"
    "  (select count(*) from run_plugins p where p.run = r.id) as plugins,"
    "  (select count(*) from run_datasets d where d.run = r.id) as datasets"
    " from runs r join experiments x on x.id = r.experiment left join launches l on l.id = r.launch;";

/* 6: what the command line said besides the script's arguments, for executing it again. */
static const char overrides_of_launches[] =
    "alter table launches add column overrides text check (overrides is null or json_valid(overrides));"
    "create index launches_resumes on launches(resumes) where resumes is not null;";

static const char *const migrations[] = {tables_of_runs, tables_of_provenance, tables_of_words,
                                         views,          comparisons,          overrides_of_launches};

const int schema_version = sizeof migrations / sizeof *migrations;

int schema_migrate(sqlite3 *db, int from, int to, int *step)
{
    for (int at = from; at < to; ++at) {
        char number[96];
        *step = at + 1;
        snprintf(number, sizeof number, "pragma application_id = %d; pragma user_version = %d;", SCHEMA_APPLICATION_ID,
                 at + 1);
        int rc = sqlite3_exec(db, "begin immediate", NULL, NULL, NULL);
        if (rc == SQLITE_OK)
            rc = sqlite3_exec(db, migrations[at], NULL, NULL, NULL);
        if (rc == SQLITE_OK)
            rc = sqlite3_exec(db, number, NULL, NULL, NULL);
        if (rc == SQLITE_OK)
            rc = sqlite3_exec(db, "commit", NULL, NULL, NULL);
        if (rc != SQLITE_OK)
            return rc;
    }
    return SQLITE_OK;
}
