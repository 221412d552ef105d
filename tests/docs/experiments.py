#!/usr/bin/env python3
"""Runs every script of experiments/ in a short form, and holds them to what their first lines say: the commands there
work, the small trained nets are what their script makes.  Prints TAP.

    experiments.py --program BUILD/perilune [--source CHECKOUT] [--real]

Data sets are drawn digits in the files' formats, so that nothing need be at hand.  --real trains both pretrained nets
whole and compares their bytes (a minute on two cores); without it, the dense one alone."""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile


class Failed(Exception):
    pass


class Lab:
    """A folder with copies of the experiments, the program on its path, and nothing of the user's."""

    def __init__(self, options):
        self.options, self.source = options, pathlib.Path(options.source)
        self.build = pathlib.Path(options.program).resolve().parent
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="perilune-experiments-"))
        shutil.copytree(self.source / "experiments", self.folder / "experiments")
        shutil.copytree(self.source / "engine" / "include", self.folder / "engine" / "include")
        (self.folder / "nowhere").mkdir()
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(("PERILUNE_", "XDG_"))}
        self.environment.update(PATH=f"{self.build}:{os.environ['PATH']}", HOME=str(self.folder), LC_ALL="C.UTF-8",
                                NO_COLOR="1", PERILUNE_DATA=str(self.folder / "data"))

    def shell(self, command, folder=".", **more):
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=self.folder / folder, text=True,
                              env=dict(self.environment, **more), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=500, errors="replace")
        return done.returncode, done.stdout

    def run(self, command, folder=".", **more):
        status, output = self.shell(command, folder, **more)
        if status != 0:
            raise Failed(f"{command}\nended with {status}:\n{output}")
        return output

    def draw_data(self):
        """MNIST's and Fashion-MNIST's files with drawn digits in them; CIFAR-10's with stripes of a class's colour."""
        (self.folder / "data").mkdir()
        for name in "mnist", "fashion-mnist":
            self.run(f"perilune data make digits --count 1200 --output data/{name}")
        folder = self.folder / "data" / "cifar-10-batches-bin"
        folder.mkdir()
        for file, count in ("data_batch_1.bin", 600), ("test_batch.bin", 50):
            records = bytearray()
            for i in range(count):
                label = i % 10
                records.append(label)
                records += bytes(25 * label if (k % 32 + i) % 4 < 2 else 128 for k in range(3072))
            (folder / file).write_bytes(records)


def expect(pattern, output):
    found = re.search(pattern, output)
    if not found:
        raise Failed(f"no {pattern!r} in:\n{output}")
    return found


SHORT = "--quiet --set epochs=1 --set samples=600"

# --------------------------------------------------------------------------------------------------- experiments


def xor_is_learned_in_a_moment(lab):
    output = lab.run("perilune run experiments/xor.lua --quiet")
    if float(expect(r"loss (\S+) after", output).group(1)) >= 1e-2:
        raise Failed(output)
    for line, wanted in ("0 xor 0", 0), ("0 xor 1", 1), ("1 xor 0", 1), ("1 xor 1", 0):
        if abs(float(expect(rf"{line} = (\S+)", output).group(1)) - wanted) > 0.1:
            raise Failed(output)


def mnist_cnn_trains_saves_and_reads_a_picture(lab):
    output = lab.run(f"perilune run experiments/mnist_cnn.lua {SHORT}")
    expect(r"866,798 parameters", output)
    expect(r"test accuracy 0\.\d+\ndigit\.png shows a \d", output)
    if (lab.folder / "mnist-cnn.safetensors").stat().st_size < 3_400_000:
        raise Failed("the weights file is too small")


def mnist_dense_trains(lab):
    expect(r"269,322 parameters[^$]*test accuracy", lab.run(f"perilune run experiments/mnist_dense.lua {SHORT}"))


def fashion_cnn_says_where_it_errs(lab):
    output = lab.run(f"perilune run experiments/fashion_cnn.lua {SHORT}")
    expect(r"test accuracy 0\.\d+\n(.* % right.*\n){10}", output)
    expect(r"T-shirt/top +\S+ % right", output)


def cifar_cnn_trains(lab):
    expect("test accuracy", lab.run(f"perilune run experiments/cifar_cnn.lua {SHORT}"))


def digits_cnn_trains(lab):
    expect("test accuracy", lab.run("perilune run experiments/digits_cnn.lua --quiet --set epochs=1 --set count=1000"))


def functional_learns_whether_points_are_near(lab):
    output = lab.run("perilune run experiments/functional.lua --quiet --set epochs=8")
    if float(expect(r"accuracy on new points (\S+)", output).group(1)) < 0.9:
        raise Failed(output)


def schedules_compares_five(lab):
    expect(r"constant(.*\n)step(.*\n)cosine(.*\n)one_cycle(.*\n)own",
           lab.run("perilune run experiments/schedules.lua --quiet --set epochs=2 --set samples=600"))


