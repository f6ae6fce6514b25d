/* What is kept on this phone: reports that wait for a signal, and the codes of those that were sent.
   Used by the page and by its service worker. */
"use strict";
(() => {
  const cx = (self.cangxanh = self.cangxanh || {});
  const memory = { drafts: new Map(), sent: new Map() }; // where the browser keeps nothing (private windows)
  let opening;

  const open = () => {
    opening ||= new Promise((good, bad) => {
      if (!self.indexedDB) return bad(new Error("no IndexedDB"));
      const asked = indexedDB.open("cangxanh-report", 1);
      asked.onupgradeneeded = () => {
        asked.result.createObjectStore("drafts", { keyPath: "key" });
        asked.result.createObjectStore("sent", { keyPath: "code" });
      };
      asked.onsuccess = () => good(asked.result);
      asked.onerror = () => bad(asked.error);
      asked.onblocked = () => bad(new Error("blocked"));
    }).catch(() => null);
    return opening;
  };

  async function ask(name, mode, what) {
    const base = await open();
    if (!base) return undefined;
    return new Promise((good, bad) => {
      const change = base.transaction(name, mode, mode === "readwrite" ? { durability: "strict" } : {});
      const asked = what(change.objectStore(name));
      change.oncomplete = () => good(asked?.result);
      change.onabort = change.onerror = () => bad(change.error || new Error("not kept"));
    });
  }

  const keyOf = (name, thing) => (name === "drafts" ? thing.key : thing.code);

  cx.kept = {
    /** true when the browser keeps things after the page is closed */
    lasting: async () => Boolean(await open()),
    all: async (name) => (await open()) ? await ask(name, "readonly", (s) => s.getAll()) : [...memory[name].values()],
    get: async (name, key) => (await open()) ? await ask(name, "readonly", (s) => s.get(key)) : memory[name].get(key),
    put: async (name, thing) => {
      if (await open()) await ask(name, "readwrite", (s) => void s.put(thing));
      else memory[name].set(keyOf(name, thing), thing);
    },
    drop: async (name, key) => {
      if (await open()) await ask(name, "readwrite", (s) => void s.delete(key));
      else memory[name].delete(key);
    },
  };

  /* --- checksums and keys, also where the page did not come over https --- */

  const hex = (bytes) => [...bytes].map((b) => b.toString(16).padStart(2, "0")).join("");

  /** SHA-256 (FIPS 180-4) of bytes as hex; the browser's own where there is one. */
  cx.sha256 = async (blob) => {
    const bytes = new Uint8Array(await blob.arrayBuffer());
    return self.crypto?.subtle ? hex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))) : cx.slowSha256(bytes);
  };

  const primes = (count) => {
    const found = [];
    for (let n = 2; found.length < count; n += 1) if (found.every((p) => n % p)) found.push(n);
    return found;
  };
  const part = (x) => ((x - Math.floor(x)) * 2 ** 32) | 0;

  cx.slowSha256 = (bytes) => {
    const K = primes(64).map((p) => part(Math.cbrt(p)));
    const H = primes(8).map((p) => part(Math.sqrt(p)));
    const padded = new Uint8Array(((bytes.length + 72) >> 6) << 6);
    padded.set(bytes);
    padded[bytes.length] = 0x80;
    const view = new DataView(padded.buffer);
    view.setUint32(padded.length - 8, Math.floor(bytes.length / 2 ** 29));
    view.setUint32(padded.length - 4, (bytes.length << 3) >>> 0);
    const turn = (x, n) => (x >>> n) | (x << (32 - n));
    const w = new Int32Array(64);
    for (let at = 0; at < padded.length; at += 64) {
      for (let i = 0; i < 16; i += 1) w[i] = view.getInt32(at + 4 * i);
      for (let i = 16; i < 64; i += 1) {
        const a = w[i - 15];
        const b = w[i - 2];
        w[i] = (w[i - 16] + (turn(a, 7) ^ turn(a, 18) ^ (a >>> 3)) + w[i - 7] + (turn(b, 17) ^ turn(b, 19) ^ (b >>> 10))) | 0;
      }
      let [a, b, c, d, e, f, g, h] = H;
      for (let i = 0; i < 64; i += 1) {
        const one = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + K[i] + w[i]) | 0;
        const two = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
        [h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0];
      }
      [a, b, c, d, e, f, g, h].forEach((v, i) => { H[i] = (H[i] + v) | 0; });
    }
    return H.map((v) => (v >>> 0).toString(16).padStart(8, "0")).join("");
  };

  /** A fresh random key (UUID, version 4). */
  cx.freshKey = () => {
    if (self.crypto?.randomUUID) return crypto.randomUUID();
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    return hex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  };
})();
