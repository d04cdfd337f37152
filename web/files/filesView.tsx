/** Not written yet. */
export function FilesView() {
  return <p class="quiet">…</p>;
}
