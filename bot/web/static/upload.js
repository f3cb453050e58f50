// Files on their way: batches within the server's limits, progress, and a retry with the same name.

const limits = document.body.dataset;
const RETRIES_MS = [1000, 3000];

export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// Files too large for the server are named apart; the rest is cut into requests it will take.
export function batches(files) {
  const fits = files.filter((file) => file.size <= Number(limits.maxFileBytes));
  const tooBig = files.filter((file) => file.size > Number(limits.maxFileBytes));
  const groups = [];
  let room = 0;
  for (const file of fits) {
    const group = groups.at(-1);
    if (!group || group.length >= Number(limits.maxFiles) || room < file.size) {
      groups.push([file]);
      room = Number(limits.maxRequestBytes) * 0.95 - file.size;
    } else {
      group.push(file);
      room -= file.size;
    }
  }
  return { groups, tooBig };
}

// Everything in a drop, folders opened.
export async function dropped(transfer) {
  const entries = Array.from(transfer.items ?? [], (item) => item.webkitGetAsEntry?.());
  if (!entries.some((entry) => entry?.isDirectory)) return Array.from(transfer.files);
  const found = await Promise.all(entries.filter(Boolean).map(opened));
  return found.flat();
}

async function opened(entry) {
  if (entry.isFile) return [await new Promise((done, fail) => entry.file(done, fail))];
  const reader = entry.createReader();
  const inside = [];
  for (;;) {
    const some = await new Promise((done, fail) => reader.readEntries(done, fail));
    if (!some.length) break;
    inside.push(...some.filter((one) => one.isFile && !one.name.startsWith(".")));
  }
  return (await Promise.all(inside.map(opened))).flat();
}

function once(id, files, onProgress, signal) {
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    const form = new FormData();
    files.forEach((file, n) => form.append("files", file, `${n}${suffix(file)}`));
    request.open("POST", `/upload?id=${id}`);
    request.upload.onprogress = (event) => onProgress(event.loaded / event.total);
    request.onerror = () => fail(new TypeError("network"));
    request.onabort = () => fail(new DOMException("stopped", "AbortError"));
    request.onload = () => {
      if (request.status < 300) return done();
      let said = "";
      try { said = JSON.parse(request.responseText).error; } catch { /* not our answer */ }
      return fail(new Error(said));
    };
    signal.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}

// Only the end of a name travels; the rest of it is nobody's business.
function suffix(file) {
  const known = /\.[A-Za-z0-9]{1,8}$/.exec(file.name);
  return known ? known[0] : `.${file.type.split("/")[1] ?? ""}`;
}

export async function upload(id, files, onProgress, signal) {
  for (const pause of [...RETRIES_MS, null]) {
    try {
      return await once(id, files, onProgress, signal);
    } catch (error) {
      if (!(error instanceof TypeError) || pause === null) throw error;
      await new Promise((done) => setTimeout(done, pause));
    }
  }
  return undefined;
}
