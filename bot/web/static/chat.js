// The page: shows what the server's stream says, and posts what the person does.

import { make, safe, spoken, words } from "/static/markup.js";
import { batches, dropped, newId, upload } from "/static/upload.js";
import { counted, word } from "/static/words.js";

const $ = (id) => document.getElementById(id);
const log = $("log"), scroller = $("scroll"), text = $("text"), state = $("state");
const pressing = new Set(); // message ids whose button waits for an answer
const previews = new Map(); // message id -> object URLs of the files on their way
let since = 0, live = false, source = null, unseen = 0;

// --- what is said ---------------------------------------------------------------------------

async function post(path, body) {
  for (const pause of [500, 2000, null]) {
    try {
      const answer = await fetch(path, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body),
      });
      const told = await answer.json().catch(() => ({}));
      if (answer.ok) { follow(told.language); return; }
      const sorry = new Error(told.error || word("failed"));
      sorry.passes = answer.status === 503; // the same again: its id makes that harmless
      throw sorry;
    } catch (error) {
      if (!(error instanceof TypeError || error.passes)) throw error;
      if (pause === null) throw error.passes ? error : new Error(word("failed"));
      await new Promise((done) => setTimeout(done, pause));
    }
  }
}

// Another language was chosen: the page's own words come with the page.
function follow(language) {
  if (language && language !== document.documentElement.lang) location.reload();
}

async function say(said) {
  stick();
  try { await post("/say", { id: newId(), text: said }); } catch (error) { complain(error.message); }
}

async function press(id, data) {
  pressing.add(id);
  sync(id);
  try { await post("/press", { id: newId(), data }); } catch (error) { complain(error.message); }
  pressing.delete(id);
  sync(id);
}

function sync(id) {
  const item = document.getElementById(`m-${id}`);
  item?.classList.toggle("pressing", pressing.has(id));
  item?.querySelectorAll(".keys button").forEach((key) => { key.disabled = pressing.has(id); });
}

function complain(sentence) {
  const note = make("li", { className: "note", role: "alert" }, make("p", {}, sentence));
  note.dataset.place = since;
  log.append(note);
  stick();
}

// --- what is shown --------------------------------------------------------------------------

function key(id, button) {
  const look = button.danger ? "danger" : "";
  if (button.url) {
    const link = make("a", { className: "link", href: safe(button.url), rel: "noopener" }, button.label);
    if (link.origin !== location.origin) link.target = "_blank";
    return link;
  }
  if (button.copy) {
    const copier = make("button", { type: "button" }, button.label);
    copier.addEventListener("click", () => navigator.clipboard.writeText(button.copy).then(
      () => { $("spoken").textContent = word("copied"); copier.classList.add("copied"); },
      () => complain(button.copy)));
    return copier;
  }
  const node = make("button", { type: "button", className: look }, button.label);
  node.dataset.data = button.data;
  node.addEventListener("click", () => press(id, button.data));
  return node;
}

function tile(url) {
  const picture = make("img", { src: url, alt: "", decoding: "async", loading: "lazy" });
  const frame = make("span", { className: "tile" }, picture);
  picture.addEventListener("error", () => {
    frame.classList.add("plain");
    picture.remove();
  });
  return frame;
}

// A picture of the bot's: photos are described in the words below it.
function shownPicture(name) {
  const picture = make("img", { src: `/shown/${name}`, alt: "", className: "shown", decoding: "async" });
  picture.addEventListener("load", () => { if (near(picture.height)) stick(); }, { once: true });
  picture.addEventListener("error", () => picture.remove());
  return picture;
}

function pictures(message) {
  const urls = previews.get(message.id) ?? message.files.map((name) => `/thumb/${name}`);
  const count = counted("files", urls.length);
  return [make("div", { className: "tiles" }, ...urls.map(tile)), make("p", { className: "count" }, count)];
}

function content(message) {
  if (message.from === "me") {
    return message.files ? pictures(message) : [make("p", {}, message.text)];
  }
  const rows = (message.buttons ?? []).map((row) =>
    make("div", { className: "row" }, ...row.map((button) => key(message.id, button))));
  const keys = rows.length ? [make("div", { className: "keys" }, ...rows)] : [];
  const shown = message.picture ? [shownPicture(message.picture)] : [];
  return [...shown, make("div", { className: "text" }, ...words(message.text)), ...keys];
}

function show(message) {
  const atEnd = near();
  const old = document.getElementById(`m-${message.id}`);
  const item = old ?? make("li", { id: `m-${message.id}` });
  const held = old?.contains(document.activeElement) ? document.activeElement.dataset.data : null;
  item.className = message.from === "me" ? "me" : "bot";
  item.classList.toggle("spent", Boolean(message.spent));
  // Files that are still on their way keep their pictures and their progress.
  if (!old || !previews.has(message.id)) {
    item.replaceChildren(make("div", { className: "bubble" }, ...content(message)));
  }
  place(item, message.place);
  sync(message.id);
  if (held) refocus(item, held);
  if (!old) greet(message);
  if (atEnd || message.from === "me") stick();
  else if (!old && live) $("newer").hidden = false;
}

function refocus(item, data) {
  const keys = Array.from(item.querySelectorAll(".keys button"));
  (keys.find((one) => one.dataset.data === data) ?? keys[0] ?? text).focus({ preventScroll: true });
}

// A message keeps the place where it first appeared, however late its text changes.
function place(item, at) {
  if (item.dataset.place === String(at) && item.isConnected) return;
  item.dataset.place = at;
  let after = null;
  for (let one = log.lastElementChild; one && Number(one.dataset.place) > at; one = one.previousElementSibling) {
    after = one;
  }
  log.insertBefore(item, after);
}

