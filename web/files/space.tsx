import { useEffect, useState } from "preact/hooks";
import { bytesText } from "../numbers.ts";
import { saying } from "../state/lab.ts";
import { kept } from "./moving.ts";

type Space = { readonly used: number; readonly quota: number; readonly isPersisted: boolean };

async function lookAtSpace(): Promise<Space> {
  const { usage = 0, quota = 0 } = await navigator.storage.estimate();
  return { used: usage, quota, isPersisted: await navigator.storage.persisted() };
}

/** How much the browser keeps for the page, and whether it may drop it. */
export function Space() {
  const [space, setSpace] = useState<Space | null>(null);
  const [isRefused, refuse] = useState(false);
  const facts = kept.value;
  useEffect(() => {
    let isOver = false;
    void saying(
      lookAtSpace().then((found) => {
        if (!isOver) setSpace(found);
      }),
    );
    return () => void (isOver = true);
  }, [facts]);
  const persist = async (): Promise<void> => {
    const isPersisted = await navigator.storage.persist();
    refuse(!isPersisted);
    setSpace(await lookAtSpace());
  };
  return (
    <section class="panel" aria-label="Storage">
      <div class="panelHead">
        <h2>Storage</h2>
      </div>
      {space === null ? (
        <p class="quiet">Looking…</p>
      ) : (
        <>
          <p>
            {bytesText(space.used)} used of {bytesText(space.quota)} that this browser lets the page have.
          </p>
          <progress aria-label="Storage used" max={Math.max(1, space.quota)} value={space.used} />
          {space.isPersisted ? (
            <p>The browser keeps it until you remove it.</p>
          ) : (
            <>
              <p>The browser may drop it when the disk gets full.</p>
              <div class="buttons">
                <button type="button" onClick={() => void saying(persist())}>
                  Ask the browser to keep it
                </button>
              </div>
            </>
          )}
          {isRefused && (
            <p role="status">
              The browser didn&apos;t agree. It does so for pages that are used often or installed; download what
              matters.
            </p>
          )}
        </>
      )}
    </section>
  );
}
