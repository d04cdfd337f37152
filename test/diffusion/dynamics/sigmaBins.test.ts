import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SigmaBins, sigmaEdges } from "../../../diffusion/dynamics/sigmaBins.ts";

test("edges cut the distribution of ln(sigma) into eight equally likely parts", () => {
  const edges = sigmaEdges({ mean: 0, standardDeviation: 1 }).map(Math.log);
  // The standard normal density, integrated from one edge to the next by Simpson's rule.
  const density = (z: number): number => Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
  const integral = (from: number, to: number): number => {
    const steps = 200;
    const h = (to - from) / steps;
    let sum = density(from) + density(to);
    for (let i = 1; i < steps; i++) sum += (i % 2 === 1 ? 4 : 2) * density(from + i * h);
    return (sum * h) / 3;
  };
  const all = [-12, ...edges, 12];
  for (let i = 1; i < all.length; i++) assert.ok(Math.abs(integral(all[i - 1] ?? 0, all[i] ?? 0) - 1 / 8) < 2e-6);
  const shifted = sigmaEdges({ mean: -0.8, standardDeviation: 1.6 });
  // Twelve digits are off by 5e-12 at most, relatively: here and, 1.6 times, in the edges compared with.
  shifted.forEach((edge, i) => assert.ok(Math.abs(Math.log(edge) - (-0.8 + 1.6 * (edges[i] ?? NaN))) < 1.3e-11));
  // Further ones would differ between JavaScript engines.
  for (const edge of shifted) assert.equal(edge, Number(edge.toPrecision(12)));
});

const images = fc.array(fc.tuple(fc.double({ min: 0.01, max: 100, noNaN: true }), fc.integer({ min: -8, max: 8 })));

test("every image is in one bin, the one whose edges enclose it, and means are those of the bin", () => {
  fc.assert(
    fc.property(images, (given) => {
      const edges = [0.1, 1, 10];
      const bins = new SigmaBins(edges);
      bins.add(
        given.map(([sigma]) => sigma),
        given.map(([, loss]) => loss),
        given.map(([, loss]) => 2 * loss),
        given.map(([, loss]) => 4 * loss),
      );
      const { count, loss, error, rate } = bins.take();
      const from = [-Infinity, ...edges];
      from.forEach((low, bin) => {
        const inside = given.filter(([sigma]) => sigma >= low && sigma < (edges[bin] ?? Infinity));
        assert.equal(count[bin], inside.length);
        const mean = inside.reduce((sum, [, value]) => sum + value, 0) / inside.length;
        assert.equal(loss[bin], inside.length === 0 ? null : mean);
        assert.equal(error[bin], inside.length === 0 ? null : 2 * mean);
        assert.equal(rate?.[bin], inside.length === 0 ? null : 4 * mean);
      });
      assert.deepEqual(bins.take().count, [0, 0, 0, 0]);
    }),
  );
});

test("what an older program's checkpoint gathered has no rates, and what comes after it has", () => {
  const bins = new SigmaBins([1], { count: [3, 0], loss: [3, 0], error: [3, 0] });
  bins.add([0.5], [1], [1], [1]);
  assert.deepEqual(bins.take(), { count: [4, 0], loss: [1, null], error: [1, null] });
  bins.add([2], [1], [1], [3]);
  assert.deepEqual(bins.take().rate, [null, 3]);
});

test("where noise levels are learned bins are those that they are drawn by", () => {
  const edges = sigmaEdges({ mean: 0, standardDeviation: 1, kind: "infonoise" });
  assert.equal(edges.length, 31);
  // Even in ln(sigma), from 0.002 to 80.
  const width = Math.log(80 / 0.002) / 32;
  edges.forEach((edge, i) => assert.ok(Math.abs(Math.log(edge / 0.002) - (i + 1) * width) < 1e-10));
});

test("gone on with from its sums, it gives what it would have given", () => {
  fc.assert(
    fc.property(images, fc.nat(), (given, seed) => {
      const edges = sigmaEdges({ mean: 0, standardDeviation: 2 });
      const cut = seed % (given.length + 1);
      const straight = new SigmaBins(edges);
      const add = (bins: SigmaBins, part: typeof given): void => {
        for (const [sigma, loss] of part) bins.add([sigma], [loss], [loss], [loss]);
      };
      add(straight, given);
      const first = new SigmaBins(edges);
      add(first, given.slice(0, cut));
      const second = new SigmaBins(edges, JSON.parse(JSON.stringify(first.sums)) as typeof first.sums);
      add(second, given.slice(cut));
      assert.deepEqual(second.take(), straight.take());
    }),
  );
});
