/** Not written yet. */
export function EngineView() {
  return <p class="quiet">…</p>;
}
