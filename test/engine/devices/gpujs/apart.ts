import type { KernelDevice } from "../../../../engine/devices/device.ts";
import { type Plan, separated } from "../../../../engine/kernel/plan.ts";

/** The same device, but it runs what steps are made of one by one, wherever buffers lie. */
export function apart(device: KernelDevice): KernelDevice {
  return new Proxy(device, {
    get: (target, key) => {
      if (key === "compile") return (plan: Plan) => target.compile(separated(plan));
      const value: unknown = Reflect.get(target, key);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}
