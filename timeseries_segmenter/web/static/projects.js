// Keeps the dashboard as it is now: asks for the projects as JSON, moves progress bars, and fetches the
// page anew where more than that has changed. Without it, the page is as it was when it was loaded.
"use strict";

const BUSY = 2000; // milliseconds between two questions while something is trained
const IDLE = 10000;
const LONGEST = 60000; // while the service does not answer
const SHARE = 20; // an answer that takes long is asked for the more rarely

const list = document.getElementById("projects");
const away = document.getElementById("away");
const announcement = document.getElementById("announcement");
const address = location.pathname + list.dataset.query; // of this page of the projects

let timer;
let failures = 0;
let lastAnswer = new Date();

function localMoments(root) {
  const form = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  for (const time of root.querySelectorAll("time[datetime]")) {
    time.textContent = form.format(new Date(time.dateTime));
  }
}

function mark(project) {
  const version = project.version === "untrained" ? "" : project.version;
  const waits = project.waits_behind ? "waits" : "";
  const { status, job, updates, attempts, trouble, start_mark: start, behind_mark: behind } = project;
  return [status, job ?? "", version, updates, waits, attempts, trouble ?? "", start, behind].join(" ");
}

function showProgress(card, project) {
  const predicted = card.querySelector(".predicted");
  if (predicted) predicted.textContent = project.predicted;
  const bar = card.querySelector(".running progress");
  if (!bar) return;
  const step = project.status === "stopping" ? "stopping" : project.step ?? "starting";
  const progress = project.progress;
  card.querySelector(".step").textContent = step;
  card.querySelector(".epoch").textContent = progress
    ? `epoch ${progress.epoch} of at most ${progress.epochs} · loss ${progress.loss.toFixed(2)} · ` +
      `worst F1 ${progress.min_f1.toFixed(2)}`
    : "";
  if (progress) {
    bar.max = progress.epochs;
    bar.value = progress.epoch;
  } else {
    bar.removeAttribute("value");
  }
}

// A card that takes the place of another keeps what the reader opened, chose and stood on.
function keepReading(before, after) {
  for (const details of after.querySelectorAll("details")) {
    const open = before.querySelector(`details.${details.className}`)?.open;
    if (open !== undefined) details.open = open;
  }
  const chosen = before.querySelector("select")?.value;
  const select = after.querySelector("select");
  if (select && [...select.options].some((option) => option.value === chosen)) select.value = chosen;
}

function put(before, after) {
  const focused = before.contains(document.activeElement);
  const name = document.activeElement?.textContent;
  keepReading(before, after);
  before.replaceWith(after);
  if (focused) {
    const controls = [...after.querySelectorAll("a, button, summary, select")];
    const same = controls.find((control) => control.textContent === name);
    if (!same) after.tabIndex = -1;
    (same ?? after).focus({ preventScroll: true });
  }
}

function announce(card) {
  if (!card.dataset.project) return;
  const title = card.querySelector("h2").textContent;
  announcement.textContent = `${title}: ${card.querySelector("header .badge").textContent}`;
}

async function refresh() {
  const answer = await fetch(address, { headers: { Accept: "text/html" } });
  if (!answer.ok) throw new Error(answer.status);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  localMoments(page);
  const cards = [...page.querySelectorAll("#projects > *")];
  const known = new Map([...list.children].map((card) => [card.id, card]));
  let place = list.firstElementChild;
  for (const card of cards) {
    const before = known.get(card.id);
    known.delete(card.id);
    if (!before) {
      list.insertBefore(card, place);
      announce(card);
      continue;
    }
    place = before.nextElementSibling;
    if (before.dataset.mark !== card.dataset.mark) {
      put(before, card);
      announce(card);
    }
  }
  for (const gone of known.values()) gone.remove();
  for (const id of ["summary", "pages"]) document.getElementById(id).replaceWith(page.getElementById(id));
}

async function ask() {
  const began = performance.now();
  let wait;
  try {
    const answer = await fetch(address, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(answer.status);
    const { projects } = await answer.json();
    const cards = new Map([...list.querySelectorAll("[data-project]")].map((card) => [card.dataset.project, card]));
    const same = projects.filter((project) => cards.get(project.project)?.dataset.mark === mark(project));
    for (const project of same) showProgress(cards.get(project.project), project);
    if (same.length !== projects.length || same.length !== cards.size) await refresh();
    const busy = projects.some((project) => ["waiting", "training", "stopping", "predicting", "searching"].includes(project.status));
    wait = Math.max(busy ? BUSY : IDLE, (performance.now() - began) * SHARE);
    failures = 0;
    lastAnswer = new Date();
    away.hidden = true;
  } catch {
    failures += 1;
    wait = Math.min(BUSY * 2 ** failures, LONGEST);
    away.querySelector(".since").textContent = lastAnswer.toLocaleTimeString();
    away.hidden = failures < 2;
  }
  schedule(wait);
}

function schedule(wait) {
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(ask, wait);
}

document.addEventListener("visibilitychange", () => schedule(0));
if (location.search) history.replaceState(null, "", address + location.hash); // what was done is said once
localMoments(document);
schedule(BUSY);
