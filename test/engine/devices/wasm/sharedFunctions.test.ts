/** What long code kernels have in common is a function of their module: counted in functions and instructions. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import {
  add,
  conv2d,
  createDevice,
  type Device,
  grad,
  matmul,
  multiply,
  reduceSum,
  silu,
  square,
  type Tensor,
  zeros,
} from "../../../../engine/index.ts";
import type { DeviceLimits } from "../../../../engine/devices/device.ts";
import { atOnce } from "../../../../engine/devices/eventLoop.ts";
import { buildingModule, findingDistinct } from "../../../../engine/devices/wasm/program/index.ts";
import { planFor } from "../../../../engine/program/planFor.ts";

const device: Device = await createDevice("wasm", { wasm: { threads: 2 } });
after(() => device.dispose());

type Module = { readonly names: readonly string[]; readonly bytes: number; readonly kernels: number };

async function moduleOf(fn: (...tensors: Tensor[]) => unknown, ...args: Tensor[]): Promise<Module> {
  const { limits } = device as { readonly limits: DeviceLimits };
  const { plan } = await planFor(fn, args, limits);
  const { distinct } = atOnce(findingDistinct(plan.steps.map(({ kernel }) => kernel)));
  const memory = { module: "env", name: "memory", initial: 1, maximum: 65_536, shared: true };
  const module = atOnce(buildingModule(distinct, memory, { relaxed: false }));
  return {
    names: module.functions.map(({ reference }) => reference.name),
    bytes: module.encode().length,
    kernels: distinct.length,
  };
}

const count = ({ names }: Module, start: string): number => names.filter((name) => name.startsWith(start)).length;

/** As many convolutions as there are filters, with something else between any two. */
const chain = (x: Tensor, ...filters: Tensor[]): Tensor =>
  filters.reduce((y, filter, i) => {
    const z = conv2d(i % 2 === 0 ? y : silu(y), filter, { padding: 1 });
    return i % 3 === 0 ? z : i % 3 === 1 ? add(z, i) : add(multiply(z, 0.7), multiply(y, 0.3));
  }, x);

const filters = (length: number): Tensor[] => Array.from({ length }, () => zeros([16, 16, 3, 3]));

test("convolutions by Winograd's algorithm and their gradients share transforms and products, however many there are", async () => {
  const loss = (x: Tensor, ...w: Tensor[]): Tensor => reduceSum(square(chain(x, ...w)));
  const gradient = (x: Tensor, ...w: Tensor[]): unknown =>
    grad((parameters: readonly Tensor[]) => loss(x, ...parameters))(w);
  const [few, many] = [
    await moduleOf(gradient, zeros([8, 16, 16, 16]), ...filters(3)),
    await moduleOf(gradient, zeros([8, 16, 16, 16]), ...filters(9)),
  ];
  for (const module of [few, many]) {
    // Image, output and filter, image and cotangent of filter gradients; one kind of product forward and back.
    assert.equal(count(module, "winograd_"), 5, module.names.join(" "));
    assert.equal(count(module, "tiles_"), 1, module.names.join(" "));
  }
  assert.ok(few.kernels < many.kernels, `${few.kernels}, ${many.kernels}`);
  // A kernel more takes less than the transforms that it calls.
  const perKernel = (many.bytes - few.bytes) / (many.kernels - few.kernels);
  assert.ok(perKernel < 1_500, `${perKernel} bytes a kernel`);
});

test("packed products share the tiles that they are made of", async () => {
  const products = (x: Tensor, ...weights: Tensor[]): Tensor =>
    weights.reduce((y, w, i) => (i % 2 === 0 ? matmul(y, w) : silu(matmul(add(y, 1), w))), x);
  const weights = Array.from({ length: 5 }, () => zeros([128, 128]));
  const module = await moduleOf(products, zeros([128, 128]), ...weights);
  assert.ok(module.kernels > 1, module.names.join(" "));
  // Panels of three vectors by three rows and the two rows that are left, and the last panel's.
  assert.equal(count(module, "tiles_"), 3, module.names.join(" "));
});
