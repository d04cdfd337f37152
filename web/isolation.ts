/**
 * Shared memory, and with it threads, needs a page that is cross-origin isolated by two headers. Where the host doesn't send them a service
 * worker adds them to what it hands on; the page then has to be loaded once more.
 */
import { say } from "./state/lab.ts";

/** Set while the page is loaded again, so that a browser in which it doesn't help isn't sent in circles. */
const key = "evenkeel-isolating";

/** Makes the page isolated if it can be, and says what was done. Never ends if the page is about to be loaded again. */
export async function isolate(): Promise<void> {
  if (crossOriginIsolated) {
    if (sessionStorage.getItem(key) !== null) {
      sessionStorage.removeItem(key);
      say(
        "note",
        "This host doesn't send the headers that threads need: a service worker adds them, and the page was loaded twice for it.",
      );
    }
    return;
  }
  const oneThread =
    "WebAssembly computes on one thread here, which takes longer: the page is not cross-origin isolated";
  if (!isSecureContext || !("serviceWorker" in navigator)) {
    say("note", `${oneThread}, and a service worker that would help needs https.`);
    return;
  }
  if (sessionStorage.getItem(key) !== null) {
    sessionStorage.removeItem(key);
    say("note", `${oneThread}, and the service worker that adds the headers didn't help.`);
    return;
  }
  try {
    await navigator.serviceWorker.register(new URL("serviceWorker.js", document.baseURI));
    await navigator.serviceWorker.ready;
  } catch (reason) {
    say("note", `${oneThread}, and the service worker that adds the headers can't be had: ${String(reason)}.`);
    return;
  }
  sessionStorage.setItem(key, "1");
  location.reload();
  await new Promise(() => undefined);
}
