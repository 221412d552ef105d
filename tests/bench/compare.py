#!/usr/bin/python3
"""Perilune's training speed against PyTorch's: adjacent pairs, the better of PyTorch's thread settings, medians.

Usage:  compare.py PERILUNE [NET:BATCH …] [--pairs N] [--images N]
    PERILUNE is the program (build/perilune); $PERILUNE_DATA holds the folder mnist.
    Without nets: cnn:32 cnn:128 mlp:32 mlp:128
Nothing else may run on the machine.  Each pair runs PyTorch in its best setting, then Perilune.
"""
import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SETTINGS = [(1, 1), (1, 2), (2, 1), (2, 2)]  # torch threads, OpenBLAS threads


def rate(command, environment=None, folder=None):
    out = subprocess.run(command, env={**os.environ, **(environment or {})}, cwd=folder, stdin=subprocess.DEVNULL,
                         capture_output=True, text=True, check=True).stdout
    return float(re.search(r"images_per_s=(\d+)", out).group(1))


def torch(net, batch, setting, images, epochs=2):
    threads, blas = setting
    return rate([os.path.join(HERE, "train_torch.py"), net, str(batch), str(threads), str(images), str(epochs)],
                {"OPENBLAS_NUM_THREADS": str(blas)})


def perilune(program, net, batch, images, folder):
    return rate([program, "run", os.path.join(HERE, "train.lua"), "--db", os.path.join(folder, "bench.db"),
                 "--set", f"net={net}", "--set", f"batch={batch}", "--set", f"images={images}"], folder=folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("nets", nargs="*", default=["cnn:32", "cnn:128", "mlp:32", "mlp:128"])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--images", type=int, default=60000)
    options = parser.parse_args()
    program = os.path.abspath(options.program)
    with tempfile.TemporaryDirectory() as folder:
        for what in options.nets:
            net, batch = what.split(":")
            tried = {s: torch(net, batch, s, min(options.images, 20000), 1) for s in SETTINGS}
            best = max(tried, key=tried.get)
            print(f"{what}: PyTorch's settings (threads, BLAS threads): "
                  + "  ".join(f"{s[0]},{s[1]} {r:.0f}/s" for s, r in tried.items()))
            ratios = []
            for i in range(options.pairs):
                theirs = torch(net, batch, best, options.images)
                ours = perilune(program, net, batch, options.images, folder)
                ratios.append(ours / theirs)
                print(f"  pair {i + 1}: PyTorch {theirs:.0f}/s   Perilune {ours:.0f}/s   {ratios[-1]:.2f}x", flush=True)
            print(f"{what}: median {statistics.median(ratios):.2f}x  (lowest {min(ratios):.2f}, highest {max(ratios):.2f})")
    return 0


sys.exit(main())
