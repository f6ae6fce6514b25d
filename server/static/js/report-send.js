/* Sends the reports kept on this phone: the report first, then each photo, each acknowledged by its
   checksum. May stop anywhere and begin anew: the server knows the key of a report and counts nothing twice.
   Used by the page and by its service worker. */
"use strict";
(() => {
  const cx = self.cangxanh;
  const PATIENCE_MS = 60000;
  let running = Promise.resolve();
  let next = null; // a run that has not begun yet

  class Waits extends Error {} // no signal, or the server cannot now: later
  class Stops extends Error {} // the server refuses: a person must look
  const at = (lang, path) => `${path}?lang=${lang === "en" ? "en" : "vi"}`;

  async function call(path, options = {}) {
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), PATIENCE_MS);
    let answer;
    try {
      answer = await fetch(path, { credentials: "same-origin", cache: "no-store", signal: stop.signal, ...options });
    } catch {
      throw new Waits("");
    } finally {
      clearTimeout(timer);
    }
    let body = null;
    try {
      body = await answer.json();
    } catch {
      throw new Waits(""); // not our server that answers (a hotel's sign-in page), or cut off
    }
    return { status: answer.status, body };
  }

  async function token(lang) {
    const { status, body } = await call(at(lang, "/report/ready"));
    if (status !== 200 || !body.csrf) throw new Waits(body?.message || "");
    return body.csrf;
  }

  const json = { Accept: "application/json", "Content-Type": "application/json" };

  async function sendReport(draft, csrf) {
    const photos = draft.photos.map((photo) => photo.sha);
    const { status, body } = await call(at(draft.lang, "/report/send"), {
      method: "POST", headers: { ...json, "X-CSRF": csrf }, body: JSON.stringify({ ...draft.fields, key: draft.key, photos }),
    });
    if (status === 422) {
      draft.problems = body.problems;
      throw new Stops(Object.values(body.problems).join(" "));
    }
    if (status !== 200) throw new Waits(body?.message || "");
    Object.assign(draft, { code: body.code, track: body.track, safe: body.safe });
  }

  async function sendPhoto(draft, photo, csrf) {
    const day = photo.takenOn ? `&taken_on=${photo.takenOn}` : "";
    const { status, body } = await call(`${at(draft.lang, `/report/${draft.key}/photos/${photo.sha}`)}${day}`, {
      method: "PUT", headers: { Accept: "application/json", "Content-Type": "image/jpeg", "X-CSRF": csrf }, body: photo.blob,
    });
    if (status === 200) draft.safe = body.safe;
    else if (status === 404 && body.error === "unknown") { // the server has lost it: begin anew
      Object.assign(draft, { code: null, safe: [] });
      throw new Waits("");
    } else if (status === 422 || status === 413) photo.refused = body.message; // told to the person; the others go on
    else throw new Waits(body?.message || "");
  }

  async function sendOne(draft, tell) {
    const csrf = await token(draft.lang);
    if (!draft.code) {
      await sendReport(draft, csrf);
      await cx.kept.put("drafts", draft);
      tell(draft);
    }
    for (const photo of draft.photos) {
      if (photo.refused || draft.safe.includes(photo.sha)) continue;
      await sendPhoto(draft, photo, csrf);
      await cx.kept.put("drafts", draft);
      tell(draft);
    }
    const refused = draft.photos.filter((photo) => photo.refused).map((photo) => photo.refused);
    const done = { code: draft.code, track: draft.track, at: new Date().toISOString(), kind: draft.fields.kind, safe: draft.safe.length, refused, key: draft.key };
    await cx.kept.put("sent", done);
    await cx.kept.drop("drafts", draft.key);
    return done;
  }

  async function sendAll(tell) {
    const done = [];
    const waiting = (await cx.kept.all("drafts")).filter((draft) => !draft.stopped).sort((a, b) => a.at.localeCompare(b.at));
    for (const draft of waiting) {
      try {
        draft.state = "sending";
        tell(draft);
        done.push(await sendOne(draft, tell));
      } catch (error) {
        if (!(error instanceof Waits || error instanceof Stops)) throw error;
        if (!(await cx.kept.get("drafts", draft.key))) continue; // taken away meanwhile
        Object.assign(draft, { state: "waiting", stopped: error instanceof Stops, message: error.message });
        await cx.kept.put("drafts", draft);
        tell(draft);
        if (error instanceof Waits) break;
      }
    }
    return done;
  }

  /** Send what waits; only one page or worker does so at a time. Gives what was sent whole: [{code, track, key, ...}].
      Called while it runs it runs once more afterwards, so that what was kept meanwhile is not left behind. */
  cx.sendKept = (tell = () => {}) => {
    if (next) return next;
    const run = () => {
      next = null;
      return navigator.locks ? navigator.locks.request("cangxanh-send", () => sendAll(tell)) : sendAll(tell);
    };
    next = running.then(run, run);
    running = next;
    return next;
  };
})();
