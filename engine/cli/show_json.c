/* A run with everything about it, as JSON. */
#include "cli/show.h"

#include "cli/run_words.h"

static json_t *params_json(const store_detail *d)
{
    json_t *o = json_object();
    for (size_t i = 0; i < d->params; i++)
        o = json_put(o, d->param[i].name, json_value(&d->param[i].value));
    return o;
}

static json_t *epoch_json(const show_run *r, const store_epoch *row)
{
    json_t *o = json_object();
    o = json_put(o, "epoch", json_integer(row->epoch));
    for (int c = 0; c < EPOCH_COLUMNS; c++)
        if (row->present & 1u << c)
            o = json_put(o, store_epoch_names[c], json_number(row->value[c]));
    for (size_t i = 0; i < r->detail.metrics; i++)
        for (size_t k = 0; k < r->metrics[i].count; k++)
            if (r->metrics[i].points[k].step == row->epoch)
                o = json_put(o, r->metrics[i].name, json_number(r->metrics[i].points[k].value));
    o = json_put(o, "ended", json_time(row->ended));
    return o;
}

static json_t *evaluation_json(const store_evaluation *v)
{
    return JSON_OBJECT({"dataset", json_text(v->dataset)}, {"name", json_text(v->name)},
                       {"value", json_number(v->value)}, {"digest", json_text(v->digest)}, {"at", json_time(v->at)});
}

static json_t *file_json(const store_artifact *f)
{
    return JSON_OBJECT({"name", json_text(f->name)}, {"kind", json_text(f->kind)}, {"path", json_text(f->path)},
                       {"epoch", json_integer(f->epoch)}, {"bytes", json_integer(f->bytes)},
                       {"sha256", json_text(f->sha256)}, {"at", json_time(f->at)});
}

static json_t *plugin_json(const store_plugin *p)
{
    return JSON_OBJECT({"kind", json_text(p->kind)}, {"type", json_text(p->type)}, {"version", json_text(p->version)},
                       {"file", json_text(p->file)}, {"sha256", json_text(p->sha256)});
}

static json_t *dataset_json(const store_dataset *s)
{
    return JSON_OBJECT({"role", json_text(s->role)}, {"name", json_text(s->name)},
                       {"samples", json_integer(s->samples)}, {"classes", json_integer(s->classes)},
                       {"shape", json_text(s->shape)}, {"origin", json_text(s->origin)},
                       {"digest", json_text(s->digest)});
}

static json_t *launch_json(const store_launch *l)
{
    json_t *args = json_array();
    if (!l->id)
        return json_decref(args), json_null();
    for (size_t i = 0; i < l->arg_count; i++)
        args = json_push(args, json_text(l->args[i]));
    return JSON_OBJECT(
        {"id", json_integer(l->id)}, {"script", json_text(l->script.name)}, {"arguments", args},
        {"folder", json_text(l->folder)}, {"version", json_text(l->version)}, {"host", json_text(l->host)},
        {"git_commit", json_text(l->git_commit)}, {"git_dirty", l->git_diff ? json_boolean(*l->git_diff) : json_null()},
        {"exit", l->exit_status < 0 ? json_null() : json_integer(l->exit_status)}, {"message", json_text(l->message)});
}

static json_t *environment_json(const store_detail *d)
{
    json_t *o = json_object();
    for (size_t i = 0; i < d->environments; i++)
        o = json_put(o, d->environment[i].name, json_text(d->environment[i].value));
    return o;
}

static json_t *words_json(const store_event *list, size_t count)
{
    json_t *all = json_array();
    for (size_t i = 0; i < count; i++)
        all = json_push(all, JSON_OBJECT({"at", json_time(list[i].at)}, {"kind", json_text(list[i].kind)},
                                         {"text", json_text(list[i].text)}));
    return all;
}

#define LIST(name, each, count)                                                                                        \
    json_t *name = json_array();                                                                                       \
    for (size_t i = 0; i < (count); i++)                                                                               \
    name = json_push(name, each)

json_t *show_json(const show_run *r)
{
    const store_detail *d = &r->detail;
    LIST(epochs, epoch_json(r, &d->epoch[i]), d->epochs);
    LIST(evaluations, evaluation_json(&d->evaluation[i]), d->evaluations);
    LIST(checkpoints, file_json(&d->checkpoint[i]), d->checkpoints);
    LIST(artifacts, file_json(&d->artifact[i]), d->artifacts);
    LIST(plugins, plugin_json(&d->plugin[i]), d->plugins);
    LIST(datasets, dataset_json(&d->dataset[i]), d->datasets);
    LIST(tags, json_text(d->tag[i]), d->tags);
    json_t *o = run_json(&d->run);
    const json_field fields[] = {
        {"params", params_json(d)},
        {"epochs", epochs},
        {"evaluations", evaluations},
        {"checkpoints", checkpoints},
        {"artifacts", artifacts},
        {"plugins", plugins},
        {"datasets", datasets},
        {"tags", tags},
        {"launch", launch_json(&d->launch)},
        {"environment", environment_json(d)},
        {"events", words_json(d->event, d->events)},
        {"notes", words_json(d->note, d->notes)},
    };
    json_t *rest = json_fields(fields, sizeof fields / sizeof *fields);
    int failed = !rest || json_object_update(o, rest) != 0;
    json_decref(rest);
    if (failed)
        json_decref(o);
    return failed ? NULL : o;
}
