-- Data sets: length, views, samples, tables.
local lab = require "perilune"
local tap = dofile((arg[0]:match "^(.*/)" or "") .. "tap.lua")

local digits = lab.data.digits { count = 100, seed = 5 }

tap.test("a set knows its length, shape and classes", function()
   tap.equal(#digits, 100)
   tap.equal(table.concat(digits.shape, "x"), "28x28x1")
   tap.equal(digits.nclasses, 10)
   tap.check(tostring(digits):find("100 samples", 1, true), tostring(digits))
end)

tap.test("take, slice and split are views that agree", function()
   local a, b = digits:split(0.3)
   tap.equal(#a, 30)
   tap.equal(#b, 70)
   tap.equal(a:digest(), digits:take(30):digest())
   tap.equal(b:digest(), digits:slice(31):digest())
   tap.equal(b:digest(), digits:slice(31, 100):digest())
   tap.equal(#digits:slice(5, 5), 1)
   tap.equal(#digits:slice(5, 4), 0)
   tap.equal(digits:slice(7, 9):target(1), digits:target(7))
end)

tap.test("pick takes any samples in any order", function()
   local some = digits:pick { 3, 1, 3 }
   tap.equal(#some, 3)
   tap.equal(some:target(2), digits:target(1))
   tap.equal(some:target(3), digits:target(3))
end)

tap.test("views outside of the set are refused with numbers", function()
   tap.fails("0 to 100", digits.take, digits, 101)
   tap.fails("1 to 100", digits.slice, digits, 0, 3)
   tap.fails("between 0 and 1", digits.split, digits, 1)
   tap.fails("1 to 100", digits.pick, digits, { 101 })
   tap.fails("an integer", digits.take, digits, 2.5)
   tap.fails("1 to 100", digits.input, digits, 0)
end)

tap.test("samples are numbers from 0 to 1, labels are classes", function()
   local x = digits:input(1)
   tap.equal(#x, 784)
   local most = 0
   for _, v in ipairs(x) do
      tap.check(v >= 0 and v <= 1)
      most = math.max(most, v)
   end
   tap.check(most > 0.5, "there is ink")
   tap.check(math.type(digits:target(1)) == "integer")
end)

tap.test("the same seed draws the same digits", function()
   tap.equal(lab.data.digits { count = 100, seed = 5 }:digest(), digits:digest())
   tap.check(lab.data.digits { count = 100, seed = 6 }:digest() ~= digits:digest())
   local fewer = lab.data.digits { count = 50, seed = 5 }
   for _, i in ipairs { 1, 17, 50 } do
      tap.equal(table.concat(fewer:input(i), " "), table.concat(digits:input(i), " "), "sample " .. i)
   end
end)

tap.test("a sample is written as a picture", function()
   local path = tap.folder .. "/digit.png"
   digits:save_picture(1, path)
   tap.equal(tap.read(path):sub(1, 4), "\137PNG")
end)

tap.test("tables become sets, whole numbers classes", function()
   local set = lab.data.table { inputs = { { 0, 1 }, { 2, 3 }, { 4, 5 } }, targets = { 0, 2, 1 } }
   tap.equal(set.nclasses, 3)
   tap.equal(set:target(2), 2)
   tap.equal(set:input(3)[2], 5.0)
   tap.equal(table.concat(lab.data.table { inputs = { 7, 8 } }.shape, "x"), "1")
   local real = lab.data.table { inputs = { 1, 2 }, targets = { 0.5, 1 } }
   tap.equal(real.nclasses, 0)
   tap.equal(real:target(1), 0.5)
   local named = lab.data.table { inputs = { { 1 }, { 2 } }, targets = { 1, 0 }, classes = { "no", "yes" } }
   tap.equal(named.classes[2], "yes")
end)

tap.test("several inputs are named", function()
   local set = lab.data.table { inputs = { b = { { 1, 2 }, { 3, 4 } }, a = { { 5 }, { 6 } } }, targets = { 0, 1 } }
   tap.equal(#set.inputs, 2)
   tap.equal(set.inputs[1].name, "a")
   tap.equal(set:input(2, 2)[1], 3.0)
end)

tap.test("deeper tables keep their shape", function()
   local set = lab.data.table { inputs = { { { 1, 2, 3 }, { 4, 5, 6 } } }, targets = { 0 }, classes = 2 }
   tap.equal(table.concat(set.shape, "x"), "2x3")
end)

tap.test("closing gives a set back at once", function()
   local set <close> = lab.data.digits { count = 10 }
   tap.equal(#set, 10)
end)

tap.done()
