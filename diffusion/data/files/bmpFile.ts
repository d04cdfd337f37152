// Ours, as no package reads what is about: bmp-ts misreads runs and 4 bits of odd width, bmp-js and decode-bmp also rows from the top and
// masks; fast-bmp reads 24 bits alone. All but decode-bmp get the memory that a header claims before they look for the pixels.

/** Pixels of a BMP from the top, each red, green, blue and, unless all are opaque, opacity. */
export type BmpImage = {
  readonly width: number;
  readonly height: number;
  readonly channels: 3 | 4;
  readonly data: Uint8Array;
};

/** Pixels of a picture, at most: they unpack to 256 MiB. */
const maximumPixels = 2 ** 26;

/** How pixels are stored. */
const storages = { plain: 0, runsOf8: 1, runsOf4: 2, masks: 3, masksWithOpacity: 6 } as const;

type Header = {
  readonly width: number;
  readonly height: number;
  readonly isTopDown: boolean;
  /** Of a pixel. */
  readonly bits: number;
  readonly storage: number;
  /** Bits of red, green, blue and opacity in a pixel without palette. */
  readonly masks: readonly number[];
  /** Colours of a pixel with palette: blue, green, red, and in all but the oldest files a byte more. */
  readonly palette: { readonly start: number; readonly step: number; readonly count: number };
  readonly start: number;
};

export function startsLikeBmp(bytes: Uint8Array): boolean {
  return bytes[0] === 0x42 && bytes[1] === 0x4d;
}

/**
 * Decodes a Windows bitmap of 1, 4, 8, 16, 24 or 32 bits, packed by runs or not.
 * @throws Error that says what is wrong.
 */
export function decodeBmp(bytes: Uint8Array): BmpImage {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const header = parseHeader(view);
  const { width, height, isTopDown, storage } = header;
  const isRuns = storage === storages.runsOf4 || storage === storages.runsOf8;
  // 255 equal pixels take two bytes.
  if (isRuns && width * height > 128 * bytes.length) throw new Error(`claims a size of ${width}x${height}`);
  const valueAt = isRuns ? unpackRuns(bytes, header) : plainValues(view, header);
  const colourOf = header.bits <= 8 ? paletteColours(bytes, header) : maskedColours(header.masks);
  const data = new Uint8Array(width * height * 4);
  const opacities = new Set<number>();
  for (let y = 0; y < height; y++) {
    const row = isTopDown ? y : height - 1 - y;
    for (let x = 0; x < width; x++) {
      const colour = colourOf(valueAt(row, x));
      data.set(colour, (y * width + x) * 4);
      opacities.add(colour[3]);
    }
  }
  // Programs that know of no opacity write 0.
  const isOpaque = opacities.size === 1 && (opacities.has(255) || opacities.has(0));
  if (!isOpaque) return { width, height, channels: 4, data };
  return { width, height, channels: 3, data: data.filter((_, i) => i % 4 !== 3) };
}

function parseHeader(view: DataView): Header {
  if (view.byteLength < 26) throw new Error("ends within its header");
  const size = view.getUint32(14, true);
  const isOldest = size === 12;
  if (!isOldest && (size < 40 || view.byteLength < 14 + size))
    throw new Error(`has a header of ${size} bytes, which isn't known`);
  const [width, signedHeight, bits] = isOldest
    ? [view.getUint16(18, true), view.getUint16(20, true), view.getUint16(24, true)]
    : [view.getInt32(18, true), view.getInt32(22, true), view.getUint16(28, true)];
  const height = Math.abs(signedHeight);
  if (width < 1 || height < 1 || width * height > maximumPixels) throw new Error(`claims a size of ${width}x${height}`);
  const storage = isOldest ? storages.plain : view.getUint32(30, true);
  const fits: { readonly [storage: number]: readonly number[] } = {
    [storages.plain]: [1, 4, 8, 16, 24, 32],
    [storages.runsOf8]: [8],
    [storages.runsOf4]: [4],
    [storages.masks]: [16, 32],
    [storages.masksWithOpacity]: [16, 32],
  };
  if (fits[storage]?.includes(bits) !== true)
    throw new Error(`has ${bits} bits a pixel stored by method ${storage}, which isn't known`);
  const hasMasks = storage === storages.masks || storage === storages.masksWithOpacity;
  const maskCount = storage === storages.masksWithOpacity || size >= 56 ? 4 : 3;
  // Behind the oldest of the headers that know masks, within the others.
  const masksEnd = hasMasks ? 54 + 4 * maskCount : 0;
  if (view.byteLength < masksEnd) throw new Error("ends within its header");
  const masks = hasMasks
    ? Array.from({ length: maskCount }, (_, i) => view.getUint32(54 + 4 * i, true))
    : bits === 16
      ? [0x7c00, 0x3e0, 0x1f]
      : [0xff0000, 0xff00, 0xff];
  const claimed = isOldest ? 0 : view.getUint32(46, true);
  const palette = {
    start: Math.max(14 + size, masksEnd),
    step: isOldest ? 3 : 4,
    count: claimed === 0 ? 2 ** Math.min(bits, 8) : Math.min(claimed, 256),
  };
  return { width, height, isTopDown: signedHeight < 0, bits, storage, masks, palette, start: view.getUint32(10, true) };
}

