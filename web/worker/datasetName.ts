/**
 * The name under which the lab has what a run calls its data, which may be a path of another machine: its last part, without its ending
 * and what no file's name may have.
 */
export function plainDatasetName(data: string): string {
  const last = data.split(/[\\/]/).findLast((part) => part !== "") ?? "";
  const name = last
    .replace(/\.(zip|npz|npy|gz|pack)$/i, "")
    .replaceAll(/[^\p{L}\p{N}._ -]+/gu, "-")
    .replace(/^[.\s]+/, "");
  return name === "" ? "images" : name;
}
