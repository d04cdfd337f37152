/** `data.py` of an exported run: the images of a position, as Evenkeel has them. */
export const dataScript = String.raw`"""The images of a run, in its order: a function of the seed and the position alone."""

import numpy

from arrays import read_arrays

MASK = numpy.uint64(0xFFFFFFFF)
ORDER, FLIP, LATENT = 1, 2, 4


def words(numbers):
    return numpy.atleast_1d(numpy.asarray(numbers, numpy.uint64))


def mix(*numbers):
    """A well-mixed 32-bit word of several: the finalizer of MurmurHash3 after each."""
    h = words(0x9E3779B9)
    for number in numbers:
        h = h ^ words(number)
        h = ((h ^ (h >> numpy.uint64(16))) * numpy.uint64(0x85EBCA6B)) & MASK
        h = ((h ^ (h >> numpy.uint64(13))) * numpy.uint64(0xC2B2AE35)) & MASK
        h = h ^ (h >> numpy.uint64(16))
    return h


def high_and_low(numbers):
    numbers = words(numbers)
    return numbers >> numpy.uint64(32), numbers & MASK


def shuffled(seed, epoch, size):
    """Numbers 0 to size - 1 in the order of an epoch (Fisher and Yates)."""
    key = mix(*high_and_low(seed), ORDER, epoch)
    places = numpy.arange(size - 1, 0, -1, dtype=numpy.uint64)
    upper, lower = mix(key, epoch, places, 0), mix(key, epoch, places, 1)
    random = ((upper << numpy.uint64(21)) + (lower >> numpy.uint64(11))).astype(numpy.float64) / 2.0**53
    partners = numpy.floor(random * (places + numpy.uint64(1)).astype(numpy.float64)).astype(numpy.int64)
    order = list(range(size))
    for i, j in zip(range(size - 1, 0, -1), partners.tolist()):
        order[i], order[j] = order[j], order[i]
    return numpy.array(order)


class Order:
    """Every image once an epoch, each epoch shuffled anew."""

    def __init__(self, seed, size):
        self.seed, self.size, self.epochs = seed, size, {}

    def images(self, positions):
        return numpy.array([self.epoch(p // self.size)[p % self.size] for p in positions])

    def epoch(self, number):
        if number not in self.epochs:
            # A batch touches two at most, unless it is larger than the data.
            while len(self.epochs) > 1:
                self.epochs.pop(next(iter(self.epochs)))
            self.epochs[number] = shuffled(self.seed, number, self.size)
        return self.epochs[number]

    def is_flipped(self, positions):
        """Whether the image at a position is mirrored: half of them are."""
        key = mix(*high_and_low(self.seed), FLIP, 0)
        return (mix(key, *high_and_low(positions), 0) & numpy.uint64(1)) == 1

    def normals(self, position, count):
        """Standard normals for the image at a position (Box and Muller)."""
        key = mix(mix(*high_and_low(self.seed), LATENT, 0), *high_and_low(position), 0)
        pairs = numpy.arange(0, count, 2, dtype=numpy.uint64)
        radius = numpy.sqrt(-2 * numpy.log((mix(key, pairs, 0, 0).astype(numpy.float64) + 0.5) / 2.0**32))
        angle = 2 * numpy.pi * mix(key, pairs, 1, 0).astype(numpy.float64) / 2.0**32
        both = numpy.stack([radius * numpy.cos(angle), radius * numpy.sin(angle)], 1)
        return both.reshape(-1)[:count].astype(numpy.float32)


class Batches:
    """Images as the network takes them, and their labels."""

    def __init__(self, path, run):
        self.run = run
        self.arrays, _ = read_arrays(path)
        count = next(iter(self.arrays.values())).shape[0]
        self.order = Order(run["seed"], count)

    def at(self, positions):
        """Images float32 [N, C, H, W] and labels float32 [N, labelDim], which are None without labels."""
        rows = self.order.images(positions)
        if "pixels" in self.arrays:
            images = self.arrays["pixels"][rows].astype(numpy.float32) / numpy.float32(127.5) - numpy.float32(1)
            if self.run["xflip"]:
                flipped = self.order.is_flipped(positions)
                images[flipped] = images[flipped][..., ::-1]
        else:
            images = self.latents(rows, positions)
        return images, self.labels(rows)

    def latents(self, rows, positions):
        """Drawn from their means and deviations, and whitened."""
        mean, deviation = numpy.split(self.arrays["meanAndDeviation"][rows], 2, axis=1)
        size = int(numpy.prod(mean.shape[1:]))
        noise = numpy.stack([self.order.normals(p, size) for p in positions]).reshape(mean.shape)
        scale, bias = (
            numpy.array(self.run["whitening"][name], numpy.float32).reshape(1, -1, 1, 1) for name in ("scale", "bias")
        )
        return (mean + deviation * noise) * scale + bias

    def labels(self, rows):
        if self.run["labelDim"] == 0:
            return None
        if "labels" in self.arrays:
            return numpy.array(self.arrays["labels"][rows])
        one_hot = numpy.zeros((len(rows), self.run["labelDim"]), numpy.float32)
        one_hot[numpy.arange(len(rows)), self.arrays["classes"][rows]] = 1
        return one_hot
`;
