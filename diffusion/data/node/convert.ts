import { readFile, stat } from "node:fs/promises";
import { dirname, extname, join } from "node:path";
import sharp, { type Sharp } from "sharp";
import { EvenkeelError } from "../../../engine/index.ts";
import { createDataset, type ImageDataset } from "../dataset.ts";
import { parseIdx } from "./idxFile.ts";
import { messageOf, openFiles } from "./imageSource.ts";
import { readLabels } from "./openDataset.ts";

/** How pictures of any shape become square. */
export const transforms = ["center-crop", "center-crop-wide", "center-crop-dhariwal", "contain", "box"] as const;

/**
 * `center-crop` and the two others cut the middle out: the plain one in one step (Lanczos), `center-crop-dhariwal` by halving and
 * then bicubic, as ImageNet's reference statistics were made, `center-crop-wide` a wide part on black. `contain` keeps everything,
 * on the background. `box` averages squares of pixels and needs sizes that divide.
 */
export type Transform = (typeof transforms)[number];

export type ConvertOptions = {
  readonly source: string;
  /** Width and height of the results. */
  readonly resolution: number;
  readonly transform: Transform;
  readonly greyscale: boolean;
  /** What shows through transparent pictures, e.g. `#ffffff`. */
  readonly background: string;
  /** At most so many, the first by name. */
  readonly maxImages?: number | undefined;
  readonly onImage?: (done: number, total: number) => void;
};

const imageExtensions = new Set([".png", ".jpg", ".jpeg", ".webp", ".gif", ".tif", ".tiff", ".avif", ".bmp"]);

/**
 * Makes a data set of pictures of any size: a folder or zip of images with labels as `openDataset` finds them, or an IDX file of images
 * (its labels beside it under the usual name).
 * @throws EvenkeelError `file` that names the picture that can't be read, `value` for a size that doesn't divide.
 */
export async function convertDataset(options: ConvertOptions): Promise<ImageDataset> {
  const source = /idx3-ubyte(\.gz)?$/.test(options.source)
    ? await openIdx(options.source)
    : await openPictures(options.source);
  await using pictures = source;
  const count = Math.min(pictures.count, options.maxImages ?? Infinity);
  const channels = options.greyscale || pictures.isGrey ? 1 : 3;
  const size = channels * options.resolution ** 2;
  const pixels = new Uint8Array(count * size);
  for (let i = 0; i < count; i++) {
    const { image, name } = await pictures.read(i);
    try {
      pixels.set(await squareOf(image, options, channels), i * size);
    } catch (cause) {
      if (cause instanceof EvenkeelError) throw cause;
      throw new EvenkeelError("file", `${name}: can't be read as an image: ${messageOf(cause)}`, { cause });
    }
    options.onImage?.(i + 1, count);
  }
  return createDataset({
    name: options.source,
    channels,
    resolution: options.resolution,
    pixels,
    labels: (pictures.labels?.slice(0, count) ?? null),
    classNames: pictures.classNames,
  });
}

/** Pictures one after the other, with labels. */
interface Pictures extends AsyncDisposable {
  readonly count: number;
  readonly isGrey: boolean;
  readonly labels: readonly number[] | readonly (readonly number[])[] | null;
  readonly classNames: readonly string[] | null;
  read(index: number): Promise<{ readonly image: Sharp; readonly name: string }>;
}

