/** A picture that is read by rows. */
export type PictureRows = {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  /** The numbers of a row, the channels of a pixel together; valid until the next call. */
  readonly row: (y: number) => Uint8Array | Float64Array;
};

/**
 * Shrinks a picture: each result is the mean of the area that it covers, border pixels by the part they cover. Where the sizes
 * divide, these are means of whole squares.
 */
export function areaAverage(image: PictureRows, width: number, height: number): Uint8Array {
  const { channels } = image;
  const result = new Uint8Array(width * height * channels);
  const area = (image.width / width) * (image.height / height);
  const columns = coverage(image.width, width);
  const rows = coverage(image.height, height);
  const sums = new Float64Array(width * channels);
  for (let y = 0; y < height; y++) {
    sums.fill(0);
    for (let i = rows.starts[y] ?? 0; i < (rows.starts[y + 1] ?? 0); i++) {
      addRow(sums, image.row(rows.places[i] ?? 0), columns, rows.weights[i] ?? 0, channels);
    }
    for (let i = 0; i < sums.length; i++) result[y * sums.length + i] = Math.round((sums[i] ?? 0) / area);
  }
  return result;
}

function addRow(
  sums: Float64Array,
  row: ArrayLike<number>,
  columns: Coverage,
  rowWeight: number,
  channels: number,
): void {
  const { starts, places, weights } = columns;
  for (let x = 0; x + 1 < starts.length; x++) {
    for (let i = starts[x] ?? 0; i < (starts[x + 1] ?? 0); i++) {
      const weight = rowWeight * (weights[i] ?? 0);
      const from = (places[i] ?? 0) * channels;
      for (let channel = 0; channel < channels; channel++) {
        const at = x * channels + channel;
        sums[at] = (sums[at] ?? 0) + (row[from + channel] ?? 0) * weight;
      }
    }
  }
}

/** Which pixels in a row each result covers, and how much of each: those from `starts[i]` to `starts[i + 1]`. */
type Coverage = { readonly starts: Uint32Array; readonly places: Uint32Array; readonly weights: Float64Array };

function coverage(from: number, to: number): Coverage {
  const starts = new Uint32Array(to + 1);
  const places: number[] = [];
  const weights: number[] = [];
  for (let i = 0; i < to; i++) {
    const [start, end] = [(i * from) / to, ((i + 1) * from) / to];
    for (let place = Math.floor(start); place < end; place++) {
      places.push(place);
      weights.push(Math.min(end, place + 1) - Math.max(start, place));
    }
    starts[i + 1] = places.length;
  }
  return { starts, places: Uint32Array.from(places), weights: Float64Array.from(weights) };
}
