import assert from "node:assert/strict";

/**
 * Asserts that a run stays within its limits of memory. A process also holds what V8 and the allocator keep in reserve, which comes
 * and goes; what a program leaks grows in every run of it. So a run beyond a limit is repeated, twice at most: where one run
 * in a hundred goes beyond by chance, one test in a million fails so.
 * @param run makes a fresh run and gives what grew too much, or nothing.
 */
export async function assertNotInEveryRun(run: () => Promise<string | undefined>): Promise<void> {
  const complaints: string[] = [];
  while (complaints.length < 3) {
    const complaint = await run();
    if (complaint === undefined) return;
    complaints.push(complaint);
  }
  assert.fail(complaints.join("; "));
}
