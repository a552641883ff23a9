/* What follows from the table of commands: checks of arguments, the schema, the documentation. */
#include "control/qmp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *json;
} builtins[] = {
    {"str", "string"},    {"int", "int"},      {"size", "int"},
    {"number", "number"}, {"bool", "boolean"}, {"any", "value"},
};
enum { NBUILTINS = sizeof(builtins) / sizeof(builtins[0]) };

const struct qmp_command *qmp_find(const char *name)
{
    for (const struct qmp_command *c = qmp_commands; c->name; c++) {
        if (!strcmp(c->name, name)) {
            return c;
        }
    }
    return NULL;
}

static const struct qmp_type *find_type(const char *name)
{
    for (const struct qmp_type *t = qmp_types; t->name; t++) {
        if (!strcmp(t->name, name)) {
            return t;
        }
    }
    return NULL;
}

bool qmp_next_member(const char **text, struct qmp_member *m)
{
    const char *p = *text + strspn(*text, " ");
    size_t n = strcspn(p, ":?"), len = strcspn(p, " ");

    if (!*p || !strcmp(p, "...")) {
        return false;
    }
    m->optional = p[n] == '?';
    snprintf(m->name, sizeof(m->name), "%.*s", (int)n, p);
    n += m->optional;
    snprintf(m->type, sizeof(m->type), "%.*s", (int)(len - n - 1), p + n + 1);
    *text = p + len;
    return true;
}

static bool has_word(const char *words, const char *word)
{
    size_t n = strlen(word);

    for (const char *p = words; *p; p += strcspn(p, " "), p += strspn(p, " ")) {
        if (n && strcspn(p, " ") == n && !strncmp(p, word, n)) {
            return true;
        }
    }
    return false;
}

/* ---- arguments ---- */

static bool check_members(const char *members, json_t *object, struct error *err);

static bool wrong_type(const char *name, const char *expected, struct error *err)
{
    return error_set(err, "Invalid parameter type for '%s', expected: %s", name, expected);
}

static bool check_array(const char *type, const char *name, json_t *value, struct error *err);

static bool check_value(const char *type, const char *name, json_t *value, struct error *err)
{
    const struct qmp_type *t = find_type(type);

    if (type[0] == '[') {
        return check_array(type, name, value, err);
    }
    if (t && t->kind == QMP_ENUM) {
        if (!json_is_string(value)) {
            return wrong_type(name, "string", err);
        }
        return has_word(t->members, json_string_value(value)) ||
               error_set(err, "Parameter '%s' does not accept value '%.100s'", name,
                         json_string_value(value));
    }
    if (t) {
        return json_is_object(value) ? check_members(t->members, value, err)
                                     : wrong_type(name, "object", err);
    }
    if (!strcmp(type, "str")) {
        return json_is_string(value) || wrong_type(name, "string", err);
    }
    if (!strcmp(type, "bool")) {
        return json_is_boolean(value) || wrong_type(name, "boolean", err);
    }
    if (!strcmp(type, "number")) {
        return json_is_number(value) || wrong_type(name, "number", err);
    }
    if (!strcmp(type, "int") || !strcmp(type, "size")) {
        if (!json_is_integer(value)) {
            return wrong_type(name, "integer", err);
        }
        return type[0] == 'i' || json_integer_value(value) >= 0 ||
               error_set(err, "Parameter '%s' expects a size that is not negative", name);
    }
    return true; /* any */
}

static bool check_array(const char *type, const char *name, json_t *value, struct error *err)
{
    char element[48];
    size_t i;
    json_t *item;

    if (!json_is_array(value)) {
        return wrong_type(name, "array", err);
    }
    snprintf(element, sizeof(element), "%.*s", (int)strlen(type) - 2, type + 1);
    json_array_foreach(value, i, item)
    {
        if (!check_value(element, name, item, err)) {
            return false;
        }
    }
    return true;
}

static bool find_member(const char *members, const char *name)
{
    struct qmp_member m;

    while (qmp_next_member(&members, &m)) {
        if (!strcmp(m.name, name)) {
            return true;
        }
    }
    return false;
}

static bool check_members(const char *members, json_t *object, struct error *err)
{
    struct qmp_member m;
    const char *text = members, *key;
    json_t *value;

    while (qmp_next_member(&text, &m)) {
        json_t *v = json_object_get(object, m.name);
        if (!v && !m.optional) {
            return error_set(err, "Parameter '%s' is missing", m.name);
        }
        if (v && !check_value(m.type, m.name, v, err)) {
            return false;
        }
    }
    json_object_foreach(object, key, value)
    {
        if (!find_member(members, key) && !strstr(members, " ...")) {
            return error_set(err, "Parameter '%.100s' is unexpected", key);
        }
    }
    return true;
}

bool qmp_check_args(const struct qmp_command *c, json_t *args, struct error *err)
{
    return check_members(c->args, args, err);
}

/* ---- the schema ---- */

static void need_type(json_t *schema, json_t *seen, const char *name);

static json_t *entity(json_t *schema, json_t *seen, const char *name, const char *meta)
{
    json_t *e = json_object();

    json_object_set_new(e, "name", json_string(name));
    json_object_set_new(e, "meta-type", json_string(meta));
    if (seen) {
        json_object_set_new(seen, name, json_true());
    }
    json_array_append_new(schema, e);
    return e;
}

