/** Pixels row by row, the channels of a pixel together. */
export type RawImage = {
  readonly data: ArrayLike<number>;
  readonly width: number;
  readonly height: number;
  readonly channels: number;
};

/**
 * Shrinks a picture: each result is the mean of the area that it covers, border pixels by the part they cover. Where the sizes
 * divide, these are means of whole squares.
 */
export function areaAverage(image: RawImage, width: number, height: number): Uint8Array {
  const { data, channels } = image;
  const result = new Uint8Array(width * height * channels);
  const area = (image.width / width) * (image.height / height);
  const columns = coverage(image.width, width);
  const rows = coverage(image.height, height);
  rows.forEach((coveredRows, y) => {
    columns.forEach((coveredColumns, x) => {
      for (let channel = 0; channel < channels; channel++) {
        let sum = 0;
        for (const { at: row, weight: a } of coveredRows) {
          for (const { at: column, weight: b } of coveredColumns) {
            sum += (data[(row * image.width + column) * channels + channel] ?? 0) * (a * b);
          }
        }
        result[(y * width + x) * channels + channel] = Math.round(sum / area);
      }
    });
  });
  return result;
}

type Covered = readonly { readonly at: number; readonly weight: number }[];

/** Which of `from` pixels in a row each of `to` covers, and how much of each. */
function coverage(from: number, to: number): readonly Covered[] {
  return Array.from({ length: to }, (_, i) => {
    const [start, end] = [(i * from) / to, ((i + 1) * from) / to];
    const first = Math.floor(start);
    return Array.from({ length: Math.ceil(end) - first }, (_, k) => ({
      at: first + k,
      weight: Math.min(end, first + k + 1) - Math.max(start, first + k),
    }));
  });
}
