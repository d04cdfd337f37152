/** The law of folders: what is kept is what was written, whole or as it was before. No Node imports: pages run it, too. */
import fc from "fast-check";
import { EvenkeelError } from "../../engine/errors.ts";
import { type Folder, readTextIfAny, readWhole } from "../../engine/io/index.ts";

const names = ["a", "b.jsonl", "c d", "Ä.safetensors"] as const;
const name = fc.constantFrom(...names);
// An empty file may be as good as none.
const bytes = fc.uint8Array({ minLength: 1, maxLength: 40 });

const operations = fc.oneof(
  fc.record({ kind: fc.constant("write" as const), name, parts: fc.array(bytes, { minLength: 1, maxLength: 3 }) }),
  fc.record({ kind: fc.constant("fail" as const), name, parts: fc.array(bytes, { maxLength: 3 }) }),
  fc.record({ kind: fc.constant("append" as const), name, bytes }),
  fc.record({ kind: fc.constant("remove" as const), name }),
  fc.record({ kind: fc.constant("read" as const), name, from: fc.nat(30), length: fc.nat(30) }),
);

const asText = (all: Iterable<number>): string => [...all].join();

function check(condition: boolean, what: string): void {
  if (!condition) throw new Error(what);
}

/**
 * Holds a folder, empty at first and after each run, against a map of what should be in it. @throws Error with the shrunk counterexample.
 */
export async function checkFolder(
  folder: Folder,
  { runs, seed }: { readonly runs: number; readonly seed?: number },
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.array(operations, { maxLength: 12 }), async (list) => {
      await folder.prepare();
      // What a run that failed left.
      for (const each of names) await folder.file(each).remove();
      const model = new Map<string, readonly number[]>();
      for (const operation of list) {
        const file = folder.file(operation.name);
        const kept = model.get(operation.name);
        switch (operation.kind) {
          case "write":
            await file.write(async (sink) => {
              for (const part of operation.parts) {
                const own = part.slice();
                await sink.write(own);
                // What was handed on is no longer the caller's concern.
                own.fill(0);
              }
            });
            model.set(
              operation.name,
              operation.parts.flatMap((part) => [...part]),
            );
            break;
          case "fail": {
            const reason = new Error("told to fail");
            const thrown = await file
              .write(async (sink) => {
                for (const part of operation.parts) await sink.write(part);
                throw reason;
              })
              .catch((error: unknown) => error);
            check(thrown === reason, `a failed write threw ${String(thrown)}`);
            break;
          }
          case "append":
            await file.append(operation.bytes);
            model.set(operation.name, [...(kept ?? []), ...operation.bytes]);
            break;
          case "remove":
            await file.remove();
            model.delete(operation.name);
            break;
          case "read":
            check((await file.exists()) === (kept !== undefined), `exists is wrong about ${operation.name}`);
            if (kept === undefined) {
              const error = await file.open().catch((reason: unknown) => reason);
              const isToldWell =
                error instanceof EvenkeelError && error.code === "file" && error.message.includes(file.path);
              check(isToldWell, `opening a missing file: ${String(error)}`);
            } else {
              const open = await file.open();
              check(open.size === kept.length, `size ${open.size}, wanted ${kept.length}`);
              const from = Math.min(operation.from, kept.length);
              const length = Math.min(operation.length, kept.length - from);
              const read = await open.read(from, length);
              await open.close();
              check(asText(read) === asText(kept.slice(from, from + length)), `read ${asText(read)} from ${from} on`);
            }
            break;
        }
      }
      const wanted = [...model.keys()].sort();
      const listed = await folder.list();
      check(listed.join() === wanted.join(), `lists ${listed.join()}, wanted ${wanted.join()}`);
      for (const [each, content] of model) {
        check(asText(await readWhole(folder.file(each))) === asText(content), `${each} is not what was written`);
      }
      for (const each of names) {
        await folder.file(each).remove();
        check((await readTextIfAny(folder.file(each))) === null, `${each} is still there`);
      }
    }),
    { numRuns: runs, ...(seed === undefined ? {} : { seed }) },
  );
  for (const wrong of ["", ".", "..", "a/b", "..\\c"]) {
    let refused = false;
    try {
      folder.file(wrong);
    } catch (reason) {
      refused = reason instanceof EvenkeelError && reason.code === "file";
    }
    check(refused, `${JSON.stringify(wrong)} is taken for a name`);
  }
}