function greet(message) {
  if (!live || message.from === "me") return;
  $("spoken").textContent = `${word("says")} ${spoken(message.text)}`;
  if (!document.hidden) return;
  unseen += 1;
  document.title = `(${unseen}) lorabot`;
}

const near = (more = 0) => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 80 + more;

function stick() {
  requestAnimationFrame(() => { scroller.scrollTop = scroller.scrollHeight; });
  $("newer").hidden = true;
}

// --- the stream -----------------------------------------------------------------------------

function tell(name) {
  state.dataset.state = name;
  state.textContent = word(name);
}

function listen() {
  source?.close();
  source = new EventSource(`/events?since=${since}`);
  source.addEventListener("open", () => tell("online"));
  source.addEventListener("message", (event) => {
    since = Number(event.lastEventId);
    show(JSON.parse(event.data));
  });
  source.addEventListener("anew", (event) => {
    since = Number(event.lastEventId);
    log.replaceChildren();
  });
  source.addEventListener("ready", () => {
    if (!live && since === 0) post("/say", { id: "start", text: "/start", quiet: true }).catch((error) => complain(error.message));
    if (!live) stick();
    live = true;
    log.setAttribute("aria-busy", "false");
  });
  source.addEventListener("parked", () => {
    source.close();
    tell("parked");
  });
  source.addEventListener("error", () => {
    tell("offline");
    if (source.readyState === EventSource.CLOSED) setTimeout(refused, 2000);
  });
}

// The stream was refused, not lost: this browser is unknown, and a fresh page makes it known.
function refused() {
  const last = Number(sessionStorage.getItem("reloaded") ?? 0);
  if (Date.now() - last < 30000) { listen(); return; }
  fetch("/healthz").then(() => {
    sessionStorage.setItem("reloaded", String(Date.now()));
    location.reload();
  }, listen);
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  unseen = 0;
  document.title = "lorabot";
  if (state.dataset.state === "parked") listen();
});
window.addEventListener("focus", () => { if (state.dataset.state === "parked") listen(); });

// --- files ----------------------------------------------------------------------------------

function take(files) {
  const { groups, tooBig } = batches(files);
  const limit = Math.floor(document.body.dataset.maxFileBytes / 1e6);
  tooBig.forEach((file) => complain(word("too_big", { file: file.name, limit })));
  groups.reduce((before, group) => before.then(() => carry(newId(), group)), Promise.resolve());
}

async function carry(id, files) {
  const name = `me:${id}`;
  previews.set(name, files.map((file) => URL.createObjectURL(file)));
  const stop = new AbortController();
  const track = make("progress", { value: 0, max: 1, "aria-label": word("uploading") });
  const label = make("span", {}, word("uploading"));
  const cross = make("button", { type: "button", className: "stop", "aria-label": word("stop") }, "×");
  cross.addEventListener("click", () => stop.abort());
  const going = make("li", { id: `m-${name}`, className: "me" }, make("div", { className: "bubble" },
    ...pictures({ id: name }), make("div", { className: "track" }, label, track, cross)));
  going.dataset.place = Number.MAX_SAFE_INTEGER;
  log.append(going);
  stick();
  try {
    await upload(id, files, (part) => {
      track.value = part;
      label.textContent = part < 1 ? `${word("uploading")} ${Math.floor(part * 100)} %` : word("checking");
      if (part === 1) cross.remove();
    }, stop.signal);
    going.querySelector(".track").remove();
  } catch (error) {
    broken(going, id, files, error);
  }
}

function broken(going, id, files, error) {
  const stopped = error.name === "AbortError";
  const again = make("button", { type: "button" }, word("again"));
  again.addEventListener("click", () => { going.remove(); carry(id, files); });
  const sentence = stopped ? word("stopped") : error.message === "network" ? word("failed") : error.message;
  going.querySelector(".track").replaceChildren(make("span", { role: "alert" }, sentence || word("failed")), again);
}

$("picker").addEventListener("change", (event) => {
  take(Array.from(event.target.files));
  event.target.value = "";
});
document.addEventListener("paste", (event) => {
  const files = Array.from(event.clipboardData?.files ?? []);
  if (!files.length) return;
  event.preventDefault();
  take(files);
});
const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
document.addEventListener("dragover", (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  $("drop").hidden = false;
});
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) $("drop").hidden = true; });
document.addEventListener("drop", async (event) => {
  $("drop").hidden = true;
  if (!carriesFiles(event)) return;
  event.preventDefault();
  take(await dropped(event.dataTransfer));
});

// --- the desk -------------------------------------------------------------------------------

function grow() {
  $("send").disabled = !text.value.trim();
  text.rows = Math.min(6, text.value.split("\n").length);
}

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const said = text.value.trim();
  if (!said) return;
  text.value = "";
  grow();
  say(said);
});
text.addEventListener("input", grow);
text.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("composer").requestSubmit();
});
$("chips").addEventListener("click", (event) => { if (event.target.dataset.say) say(event.target.dataset.say); });
$("newer").addEventListener("click", stick);
scroller.addEventListener("scroll", () => { if (near()) $("newer").hidden = true; }, { passive: true });
log.addEventListener("click", async (event) => {
  const command = event.target.closest(".command");
  if (command) { say(command.dataset.say); return; }
  const code = event.target.closest(".code");
  if (!code) return;
  await navigator.clipboard?.writeText(code.textContent).catch(() => {});
  code.dataset.done = word("copied");
  setTimeout(() => delete code.dataset.done, 1200);
});

tell("connecting");
listen();
if (matchMedia("(pointer: fine)").matches) text.focus();