type ValueAt = (row: number, x: number) => number;

/** Rows of pixels, each filled up to four bytes. */
function plainValues(view: DataView, { width, height, bits, start }: Header): ValueAt {
  const stride = Math.ceil((width * bits) / 32) * 4;
  // The last row needn't be filled up.
  if (start + stride * (height - 1) + Math.ceil((width * bits) / 8) > view.byteLength)
    throw new Error("ends too early");
  switch (bits) {
    case 16:
      return (row, x) => view.getUint16(start + row * stride + 2 * x, true);
    case 24:
      return (row, x) => {
        const at = start + row * stride + 3 * x;
        return view.getUint8(at) + view.getUint8(at + 1) * 0x100 + view.getUint8(at + 2) * 0x10000;
      };
    case 32:
      return (row, x) => view.getUint32(start + row * stride + 4 * x, true);
    default:
      return (row, x) => {
        const bit = x * bits;
        const byte = view.getUint8(start + row * stride + Math.floor(bit / 8));
        return (byte >> (8 - bits - (bit % 8))) & (2 ** bits - 1);
      };
  }
}

/** Runs of equal pixels or, in fours' case, of two in turn; and between them pixels as they are, ends of rows, and jumps. */
function unpackRuns(bytes: Uint8Array, { width, height, bits, start }: Header): ValueAt {
  const values = new Uint8Array(width * height);
  let [at, row, x] = [start, 0, 0];
  const next = (): number => {
    const byte = bytes[at++];
    if (byte === undefined) throw new Error("ends too early");
    return byte;
  };
  const put = (value: number): void => {
    if (x < width && row < height) values[row * width + x] = value;
    x++;
  };
  const half = (byte: number, i: number): number => (i % 2 === 0 ? byte >> 4 : byte & 15);
  const perByte = 8 / bits;
  while (row < height) {
    const [count, value] = [next(), next()];
    if (count > 0) {
      for (let i = 0; i < count; i++) put(bits === 8 ? value : half(value, i));
    } else if (value === 0) [row, x] = [row + 1, 0];
    else if (value === 1) break;
    else if (value === 2) [x, row] = [x + next(), row + next()];
    else {
      const plain = bytes.subarray(at, at + Math.ceil(value / perByte));
      for (let i = 0; i < value; i++) put(bits === 8 ? (plain[i] ?? 0) : half(plain[Math.floor(i / 2)] ?? 0, i));
      // Filled up to two bytes.
      at += plain.length + (plain.length % 2);
    }
  }
  return (line, column) => values[line * width + column] ?? 0;
}

type Colour = readonly [red: number, green: number, blue: number, opacity: number];

function paletteColours(bytes: Uint8Array, { palette: { start, step, count } }: Header): (value: number) => Colour {
  const colours = Array.from({ length: count }, (_, i): Colour => {
    const [blue = 0, green = 0, red = 0] = bytes.subarray(start + i * step, start + (i + 1) * step);
    return [red, green, blue, 255];
  });
  const black: Colour = [0, 0, 0, 255];
  return (value) => colours[value] ?? black;
}

function maskedColours(masks: readonly number[]): (value: number) => Colour {
  const channel = (mask: number): ((value: number) => number) => {
    // The place of the lowest bit that is set.
    const shift = mask === 0 ? 0 : 31 - Math.clz32(mask & -mask);
    const highest = mask >>> shift;
    return (value) => (highest === 0 ? 0 : Math.round((((value & mask) >>> shift) * 255) / highest));
  };
  const [red, green, blue] = [channel(masks[0] ?? 0), channel(masks[1] ?? 0), channel(masks[2] ?? 0)];
  const opacityMask = masks[3] ?? 0;
  const opacity = opacityMask === 0 ? (): number => 255 : channel(opacityMask);
  return (value) => [red(value), green(value), blue(value), opacity(value)];
}
