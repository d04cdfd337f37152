/** What exported functions stand on: a Python module of its own, for PyTorch 1.13 and later, with numpy. */

/**
 * The text of `primitives.py`, which lies beside what {@link exportTorch} writes: the few operations that PyTorch hasn't got under one name.
 * Numbers of 32 bits without a sign are kept as int64 from 0 to 2^32 - 1, as PyTorch's own have no arithmetic.
 * @example console.log(torchPrimitives.includes("def threefry(")); // true
 */
export const torchPrimitives = String.raw`"""Operations of generated functions. u32 arrays are int64 tensors of numbers from 0 to 2**32 - 1."""

import base64
import warnings

import numpy
import torch
import torch.nn.functional as F
from torch.nn.grad import conv2d_input as input_gradient
from torch.nn.grad import conv2d_weight as weight_gradient

# PyTorch calls it beta in some versions; what it does is tested.
warnings.filterwarnings("ignore", message="scatter_reduce")

MASK = 0xFFFFFFFF

# What matrix products and convolutions multiply in; sums and everything else stay float32.
products = torch.float32


def multiply_in(dtype):
    """Has products and convolutions take their operands rounded to dtype from now on."""
    global products
    products = dtype


def narrow(x):
    return x if products == torch.float32 else x.to(products)


def constant(data, shape, dtype, device):
    """A tensor of a list of numbers, or of the bytes of its elements in base64."""
    if isinstance(data, str):
        kinds = {torch.float32: "<f4", torch.int32: "<i4", torch.int64: "<u4", torch.bool: "?"}
        array = numpy.frombuffer(base64.b64decode(data), dtype=kinds[dtype])
        data = array.astype(numpy.int64) if dtype == torch.int64 else array.copy()
    return torch.as_tensor(data, dtype=dtype, device=device).reshape(shape)


def iota(shape, axis, dtype, device):
    """The coordinate along an axis."""
    along = [1] * len(shape)
    along[axis] = shape[axis]
    return torch.arange(shape[axis], dtype=dtype, device=device).reshape(along).expand(shape)


def like(x, other):
    """A number as a tensor of no axes; tensors as they are."""
    return x if isinstance(x, torch.Tensor) else torch.tensor(x, dtype=other.dtype, device=other.device)


def where(condition, x, y):
    return torch.where(condition, like(x, y), like(y, x))


def divide(x, y):
    return torch.div(like(x, y), like(y, x))


def maximum(x, y):
    return torch.maximum(like(x, y), like(y, x))


def minimum(x, y):
    return torch.minimum(like(x, y), like(y, x))


def fmod(x, y):
    return torch.fmod(like(x, y), like(y, x))


def power(x, y):
    """As C's pow: whatever to the power 0, and 1 to any power, are 1."""
    return torch.pow(like(x, y), like(y, x))


def sign(x):
    return torch.where(torch.isnan(x), x, torch.sign(x)) if x.is_floating_point() else torch.sign(x)


def u32(x):
    """Wraps modulo 2**32."""
    return x & MASK


def truncate_divide(x, y):
    """The quotient towards zero; 0 where the divisor is 0."""
    x, y = like(x, y), like(y, x)
    quotient = torch.div(x.long(), torch.where(y == 0, 1, y.long()), rounding_mode="trunc")
    return torch.where(y == 0, 0, quotient).to(x.dtype)


def round_to_float16(x):
    """The nearest 16-bit float; what would be subnormal is 0 of the same sign."""
    half = x.half().float()
    return torch.where(half.abs() < 2.0**-14, half * 0, half)


def float_to_i32(x):
    """Towards zero; what is beyond the range becomes its end."""
    return torch.nan_to_num(x.double(), nan=0.0).clamp(-(2.0**31), 2.0**31 - 1).to(torch.int32)


def float_to_u32(x):
    return torch.nan_to_num(x.double(), nan=0.0).clamp(0, 2.0**32 - 1).long()


def threefry(word, key0, key1, counter0, counter1):
    """A word of Threefry-2x32 with 20 rounds (Salmon et al. 2011)."""
    keys = (key0, key1, key0 ^ key1 ^ 0x1BD11BDA)
    x, y = u32(counter0 + key0), u32(counter1 + key1)
    for injection in range(1, 6):
        for rotation in (13, 15, 26, 6) if injection % 2 == 1 else (17, 29, 16, 24):
            x = u32(x + y)
            y = u32((y << rotation) | (y >> (32 - rotation))) ^ x
        x = u32(x + keys[injection % 3])
        y = u32(y + keys[(injection + 1) % 3] + injection)
    return x if word == 0 else y


def log1p(x):
    """PyTorch 1.13 has infinity for the largest numbers, to which 1 adds nothing."""
    return torch.where(x > 2.0**40, x.log(), x.log1p())


def erf(x):
    """On CPUs in float64: what PyTorch has there for float32 is up to 2e-7 beside it."""
    return x.double().erf().float() if x.device.type == "cpu" else x.erf()


def pad(x, low, high, value):
    """Elements before and after those of each axis."""
    if x.numel() == 0:
        shape = [before + size + after for before, size, after in zip(low, x.shape, high)]
        return torch.full(shape, value, dtype=x.dtype, device=x.device)
    sides = [side for pair in zip(reversed(low), reversed(high)) for side in pair]
    return F.pad(x, sides, value=value)


def take(x, index, axis):
    """Rows of x along an axis; of an index out of range the nearest."""
    shape = list(x.shape)
    shape[axis] = index.shape[axis]
    return x.gather(axis, index.long().clamp(0, x.shape[axis] - 1).expand(shape))


def scattered(values, index, axis, size, start):
    """Where values go, with a row more for what goes nowhere, and the rows before anything came."""
    index = index.long()
    rows = torch.where((index >= 0) & (index < size), index, size).expand(values.shape)
    shape = list(values.shape)
    shape[axis] = size + 1
    return rows, torch.full(shape, start, dtype=values.dtype, device=values.device)


def scatter_sum(values, index, axis, size):
    rows, result = scattered(values, index, axis, size, 0)
    return result.scatter_add_(axis, rows, values).narrow(axis, 0, size)


def scatter_max(values, index, axis, size, start):
    rows, result = scattered(values, index, axis, size, start)
    return result.scatter_reduce_(axis, rows, values, "amax").narrow(axis, 0, size)


def matmul(x, y):
    return torch.bmm(narrow(x), narrow(y)).float()


def split(padding):
    """Rows above and below, columns left and right: what PyTorch adds itself, and what has to be added or cut off before."""
    top, bottom, left, right = padding
    if top == bottom and left == right:
        return (top, left), None
    return (0, 0), (left, right, top, bottom)


def conv2d(x, w, stride=(1, 1), padding=(0, 0, 0, 0), dilation=(1, 1), groups=1):
    inside, border = split(padding)
    x = x if border is None else F.pad(x, border)
    return F.conv2d(narrow(x), narrow(w), None, stride, inside, dilation, groups).float()


def conv2d_input(y, w, size, stride=(1, 1), padding=(0, 0, 0, 0), dilation=(1, 1), groups=1):
    """The gradient of conv2d with respect to its image, whose height and width are given."""
    inside, border = split(padding)
    left, right, top, bottom = border or (0, 0, 0, 0)
    shape = (y.shape[0], w.shape[1] * groups, size[0] + top + bottom, size[1] + left + right)
    x = input_gradient(shape, narrow(w), narrow(y), stride, inside, dilation, groups).float()
    return x if border is None else F.pad(x, [-side for side in border])


def conv2d_filter(x, y, size, stride=(1, 1), padding=(0, 0, 0, 0), dilation=(1, 1), groups=1):
    """The gradient of conv2d with respect to its filter, whose height and width are given."""
    inside, border = split(padding)
    x = x if border is None else F.pad(x, border)
    shape = (y.shape[1], x.shape[1] // groups, size[0], size[1])
    return weight_gradient(narrow(x), shape, narrow(y), stride, inside, dilation, groups).float()


def scan(body, carried, rows, constants, length, reverse):
    """Runs a body again and again. Gives, for each iteration in the order of the rows, what was carried in, carried on and made."""
    steps = [None] * length
    for i in reversed(range(length)) if reverse else range(length):
        results = body(*carried, *(row[i] for row in rows), *constants)
        steps[i] = (carried, results)
        carried = results[: len(carried)]
    return carried, steps


def check(failed, message):
    if bool(failed.any()):
        raise RuntimeError(message)
`;