static void add_object(json_t *schema, json_t *seen, const char *name, const char *members)
{
    json_t *list = json_array();
    struct qmp_member m;

    json_object_set_new(entity(schema, seen, name, "object"), "members", list);
    while (qmp_next_member(&members, &m)) {
        json_t *o = json_object();
        json_object_set_new(o, "name", json_string(m.name));
        json_object_set_new(o, "type", json_string(m.type));
        if (m.optional) {
            json_object_set_new(o, "default", json_null());
        }
        json_array_append_new(list, o);
        need_type(schema, seen, m.type);
    }
}

static void add_enum(json_t *schema, json_t *seen, const struct qmp_type *t)
{
    json_t *values = json_array(), *members = json_array(),
           *e = entity(schema, seen, t->name, "enum");

    for (const char *p = t->members; *p; p += strcspn(p, " "), p += strspn(p, " ")) {
        json_t *m = json_object(), *v = json_stringn(p, strcspn(p, " "));
        json_object_set(m, "name", v);
        json_array_append_new(values, v);
        json_array_append_new(members, m);
    }
    json_object_set_new(e, "values", values);
    json_object_set_new(e, "members", members);
}

static void need_type(json_t *schema, json_t *seen, const char *name)
{
    const struct qmp_type *t = find_type(name);

    if (json_object_get(seen, name)) {
        return;
    }
    if (name[0] == '[') {
        char element[48];
        snprintf(element, sizeof(element), "%.*s", (int)strlen(name) - 2, name + 1);
        json_object_set_new(entity(schema, seen, name, "array"), "element-type",
                            json_string(element));
        need_type(schema, seen, element);
    } else if (t && t->kind == QMP_ENUM) {
        add_enum(schema, seen, t);
    } else if (t) {
        add_object(schema, seen, name, t->members);
    } else {
        for (size_t i = 0; i < NBUILTINS; i++) {
            if (!strcmp(builtins[i].name, name)) {
                json_object_set_new(entity(schema, seen, name, "builtin"), "json-type",
                                    json_string(builtins[i].json));
            }
        }
    }
}

/* The type of a command's or event's arguments: an object of its own. */
static json_t *arg_type(json_t *schema, json_t *seen, const char *name, const char *args)
{
    char type[96];

    snprintf(type, sizeof(type), *args ? "q_obj_%s-arg" : "q_empty", name);
    if (!json_object_get(seen, type)) {
        add_object(schema, seen, type, args);
    }
    return json_string(type);
}

json_t *qmp_schema(void)
{
    json_t *schema = json_array(), *seen = json_object();

    for (const struct qmp_command *c = qmp_commands; c->name; c++) {
        json_t *e = entity(schema, NULL, c->name, "command");
        json_object_set_new(e, "arg-type", arg_type(schema, seen, c->name, c->args));
        json_object_set_new(e, "ret-type",
                            c->ret ? json_string(c->ret) : arg_type(schema, seen, "", ""));
        json_object_set_new(e, "allow-oob", json_false());
        if (c->ret) {
            need_type(schema, seen, c->ret);
        }
    }
    for (const struct qmp_event_row *ev = qmp_events; ev->name; ev++) {
        json_object_set_new(entity(schema, NULL, ev->name, "event"), "arg-type",
                            arg_type(schema, seen, ev->name, ev->args));
    }
    json_decref(seen);
    return schema;
}

/* ---- docs/qmp.md ---- */

static void doc_members(FILE *f, const char *members)
{
    struct qmp_member m;

    while (qmp_next_member(&members, &m)) {
        fprintf(f, "- `%s`: %s%s\n", m.name, m.type, m.optional ? ", optional" : "");
    }
}

char *qmp_doc(void)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);

    fprintf(f,
            "# QMP commands\n\nMade by `dragoman -qmp help` from the table of commands; do not "
            "edit.\n\n"
            "A client connects (`-qmp unix:PATH,server=on,wait=off`), reads the greeting, sends\n"
            "`{\"execute\": \"qmp_capabilities\"}` and then commands. `id` is echoed. Errors have "
            "a class\n"
            "(`CommandNotFound`, `DeviceNotFound`, `GenericError`) and a text.\n\n## Commands\n");
    for (const struct qmp_command *c = qmp_commands; c->name; c++) {
        fprintf(f, "\n### %s\n\n%s.\n", c->name, c->help);
        if (*c->args) {
            fputs("\nArguments:\n", f);
            doc_members(f, c->args);
        }
        if (c->ret) {
            fprintf(f, "\nReturns: %s\n", c->ret);
        }
    }
    fputs("\n## Events\n", f);
    for (const struct qmp_event_row *e = qmp_events; e->name; e++) {
        fprintf(f, "\n### %s\n\n%s.\n%s", e->name, e->help, *e->args ? "\n" : "");
        doc_members(f, e->args);
    }
    fputs("\n## Types\n", f);
    for (const struct qmp_type *t = qmp_types; t->name; t++) {
        fprintf(f, "\n### %s\n\n", t->name);
        if (t->kind == QMP_ENUM) {
            fprintf(f, "One of: %s\n", t->members);
        } else {
            doc_members(f, t->members);
        }
    }
    fclose(f);
    return text;
}
