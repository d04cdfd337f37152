/** Numbers of about one as bars around zero, each with its name. */
export type Stem = { readonly name: string; readonly value: number; readonly color: string };

export function Stems({ stems, description }: { readonly stems: readonly Stem[]; readonly description: string }) {
  const most = Math.max(1e-12, ...stems.map(({ value }) => Math.abs(value)));
  return (
    <div class="stems" role="group" aria-label={description} tabIndex={0}>
      <table>
        <thead class="hidden">
          <tr>
            <th scope="col">Stored average</th>
            <th scope="col">Bar</th>
            <th scope="col">Coefficient</th>
          </tr>
        </thead>
        <tbody>
          {stems.map(({ name, value, color }) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td class="stem" aria-hidden="true">
                <span
                  style={{
                    background: color,
                    width: `${(50 * Math.abs(value)) / most}%`,
                    marginLeft: value < 0 ? `${50 - (50 * Math.abs(value)) / most}%` : "50%",
                  }}
                />
              </td>
              <td>{Math.abs(value) < 0.0005 ? "0" : value.toFixed(3)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
