import { EvenkeelError, eventLoopTurn } from "../../../engine/index.ts";
import type { ArrayFiles } from "./chooseArrays.ts";
import { type FileSource, maximumArrayBytes } from "./fileSource.ts";
import type { Notices } from "./notices.ts";
import { numbersOfNpy, parseNpy } from "./npyFile.ts";

const wholeAreClasses =
  "class numbers [N, 1], as they are whole; save them as floats if they are a condition of one number";

const floatsAreClasses =
  "real numbers [N], taken for class numbers, as all are whole; save them as [N, 1] if they are a condition of one number";
const readAsRows =
  "arrays whose shape may be [N, H, W, C] or [N, C, H, W], read as the first; of others save x.transpose(0, 2, 3, 1)";
const readAsGrey =
  "arrays that may be one picture [C, H, W], read as grey ones [N, H, W]; of a picture in colour save x[None]";

/** Images of one size in memory, one after the other, and their labels. */
export type ArrayImages = {
  readonly count: number;
  readonly height: number;
  readonly width: number;
  readonly channels: 1 | 3 | 4;
  /** Whether an image's channels follow each other, [C, H, W]; else those of a pixel do, [H, W, C]. */
  readonly isPlanar: boolean;
  readonly data: Uint8Array;
  readonly labels: readonly number[] | readonly (readonly number[])[] | null;
};

/**
 * Reads bytes [N, H, W], [N, H, W, C] or [N, C, H, W], and labels [N] or [N, D]; whole numbers [N, 1] are classes.
 * @throws EvenkeelError `file` for other shapes and types, and a number of labels that isn't that of the images.
 */
export async function readArrayImages(
  source: FileSource,
  { images, labels }: ArrayFiles,
  notices: Notices,
): Promise<ArrayImages> {
  const name = source.nameOf(images);
  const { type, shape, bytes: data } = parseNpy(await source.read(images, maximumArrayBytes), name);
  if (type !== "|u1") {
    throw new EvenkeelError("file", `${name} holds ${type}, expected bytes (uint8): ${wayToBytes(type)}.`);
  }
  const layout = layoutOf(shape);
  if (layout === null) {
    const wanted = "expected [N, H, W], [N, H, W, C] or [N, C, H, W] with 1, 3 or 4 channels";
    const single = shape.length === 3 ? "; a picture [H, W, C] by itself is a set as x[None]" : "";
    throw new EvenkeelError("file", `${name} is [${shape.join(", ")}], ${wanted}${single}.`);
  }
  const { isDoubtful, ...sizes } = layout;
  if (isDoubtful) notices.add("guessed", readAsRows, images);
  if (data.length === 0) throw new EvenkeelError("file", `${name} holds no images.`);
  const [count = 0] = shape;
  const isPerhapsOne = (count === 3 || count === 4) && sizes.height === sizes.width && labels === null;
  if (shape.length === 3 && isPerhapsOne) notices.add("guessed", readAsGrey, images);
  return { count, ...sizes, data, labels: labels === null ? null : await readLabels(source, labels, count, notices) };
}

/** How NumPy makes bytes of another type. */
function wayToBytes(type: string): string {
  if (/^.f/.test(type)) return "save numpy.uint8(numpy.clip(x * 255, 0, 255).round()) of numbers from 0 to 1";
  if (/^.b/.test(type)) return "save numpy.uint8(x) * 255 of what is true or false";
  if (/^.[iu]\d/.test(type))
    return "save numpy.uint8(x) of numbers from 0 to 255, numpy.uint8(x // 257) of those up to 65535";
  return "save bytes";
}

type Layout = Pick<ArrayImages, "height" | "width" | "channels" | "isPlanar"> & { readonly isDoubtful: boolean };

/** What the axes of an array are: pictures are rather square. Null if there are no pictures of this shape. */
function layoutOf(shape: readonly number[]): Layout | null {
  const [, a = 0, b = 0, c = 0] = shape;
  const isCount = (channels: number): channels is 1 | 3 | 4 => channels === 1 || channels === 3 || channels === 4;
  if (shape.length === 3) {
    // As wide as a pixel has channels: that is what they are.
    if (isCount(b) && b < a) return null;
    return { height: a, width: b, channels: 1, isPlanar: false, isDoubtful: false };
  }
  if (shape.length !== 4) return null;
  const isSquareInPlanes = b === c && a !== b;
  if (isCount(a) && (isSquareInPlanes || !isCount(c))) {
    return { height: b, width: c, channels: a, isPlanar: true, isDoubtful: false };
  }
  if (!isCount(c)) return null;
  const isSquareInRows = a === b && b !== c;
  return { height: a, width: b, channels: c, isPlanar: false, isDoubtful: isCount(a) && !isSquareInRows };
}

async function readLabels(
  source: FileSource,
  file: string,
  count: number,
  notices: Notices,
): Promise<number[] | number[][]> {
  const name = source.nameOf(file);
  const array = parseNpy(await source.read(file, maximumArrayBytes), name);
  const { shape } = array;
  if (shape[0] !== count || shape.length > 2) {
    throw new EvenkeelError("file", `${name} is [${shape.join(", ")}], expected a label for each of ${count} images.`);
  }
  const numbers = numbersOfNpy(array, name);
  const [, width] = shape;
  if (width === undefined) {
    if (/^.f/.test(array.type) && numbers.every(Number.isInteger)) notices.add("guessed", floatsAreClasses, file);
    return numbers;
  }
  // As Keras has them.
  if (width === 1 && /^.[biu]/.test(array.type)) {
    notices.add("guessed", wholeAreClasses, file);
    return numbers;
  }
  return Array.from({ length: count }, (_, i) => numbers.slice(i * width, (i + 1) * width));
}

/** The data with the channels of a pixel together, [N, H, W, C], or apart, [N, C, H, W]. */
export async function inOrder(images: ArrayImages, isPlanar: boolean): Promise<Uint8Array> {
  const { data, channels, height, width } = images;
  if (images.isPlanar === isPlanar || channels === 1) return data;
  const pixels = height * width;
  const result = new Uint8Array(data.length);
  const [pixelStep, channelStep] = isPlanar ? [1, pixels] : [channels, 1];
  const [fromPixelStep, fromChannelStep] = isPlanar ? [channels, 1] : [1, pixels];
  for (let image = 0; image < data.length; image += channels * pixels) {
    for (let channel = 0; channel < channels; channel++) {
      const [to, from] = [image + channel * channelStep, image + channel * fromChannelStep];
      for (let i = 0; i < pixels; i++) result[to + i * pixelStep] = data[from + i * fromPixelStep] ?? 0;
    }
    await eventLoopTurn();
  }
  return result;
}
