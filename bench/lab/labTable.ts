/** What is measured of the lab, beside what it is to be. */

/** One number of the lab. */
export type LabMeasurement = {
  readonly name: string;
  readonly unit: "images/s" | "s" | "ms" | "kB" | "MB" | "x" | "%";
  readonly value: number;
  /** The least that is expected, and what is aimed at; left out where nobody has said. */
  readonly must?: number;
  readonly aim?: number;
  /** Whether more is better. Default false. */
  readonly isMoreBetter?: boolean;
  /** What was done, or of what it is made. */
  readonly note?: string;
};

/** The middle one of numbers; of an even count the mean of the two. */
export function medianOf(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const half = sorted.length / 2;
  return ((sorted[Math.ceil(half) - 1] ?? NaN) + (sorted[Math.floor(half)] ?? NaN)) / 2;
}

/** Growth of numbers a minute: the slope of the line through them by least squares. @param numbers at equal distances of `seconds`. */
export function growthAMinute(numbers: readonly number[], seconds: number): number {
  const middle = (numbers.length - 1) / 2;
  const mean = numbers.reduce((sum, value) => sum + value, 0) / numbers.length;
  const [above, below] = numbers.reduce(
    ([product, square], value, i) => [product + (i - middle) * (value - mean), square + (i - middle) ** 2],
    [0, 0],
  );
  return ((above / below) * 60) / seconds;
}

const text = (value: number | undefined): string => (value === undefined ? "–" : String(Number(value.toPrecision(3))));

/** Whether it is as it must be, and as it is aimed at. */
function verdictOf({ value, must, aim, isMoreBetter = false }: LabMeasurement): string {
  const reaches = (wanted: number | undefined): boolean =>
    wanted === undefined || (isMoreBetter ? value >= wanted : value <= wanted);
  if (!reaches(must)) return isMoreBetter ? "TOO LITTLE" : "TOO MUCH";
  if (must === undefined && aim === undefined) return "";
  return reaches(aim) ? "as aimed at" : "as it must be";
}

/** All of it as a Markdown table. */
export function labTable(measurements: readonly LabMeasurement[]): string {
  const rows = measurements.map((each) => {
    const { name, unit, value, must, aim, note = "" } = each;
    return `| ${name} | ${text(value)} ${unit} | ${text(must)} | ${text(aim)} | ${verdictOf(each)} | ${note} |`;
  });
  return ["| what | measured | must | aim | | how |", "|---|---:|---:|---:|---|---|", ...rows].join("\n");
}
