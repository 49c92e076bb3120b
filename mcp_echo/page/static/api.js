// What the page asks of the server. All addresses are relative, so that a prefix of a gateway does not matter.

/** The server has refused; the message is its own sentence. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Return the JSON at an address. */
export async function read(path) {
  return answered(await fetch(path, { headers: { Accept: "application/json" }, cache: "no-store" }));
}

/** Return the text at an address. */
export async function readText(path) {
  const answer = await fetch(path, { cache: "no-store" });
  if (!answer.ok) await answered(answer);
  return answer.text();
}

/** Change something: as JSON, which no form of another page can send. */
export async function change(method, path, body) {
  const headers = { "Content-Type": "application/json", Accept: "application/json" };
  return answered(
    await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) }),
  );
}

async function answered(answer) {
  if (answer.status === 204) return null;
  const value = await answer.json().catch(() => null);
  if (answer.ok && value !== null) return value;
  throw new Refused(answer.status, value?.error?.message ?? `The server answered ${answer.status}`);
}

/** Return the address of the server, with a slash at its end: what the operator says it is, or as seen from here. */
export function serverUrl(publicUrl, here) {
  return publicUrl === null ? new URL(here, location.href).href.replace(/[?#].*$/, "") : `${publicUrl}/`;
}
