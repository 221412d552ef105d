-- For `luarocks make` in a checkout: builds everything with meson and puts the module where LuaRocks wants it.
rockspec_format = "3.0"
package = "perilune"
version = "scm-1"
source = { url = "git+file://." }
description = {
   summary = "Experiments with neural networks: a C engine, plugins, Lua scripts, every epoch in SQLite",
   license = "MIT",
}
dependencies = { "lua >= 5.4, < 5.5" }
build = {
   type = "command",
   build_command = "meson setup build-rock -Dtests=false --prefix=$(PREFIX) && ninja -C build-rock",
   install_command = "meson install -C build-rock && install -D build-rock/engine/script/perilune.so $(LIBDIR)/perilune.so",
}
