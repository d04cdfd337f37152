export function BringData(_: { readonly done: () => void; readonly take: (name: string) => void }) {
  return <p />;
}
