/** Threefry-2x32-20 (Salmon, Moraes, Dror, Shaw: Parallel Random Numbers: As Easy as 1, 2, 3, 2011) on native integers. */
import { at } from "../../../graph/shape.ts";

const rotations = [13, 15, 26, 6, 17, 29, 16, 24];

/** Statements on key0, key1, counter0 and counter1 of type `u`, which return both words. */
export function threefryRounds(u: string): string {
  const lines = [
    `let key2 = key0 ^ key1 ^ ${u}(0x1bd11bdau);`,
    "var x0 = counter0 + key0;",
    "var x1 = counter1 + key1;",
  ];
  const keys = ["key0", "key1", "key2"];
  for (let round = 0; round < 20; round++) {
    const amount = at(rotations, round % 8);
    lines.push("x0 = x0 + x1;", `x1 = ((x1 << ${u}(${amount}u)) | (x1 >> ${u}(${32 - amount}u))) ^ x0;`);
    if (round % 4 !== 3) continue;
    const injection = (round + 1) / 4;
    lines.push(
      `x0 = x0 + ${at(keys, injection % 3)};`,
      `x1 = x1 + ${at(keys, (injection + 1) % 3)} + ${u}(${injection}u);`,
    );
  }
  const result = u === "u32" ? "vec2u(x0, x1)" : "array<vec4u, 2>(x0, x1)";
  return [...lines, `return ${result};`].map((line) => `\n  ${line}`).join("");
}