async function openPictures(path: string): Promise<Pictures> {
  const source = await openFiles(path);
  const files = source.files.filter((file) => imageExtensions.has(extname(file).toLowerCase()));
  if (files.length === 0)
    throw new EvenkeelError("file", `${path} holds no images (${[...imageExtensions].join(" ")}).`);
  const { labels, classNames } = await readLabels(source, files);
  return {
    count: files.length,
    isGrey: false,
    labels,
    classNames,
    read: async (index) => {
      const file = files[index] ?? "";
      // A damaged picture is an error, not a picture with a grey half.
      return { image: sharp(await source.read(file), { failOn: "warning" }), name: `${path}: ${file}` };
    },
    [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
  };
}

async function openIdx(path: string): Promise<Pictures> {
  const read = async (file: string): Promise<Uint8Array> =>
    readFile(file).catch((cause: unknown) => {
      throw new EvenkeelError("file", `can't read ${file}: ${messageOf(cause)}`, { cause });
    });
  const images = parseIdx(await read(path), path);
  const [count = 0, height = 0, width = 0] = images.shape;
  if (images.shape.length !== 3)
    throw new EvenkeelError("file", `${path} is [${images.shape.join(", ")}], expected [N, height, width].`);
  const beside = join(dirname(path), path.slice(dirname(path).length + 1).replace("images-idx3", "labels-idx1"));
  const labels = beside !== path && (await exists(beside)) ? parseIdx(await read(beside), beside) : null;
  if (labels !== null && labels.data.length !== count) {
    throw new EvenkeelError("file", `${beside} has ${labels.data.length} labels for ${count} images.`);
  }
  const size = height * width;
  return {
    count,
    isGrey: true,
    labels: labels === null ? null : [...labels.data],
    classNames: null,
    read: async (index) => ({
      image: sharp(images.data.subarray(index * size, (index + 1) * size), { raw: { width, height, channels: 1 } }),
      name: `${path}: image ${index}`,
    }),
    [Symbol.asyncDispose]: async () => undefined,
  };
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** One picture as [channels, resolution, resolution]. */
async function squareOf(picture: Sharp, options: ConvertOptions, channels: 1 | 3): Promise<Uint8Array> {
  const { resolution, background } = options;
  const opaque = sharp(await picture.rotate().flatten({ background }).toColourspace("srgb").png().toBuffer());
  const { width, height } = await opaque.metadata();
  const resized = await transformed(opaque, width, height, options);
  const raw = await (channels === 1 ? resized.greyscale() : resized.removeAlpha().toColourspace("srgb"))
    .raw()
    .toBuffer({ resolveWithObject: true });
  const pixels = new Uint8Array(channels * resolution ** 2);
  const stride = raw.info.channels;
  for (let i = 0; i < resolution ** 2; i++) {
    for (let channel = 0; channel < channels; channel++) {
      pixels[channel * resolution ** 2 + i] = raw.data[i * stride + Math.min(channel, stride - 1)] ?? 0;
    }
  }
  return pixels;
}

async function transformed(
  image: Sharp,
  width: number,
  height: number,
  { transform, resolution, background }: ConvertOptions,
): Promise<Sharp> {
  switch (transform) {
    case "center-crop":
      return image.resize(resolution, resolution, { fit: "cover", position: "centre", kernel: "lanczos3" });
    case "center-crop-wide": {
      // The middle part of the wide format the data were made for, filled up to a square.
      const band = Math.round((resolution * height) / Math.max(width, 1));
      const wide = await image
        .resize(resolution, Math.min(band, resolution), { fit: "cover", kernel: "lanczos3" })
        .png()
        .toBuffer();
      return sharp(wide).resize(resolution, resolution, { fit: "contain", background: "#000000" });
    }
    case "center-crop-dhariwal":
      return cropByHalving(image, width, height, resolution);
    case "contain":
      return image.resize(resolution, resolution, { fit: "contain", background, kernel: "lanczos3" });
    case "box":
      return boxAverage(image, width, height, resolution);
  }
}

/** Halves while the short side is at least twice the target, then bicubic, then the middle. Spec of the ImageNet crop. */
async function cropByHalving(
  image: Sharp,
  width: number,
  height: number,
  resolution: number,
): Promise<Sharp> {
  let [current, w, h] = [image, width, height];
  while (Math.min(w, h) >= 2 * resolution) {
    [w, h] = [Math.floor(w / 2), Math.floor(h / 2)];
    current = sharp(await (await boxAverageTo(current, w, h)).png().toBuffer());
  }
  const scale = resolution / Math.min(w, h);
  const target = { width: Math.round(w * scale), height: Math.round(h * scale) };
  const resized = await current
    .resize({ ...target, kernel: "cubic", fit: "fill" })
    .png()
    .toBuffer();
  return sharp(resized).extract({
    left: Math.floor((target.width - resolution) / 2),
    top: Math.floor((target.height - resolution) / 2),
    width: resolution,
    height: resolution,
  });
}

async function boxAverage(image: Sharp, width: number, height: number, resolution: number): Promise<Sharp> {
  if (width !== height || width % resolution !== 0) {
    throw new EvenkeelError(
      "value",
      `convert: ${width}x${height} can't be averaged to ${resolution}x${resolution}; use another --transform.`,
    );
  }
  return boxAverageTo(image, resolution, resolution);
}

/** The mean of blocks of whole pixels; a last row or column that fills no block is left out. */
async function boxAverageTo(image: Sharp, width: number, height: number): Promise<Sharp> {
  const { data, info } = await image.raw().toBuffer({ resolveWithObject: true });
  const [blockX, blockY] = [Math.floor(info.width / width), Math.floor(info.height / height)];
  const { channels } = info;
  const result = Buffer.alloc(width * height * channels);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let channel = 0; channel < channels; channel++) {
        let sum = 0;
        for (let inner = 0; inner < blockX * blockY; inner++) {
          const row = y * blockY + Math.floor(inner / blockX);
          const column = x * blockX + (inner % blockX);
          sum += data[(row * info.width + column) * channels + channel] ?? 0;
        }
        result[(y * width + x) * channels + channel] = Math.round(sum / (blockX * blockY));
      }
    }
  }
  return sharp(result, { raw: { width, height, channels: channels } });
}
