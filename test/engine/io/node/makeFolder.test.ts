import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtemp, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { makeFolder } from "../../../../engine/io/node.ts";

let root = "";
before(async () => {
  root = await mkdtemp(join(tmpdir(), "evenkeel-folders-"));
});
after(() => rm(root, { recursive: true }));

const refuses = (folder: string, message: RegExp): Promise<void> =>
  assert.rejects(makeFolder(folder), { name: "EvenkeelError", code: "file", message });

describe("makeFolder", () => {
  it("makes folders on the way, and takes what is there", async () => {
    const deep = join(root, "a/b/../c/d");
    for (const folder of [deep, deep, root, join(root, "a", "."), "/"]) await makeFolder(folder);
    assert.ok((await stat(deep)).isDirectory());
    await symlink(deep, join(root, "link"));
    await makeFolder(join(root, "link", "below"));
    await Promise.all(["x", "x/y", "x/y", "x/z"].map((name) => makeFolder(join(root, "together", name))));
  });

  it("says what stands in the way", async () => {
    const file = join(root, "file");
    await writeFile(file, "");
    await refuses(file, /file: making the folder failed: there is a file of this name \(EEXIST\)/);
    await refuses(join(file, "below"), /a part of the path is a file.*ENOTDIR/);
    await refuses(join(root, "n".repeat(300), "below"), /ENAMETOOLONG/);
    await symlink(join(root, "nowhere"), join(root, "dangling"));
    await refuses(join(root, "dangling"), /EEXIST/);
  });

  it("ends where nothing can be made", { skip: process.platform !== "linux" }, async () => {
    await refuses("/proc/none/below", /making the folder failed/);
  });

  it("says of a read-only disk that it is one", async (t) => {
    const disk = join(root, "disk");
    await makeFolder(disk);
    const module = new URL("../../../../engine/io/node/makeFolder.ts", import.meta.url).pathname;
    const program = `import(process.argv[1]).then((m) => m.makeFolder(process.argv[2])).catch((e) => console.log(e.message))`;
    const node = [process.execPath, "--import", "tsx", "-e", program, module, join(disk, "new/below")];
    const script = 'mount -t tmpfs -o ro none "$0" && shift 0 && exec "$@"';
    const { status, stdout } = spawnSync("unshare", ["-rm", "sh", "-c", script, disk, ...node], { encoding: "utf8" });
    if (status !== 0) return t.skip("no disk can be mounted here");
    assert.match(stdout, /making the folder failed: the file system is read-only.*EROFS/);
  });
});
