/* What a Lua function does, apart from where it stands: the identity of its bytecode, and which upvalues and which of
 * their fields it touches.
 *
 * A stripped dump (string.dump(f, true)) still holds the lines where functions begin and end, so that it changes when a
 * comment above is edited.  Here the dump is read and everything but lines and names is hashed: parameters, stack,
 * instructions, constants, upvalue descriptions, nested functions.  hash.lua walks from there to the values.
 *
 * The format is Lua 5.4's (ldump.c); every read is checked against the end. */
#include "script/binding.h"

#include <string.h>

#include "base/hash.h"

enum { UPVALUES = 255, DEPTH = 200 };

/* Opcodes of Lua 5.4 (lopcodes.h). */
enum { OPCODE_GETUPVAL = 9, OPCODE_SETUPVAL = 10, OPCODE_GETTABUP = 11, OPCODE_SETTABUP = 15 };

/* Kinds of constants (lobject.h): type + variant * 16. */
enum {
    KIND_NIL = 0x00,
    KIND_FALSE = 0x01,
    KIND_TRUE = 0x11,
    KIND_INTEGER = 0x03,
    KIND_FLOAT = 0x13,
    KIND_SHORT = 0x04,
    KIND_LONG = 0x14
};

typedef struct reader {
    lua_State *L;
    const unsigned char *at, *end;
    hash h;
    int fields; /* index of the result's tables: { field = true } of each upvalue of the outermost function, read … */
    int writes; /* … and written */
    unsigned char whole[UPVALUES + 1], written[UPVALUES + 1];
} reader;

/* Constants of the function being read, as far as they can be field names. */
typedef struct constant {
    const char *text; /* NULL: no short string */
    size_t length;
} constant;

static int bad(reader *r)
{
    return script_fail(r->L,
                       "a function cannot be hashed: its bytecode is not that of Lua 5.4 as this program knows it");
}

static const unsigned char *take(reader *r, size_t n)
{
    if ((size_t)(r->end - r->at) < n)
        bad(r);
    const unsigned char *p = r->at;
    r->at += n;
    return p;
}

static int take_byte(reader *r)
{
    return *take(r, 1);
}

/* Seven bits a byte, the most significant first; the last has its high bit set. */
static size_t take_size(reader *r)
{
    size_t n = 0;
    for (int b = 0; !(b & 0x80);) {
        b = take_byte(r);
        if (n > SIZE_MAX >> 8)
            bad(r);
        n = n << 7 | (size_t)(b & 0x7f);
    }
    return n;
}

/* NULL for the absent string. */
static const char *take_text(reader *r, size_t *length)
{
    size_t n = take_size(r);
    *length = n ? n - 1 : 0;
    return n ? (const char *)take(r, n - 1) : NULL;
}

static void hash_part(reader *r, const void *bytes, size_t n)
{
    hash_integer(&r->h, (int64_t)n);
    hash_bytes(&r->h, bytes, n);
}

/* Constants are hashed as they stand.  Returns them, anchored on the stack. */
static const constant *read_constants(reader *r, size_t *count)
{
    size_t n = take_size(r);
    if (n > (size_t)(r->end - r->at))
        bad(r);
    constant *list = script_buffer(r->L, n + 1, sizeof *list);
    hash_integer(&r->h, (int64_t)n);
    for (size_t i = 0; i < n; i++) {
        int kind = take_byte(r);
        hash_integer(&r->h, kind == KIND_LONG ? KIND_SHORT : kind);
        if (kind == KIND_INTEGER || kind == KIND_FLOAT) {
            hash_part(r, take(r, 8), 8);
        } else if (kind == KIND_SHORT || kind == KIND_LONG) {
            list[i].text = take_text(r, &list[i].length);
            hash_part(r, list[i].text, list[i].length);
        } else if (kind != KIND_NIL && kind != KIND_FALSE && kind != KIND_TRUE) {
            bad(r);
        }
    }
    *count = n;
    return list;
}

/* tables[upvalue][name] = true */
static void note_field(reader *r, int tables, int upvalue, const constant *name)
{
    lua_State *L = r->L;
    luaL_checkstack(L, 4, "a function");
    if (lua_rawgeti(L, tables, upvalue + 1) != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_rawseti(L, tables, upvalue + 1);
    }
    lua_pushlstring(L, name->text, name->length);
    lua_pushboolean(L, 1);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

/* Which of the outermost function's upvalues does the code touch, and how?  outer[i]: the number there of upvalue i here,
 * -1 when it is a local of a function between. */
static void read_uses(reader *r, const unsigned char *code, size_t n, const constant *names, size_t nnames,
                      const int *outer, int nouter)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t word;
        memcpy(&word, code + 4 * i, 4);
        unsigned op = word & 0x7f, a = word >> 7 & 0xff, b = word >> 16 & 0xff, c = word >> 24;
        unsigned upvalue = op == OPCODE_SETTABUP ? a : b, key = op == OPCODE_SETTABUP ? b : c;
        if (op != OPCODE_GETUPVAL && op != OPCODE_SETUPVAL && op != OPCODE_GETTABUP && op != OPCODE_SETTABUP)
            continue;
        if (upvalue >= (unsigned)nouter)
            bad(r);
        if (outer[upvalue] < 0)
            continue;
        if (op == OPCODE_GETUPVAL)
            r->whole[outer[upvalue]] = 1;
        else if (op == OPCODE_SETUPVAL)
            r->written[outer[upvalue]] = 1;
        else if (key >= nnames || !names[key].text)
            bad(r);
        else
            note_field(r, op == OPCODE_GETTABUP ? r->fields : r->writes, outer[upvalue], &names[key]);
    }
}

