/** `45 s`, `12 min`, `3 h 05 min`. */
export function formatTime(seconds: number): string {
  if (!Number.isFinite(seconds)) return "?";
  if (Math.ceil(seconds) < 90) return `${Math.ceil(seconds)} s`;
  const minutes = Math.ceil(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}
