/** Which colour each run has: the same as long as the run is there, whatever others come, go, or are read first when the page is loaded again. */
const key = "evenkeel-colors";

type Colors = Readonly<Record<string, number>>;

function read(): Colors {
  try {
    const colors: unknown = JSON.parse(localStorage.getItem(key) ?? "{}");
    if (typeof colors !== "object" || colors === null) return {};
    return Object.fromEntries(Object.entries(colors).filter(([, color]) => Number.isInteger(color) && color >= 0));
  } catch {
    return {};
  }
}

function write(colors: Colors): void {
  try {
    localStorage.setItem(key, JSON.stringify(colors));
  } catch {
    // Without storage colours are chosen anew when the page is loaded again.
  }
}

/** The colour of a run, which is the first that no run has if it has none yet. */
export function takeColor(name: string): number {
  const colors = read();
  const known = Object.hasOwn(colors, name) ? colors[name] : undefined;
  if (known !== undefined) return known;
  const taken = new Set(Object.values(colors));
  let color = 0;
  while (taken.has(color)) color++;
  write({ ...colors, [name]: color });
  return color;
}

/** Gives back the colours of runs that aren't there any more. */
export function keepColors(names: readonly string[]): void {
  write(Object.fromEntries(Object.entries(read()).filter(([name]) => names.includes(name))));
}
