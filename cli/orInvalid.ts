import { InvalidArgumentError } from "@commander-js/extra-typings";
import { EvenkeelError } from "../engine/index.ts";

/** An argument's parser whose complaints are those of the command line. */
export function orInvalid<T>(parse: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return parse(text);
    } catch (reason) {
      if (reason instanceof EvenkeelError) throw new InvalidArgumentError(reason.message);
      throw reason;
    }
  };
}
