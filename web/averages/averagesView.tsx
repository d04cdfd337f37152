/** Not written yet. */
export function AveragesView() {
  return <p class="quiet">…</p>;
}