/* `parent`: as `outer` above, for the enclosing function; NULL for the outermost. */
static void read_function(reader *r, const int *parent, int nparent, int depth)
{
    lua_State *L = r->L;
    size_t unused, ncode, nconstants;
    int top = lua_gettop(L);
    if (depth > DEPTH)
        bad(r);
    luaL_checkstack(L, 8, "a function");
    take_text(r, &unused);       /* the source's name, absent in a stripped dump */
    take_size(r);                /* the line where it begins */
    take_size(r);                /* and ends */
    hash_part(r, take(r, 3), 3); /* parameters, vararg, stack */
    ncode = take_size(r);
    if (ncode > (size_t)(r->end - r->at) / 4)
        bad(r);
    const unsigned char *code = take(r, 4 * ncode);
    hash_part(r, code, 4 * ncode);
    const constant *constants = read_constants(r, &nconstants);
    size_t nupvalues = take_size(r);
    if (nupvalues > UPVALUES)
        bad(r);
    int *outer = script_buffer(L, nupvalues + 1, sizeof *outer);
    for (size_t i = 0; i < nupvalues; i++) {
        const unsigned char *u = take(r, 3); /* in the enclosing stack?, index, kind */
        if (parent) /* the outermost one's say where its maker had them, which is nobody's business */
            hash_part(r, u, 3);
        if (!parent)
            outer[i] = (int)i;
        else if (u[0] || u[1] >= nparent)
            outer[i] = -1;
        else
            outer[i] = parent[u[1]];
    }
    read_uses(r, code, ncode, constants, nconstants, outer, (int)nupvalues);
    size_t nfunctions = take_size(r);
    hash_integer(&r->h, (int64_t)nfunctions);
    for (size_t i = 0; i < nfunctions; i++)
        read_function(r, outer, (int)nupvalues, depth + 1);
    for (size_t n = take_size(r); n; n--) /* lines: none in a stripped dump, nor any of the rest */
        take(r, 1);
    for (size_t n = take_size(r); n; n--) {
        take_size(r);
        take_size(r);
    }
    for (size_t n = take_size(r); n; n--) {
        take_text(r, &unused);
        take_size(r);
        take_size(r);
    }
    for (size_t n = take_size(r); n; n--)
        take_text(r, &unused);
    lua_settop(L, top);
}

static void push_flags(lua_State *L, const unsigned char *flags)
{
    lua_newtable(L);
    for (int i = 0; i <= UPVALUES; i++) {
        if (!flags[i])
            continue;
        lua_pushboolean(L, 1);
        lua_rawseti(L, -2, i + 1);
    }
}

/* core.function_code(string.dump(f, true)) -> SHA-256 without lines and names; and by the number of an upvalue: the
 * fields of it that are read, { name = true }; the fields written; true where it is used as a value; true where it is
 * assigned. */
static int function_code(lua_State *L)
{
    static const char head[] = "\x1bLua\x54\x00\x19\x93\r\n\x1a\n\x04\x08\x08";
    size_t n;
    char hex[HASH_HEX];
    const char *bytes = luaL_checklstring(L, 1, &n);
    reader *r = script_buffer(L, 1, sizeof *r);
    r->L = L;
    r->at = (const unsigned char *)bytes;
    r->end = r->at + n;
    lua_newtable(L);
    r->fields = lua_gettop(L);
    lua_newtable(L);
    r->writes = lua_gettop(L);
    hash_begin(&r->h);
    if (memcmp(take(r, sizeof head - 1), head, sizeof head - 1) != 0)
        bad(r);
    take(r, 16);  /* an integer and a float that show the byte order */
    take_byte(r); /* how many upvalues */
    read_function(r, NULL, 0, 0);
    hash_end(&r->h, hex);
    lua_pushstring(L, hex);
    lua_pushvalue(L, r->fields);
    lua_pushvalue(L, r->writes);
    push_flags(L, r->whole);
    push_flags(L, r->written);
    return 5;
}

/* core.sha256(bytes) -> hexadecimal */
static int sha256(lua_State *L)
{
    size_t n;
    char hex[HASH_HEX];
    hash h;
    const char *bytes = luaL_checklstring(L, 1, &n);
    hash_begin(&h);
    hash_bytes(&h, bytes, n);
    hash_end(&h, hex);
    lua_pushstring(L, hex);
    return 1;
}

void function_hash_register(lua_State *L)
{
    static const luaL_Reg functions[] = {{"function_code", function_code}, {"sha256", sha256}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
