/**
 * Milliseconds of this process's own computing that some work takes, and the longest part of it without a turn of the event loop. What
 * else the machine does counts in neither.
 */
export async function turnsOf(work: () => Promise<unknown>): Promise<{ readonly whole: number; readonly gap: number }> {
  const now = (): number => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e3;
  };
  const start = now();
  let [last, gap, isOver] = [start, 0, false];
  const look = (): void => {
    gap = Math.max(gap, now() - last);
    last = now();
    if (!isOver) setImmediate(look);
  };
  setImmediate(look);
  await work();
  isOver = true;
  gap = Math.max(gap, now() - last);
  return { whole: last - start, gap };
}
