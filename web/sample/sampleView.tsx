/** Not written yet. */
export function SampleView() {
  return <p class="quiet">…</p>;
}
