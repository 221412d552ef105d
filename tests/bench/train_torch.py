#!/usr/bin/python3
"""Training speed of PyTorch on the nets of train.lua.

Debian: apt-get install python3-torch python3-numpy
Usage:  train_torch.py NET BATCH THREADS [IMAGES [EPOCHS]]      NET: cnn, mlp, two-conv, vgg
The MNIST .gz files are looked for in $PERILUNE_DATA/mnist.  Prints images/s of the last epoch.
"""
import gzip
import os
import sys
import time

import numpy
import torch
from torch import nn

FOLDER = os.path.join(os.environ["PERILUNE_DATA"], "mnist")


def read(name, header, shape):
    with gzip.open(os.path.join(FOLDER, name + ".gz")) as file:
        return numpy.frombuffer(file.read(), numpy.uint8, offset=header).reshape(shape).copy()


def pixels(part):
    return torch.from_numpy(read(part + "-images-idx3-ubyte", 16, (-1, 1, 28, 28))).float() / 255


def labels(part):
    return torch.from_numpy(read(part + "-labels-idx1-ubyte", 8, (-1,))).long()


def conv_bn(inputs, outputs):
    return [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]


def build(net):
    if net == "cnn":
        return [nn.Conv2d(1, 10, 3), nn.Flatten(), nn.Linear(6760, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 10)]
    if net == "mlp":
        return [nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10)]
    if net == "two-conv":
        return [nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
                nn.Flatten(), nn.Dropout(0.5), nn.Linear(1600, 10)]
    return (conv_bn(1, 32) + conv_bn(32, 32) + [nn.MaxPool2d(2)] + conv_bn(32, 64) + conv_bn(64, 64)
            + [nn.MaxPool2d(2), nn.Flatten(), nn.Linear(3136, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10)])


def epoch(model, optimizer, x, y, batch):
    """One pass over all full batches in random order; returns images/s."""
    model.train()
    order = torch.randperm(len(x))
    begin = time.perf_counter()
    for at in range(0, len(x) - batch + 1, batch):
        which = order[at:at + batch]
        optimizer.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(model(x[which]), y[which]).backward()
        optimizer.step()
    return (len(x) // batch * batch) / (time.perf_counter() - begin)


def main():
    net, batch, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    images = int(sys.argv[4]) if len(sys.argv) > 4 else 60000
    epochs = int(sys.argv[5]) if len(sys.argv) > 5 else 2
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    x, y = pixels("train")[:images], labels("train")[:images]
    model = nn.Sequential(*build(net))
    optimizer = torch.optim.Adam(model.parameters())
    rate = 0.0
    for _ in range(epochs):
        rate = epoch(model, optimizer, x, y, batch)
    model.eval()
    with torch.no_grad():
        right = sum((model(px).argmax(1) == py).sum().item()
                    for px, py in zip(pixels("t10k").split(1000), labels("t10k").split(1000)))
    print(f"{net} batch={batch} threads={threads} images_per_s={rate:.0f} test_accuracy={right / 1e4:.4f}")


main()