def custom_layer_is_built_and_used_as_its_first_lines_say(lab):
    text = (lab.source / "experiments" / "custom_layer.lua").read_text(encoding="utf-8")
    build, run = re.findall(r"^--     (.*)$", text, re.MULTILINE)[:2]
    lab.run(build)
    output = lab.run(f"{run} --quiet")
    tanh, snake = (float(expect(rf"{name} +squared error .* (\S+) beyond", output).group(1))
                   for name in ("tanh", "Snake"))
    if not snake < 0.2 * tanh:
        raise Failed(output)


def custom_layer_without_its_plugin_says_what_is_missing(lab):
    status, output = lab.shell("perilune run experiments/custom_layer.lua --quiet --set epochs=1 --plugins nowhere")
    if status == 0:
        raise Failed(output)
    expect(r"custom_layer\.lua:\d+: .*Snake", output)


def drawn_digits_serve_where_there_is_no_mnist(lab):
    for script in "mnist_cnn", "mnist_dense", "fashion_cnn":
        lab.run(f"perilune run ../experiments/{script}.lua {SHORT} --set data=digits", "nowhere", PERILUNE_DATA="")


def no_data_is_an_error_that_says_how_to_get_it(lab):
    for script, words in (("mnist_cnn", r"lab\.data\.digits"), ("fashion_cnn", "zalandoresearch"),
                          ("cifar_cnn", "https://")):
        status, output = lab.shell(f"perilune run ../experiments/{script}.lua --quiet", "nowhere", PERILUNE_DATA="")
        if status != 1:
            raise Failed(f"{script}: exit status {status}\n{output}")
        expect(rf"{script}\.lua:\d+: .*was not found", output)
        expect(words, output)


# ---------------------------------------------------------------------------------------------------- pretrained


def train_net(lab, folder, name, more=""):
    (lab.folder / folder).mkdir()
    lab.run(f"perilune run ../experiments/pretrained/train.lua --quiet --set net={name} {more}", folder)
    return (lab.folder / folder / f"{name}.safetensors").read_bytes()


def pretrained_nets_are_small_and_predict_finds_them(lab):
    for name in "cnn", "dense":
        size = (lab.source / "experiments" / "pretrained" / f"{name}.safetensors").stat().st_size
        if size > 300_000:
            raise Failed(f"{name}: {size} bytes")
    (lab.folder / "fresh").mkdir()
    lab.run("perilune data image digits 5 --seed 9 --output digit.png", "fresh")
    expect("comes with Perilune", lab.run("perilune predict digit.png", "fresh"))


def training_again_gives_the_same_bytes_at_any_number_of_threads(lab):
    short = "--set count=1500 --set epochs=1"
    if train_net(lab, "one", "cnn", f"{short} --threads 1") != train_net(lab, "three", "cnn", f"{short} --threads 3"):
        raise Failed("1 and 3 threads give different files")


def pretrained_nets_are_what_their_script_makes(lab):
    for name in ("cnn", "dense") if lab.options.real else ("dense",):
        kept = lab.source / "experiments" / "pretrained" / f"{name}.safetensors"
        if train_net(lab, f"again-{name}", name) != kept.read_bytes():
            raise Failed(f"{name}.safetensors differs from what experiments/pretrained/train.lua makes; where the "
                         "kernels' definition has changed, train both again and put the new files there")


TESTS = [xor_is_learned_in_a_moment, mnist_cnn_trains_saves_and_reads_a_picture, mnist_dense_trains,
         fashion_cnn_says_where_it_errs, cifar_cnn_trains, digits_cnn_trains, functional_learns_whether_points_are_near,
         schedules_compares_five, custom_layer_is_built_and_used_as_its_first_lines_say,
         custom_layer_without_its_plugin_says_what_is_missing, drawn_digits_serve_where_there_is_no_mnist,
         no_data_is_an_error_that_says_how_to_get_it, pretrained_nets_are_small_and_predict_finds_them,
         training_again_gives_the_same_bytes_at_any_number_of_threads, pretrained_nets_are_what_their_script_makes]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", required=True)
    parser.add_argument("--source", default=pathlib.Path(__file__).resolve().parents[2])
    parser.add_argument("--real", action="store_true")
    lab, failed = Lab(parser.parse_args()), 0
    try:
        lab.draw_data()
        for number, test in enumerate(TESTS, 1):
            try:
                test(lab)
                print(f"ok {number} - {test.__name__}", flush=True)
            except (Failed, OSError, subprocess.TimeoutExpired) as why:
                failed += 1
                print(f"not ok {number} - {test.__name__}\n# " + str(why).replace("\n", "\n# "), flush=True)
        print(f"1..{len(TESTS)}")
    finally:
        shutil.rmtree(lab.folder, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
