/** Which colour each run has: the same as long as the run is there, whatever others come, go, or are read first when the page is loaded again. */
const key = "evenkeel-colors";

const colors = new Map<string, number>(stored());

function stored(): [string, number][] {
  try {
    const given: unknown = JSON.parse(localStorage.getItem(key) ?? "{}");
    if (typeof given !== "object" || given === null) return [];
    return Object.entries(given).filter(
      (entry): entry is [string, number] => Number.isInteger(entry[1]) && entry[1] >= 0,
    );
  } catch {
    return [];
  }
}

function write(): void {
  try {
    localStorage.setItem(key, JSON.stringify(Object.fromEntries(colors)));
  } catch {
    // Without storage colours are chosen anew when the page is loaded again.
  }
}

/** The colour of a run, which is the first that no run has if it has none yet. */
export function takeColor(name: string): number {
  const known = colors.get(name);
  if (known !== undefined) return known;
  const taken = new Set(colors.values());
  let color = 0;
  while (taken.has(color)) color++;
  colors.set(name, color);
  write();
  return color;
}

/** Gives back the colours of runs that aren't there any more. */
export function keepColors(names: readonly string[]): void {
  for (const name of colors.keys()) if (!names.includes(name)) colors.delete(name);
  write();
}
