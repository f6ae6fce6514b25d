/* The service worker of /report: the page opens without a signal, and what waits is sent when there is one.
   It touches nothing but /report itself and the files this page uses. */
"use strict";
importScripts("/static/js/report-store.js", "/static/js/report-send.js");

const CACHE = "cangxanh-report-1";
const LANGUAGES = ["vi", "en"];
const PAGE = "/report";
const NOTE = "/report/language"; // not an address of the server: a note in the cache
const pageOf = (lang) => `${PAGE}?lang=${lang}`;

/** The page as a stranger sees it: the copy on the phone holds nobody's name and no session. */
async function keepPages() {
  const cache = await caches.open(CACHE);
  await Promise.all(LANGUAGES.map(async (lang) => {
    const answer = await fetch(pageOf(lang), { credentials: "omit", cache: "no-store" });
    if (answer.ok && !answer.redirected) await cache.put(pageOf(lang), answer);
  }));
}

/** The files the page used, as it says, and its language; other files are let go. */
async function keepFiles(urls, lang) {
  const cache = await caches.open(CACHE);
  await cache.put(NOTE, new Response(lang));
  const wanted = new Set(urls.filter((url) => url.startsWith(`${self.location.origin}/`)));
  const there = new Set((await cache.keys()).map((request) => request.url));
  await Promise.all([...wanted].filter((url) => !there.has(url)).map(async (url) => {
    const answer = await fetch(url);
    if (answer.ok) await cache.put(url, answer);
  }));
  const pages = new Set([NOTE, ...LANGUAGES.map(pageOf)].map((path) => self.location.origin + path));
  await Promise.all([...there].filter((url) => !wanted.has(url) && !pages.has(url)).map((url) => cache.delete(url)));
}

self.addEventListener("install", (event) => event.waitUntil(self.skipWaiting()));
self.addEventListener("activate", (event) => event.waitUntil((async () => {
  for (const name of await caches.keys()) if (name.startsWith("cangxanh-report-") && name !== CACHE) await caches.delete(name);
  await self.clients.claim();
})()));

self.addEventListener("message", (event) => {
  if (!Array.isArray(event.data?.keep)) return;
  event.waitUntil(Promise.all([keepPages(), keepFiles(event.data.keep, String(event.data.lang))]).then(
    () => event.source?.postMessage({ ready: true }),
    () => {},
  ));
});

async function page(request) {
  try {
    return await fetch(request);
  } catch (error) {
    const asked = new URL(request.url).searchParams.get("lang");
    const cache = await caches.open(CACHE);
    for (const lang of [asked, await lastLanguage(cache), ...LANGUAGES]) {
      const kept = LANGUAGES.includes(lang) && (await cache.match(pageOf(lang)));
      if (kept) return kept;
    }
    throw error;
  }
}

async function lastLanguage(cache) {
  const note = await cache.match(NOTE);
  return note ? note.text() : null;
}

async function file(request) {
  const kept = await (await caches.open(CACHE)).match(request);
  return kept || fetch(request);
}

self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== self.location.origin) return;
  if (event.request.mode === "navigate") {
    if (url.pathname === PAGE) event.respondWith(page(event.request));
  } else if (url.pathname.startsWith("/static/") || url.pathname === "/api/ground") {
    event.respondWith(file(event.request));
  }
});

self.addEventListener("sync", (event) => {
  if (event.tag !== "cangxanh-send") return;
  event.waitUntil(self.cangxanh.sendKept().then(async (done) => {
    for (const client of await self.clients.matchAll()) client.postMessage({ sent: done });
    if ((await self.cangxanh.kept.all("drafts")).some((draft) => !draft.stopped)) throw new Error("later");
  }));
});
