/** Which runs go on when the page is loaded again: those that nobody stopped. */
const key = "evenkeel-going";

/** Names of the runs that were training when the page was last closed or loaded again. */
export function goingRuns(): readonly string[] {
  try {
    const names: unknown = JSON.parse(localStorage.getItem(key) ?? "[]");
    return Array.isArray(names) ? names.filter((name) => typeof name === "string") : [];
  } catch {
    return [];
  }
}

export function keepGoing(name: string): void {
  write([...goingRuns().filter((each) => each !== name), name]);
}

export function stopGoing(name: string): void {
  write(goingRuns().filter((each) => each !== name));
}

function write(names: readonly string[]): void {
  try {
    localStorage.setItem(key, JSON.stringify(names));
  } catch {
    // Without storage nothing goes on, and runs say that themselves.
  }
}
