/* Photos on the phone: made smaller before they are sent, blurred by finger, the day read from them first. */
"use strict";
(() => {
  const cx = window.cangxanh;
  const t = cx.t;
  const LONG_EDGE = 1600;
  const QUALITY = 0.82;
  const STEPS_BACK = 5;

  /** The day a camera wrote into a JPEG (EXIF DateTimeOriginal, else DateTime) as YYYY-MM-DD, or null. */
  cx.exifDay = (buffer) => {
    const view = new DataView(buffer);
    try {
      if (view.getUint16(0) !== 0xffd8) return null;
      let at = 2;
      while (view.getUint16(at) !== 0xffe1 || view.getUint32(at + 4) !== 0x45786966) {
        if ((view.getUint16(at) & 0xff00) !== 0xff00 || view.getUint16(at) === 0xffda) return null;
        at += 2 + view.getUint16(at + 2);
      }
      const start = at + 10;
      const little = view.getUint16(start) === 0x4949;
      const u16 = (p) => view.getUint16(start + p, little);
      const u32 = (p) => view.getUint32(start + p, little);
      const entry = (part, tag) => {
        for (let i = 0; i < u16(part); i += 1) if (u16(part + 2 + 12 * i) === tag) return u32(part + 2 + 12 * i + 8);
        return null;
      };
      const first = u32(4);
      const inner = entry(first, 0x8769);
      const place = (inner && entry(inner, 0x9003)) || entry(first, 0x0132);
      if (!place) return null;
      const text = String.fromCharCode(...new Uint8Array(buffer, start + place, 10));
      const found = /^((?:19|20)\d\d):(\d\d):(\d\d)$/.exec(text);
      return found ? `${found[1]}-${found[2]}-${found[3]}` : null;
    } catch (error) {
      if (error instanceof RangeError) return null; // it points outside itself
      throw error;
    }
  };

  /** A file as {canvas, takenOn}, upright and at most 1600 px long; an Error with a sentence for people. */
  cx.openPhoto = async (file) => {
    const takenOn = cx.exifDay(await file.slice(0, 256 * 1024).arrayBuffer());
    let picture;
    try {
      picture = await createImageBitmap(file);
    } catch {
      const heic = /hei[cf]$/i.test(file.type) || /\.hei[cf]$/i.test(file.name);
      throw new Error(heic
        ? t("This photo is in the HEIC format, which this browser cannot open. In the camera settings choose “Most Compatible” and take it again.")
        : t("“{name}” cannot be opened as a photo. Choose another one.", { name: file.name.slice(0, 60) }));
    }
    const scale = Math.min(1, LONG_EDGE / Math.max(picture.width, picture.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(picture.width * scale));
    canvas.height = Math.max(1, Math.round(picture.height * scale));
    const paper = canvas.getContext("2d", { willReadFrequently: true });
    paper.fillStyle = "#fff";
    paper.fillRect(0, 0, canvas.width, canvas.height);
    paper.imageSmoothingQuality = "high";
    paper.drawImage(picture, 0, 0, canvas.width, canvas.height);
    picture.close();
    if (Math.min(canvas.width, canvas.height) < 16) throw new Error(t("The picture is too small to show anything."));
    return { canvas, takenOn };
  };

  cx.photoBlob = (canvas) => new Promise((good, bad) => {
    canvas.toBlob((blob) => (blob ? good(blob) : bad(new Error(t("The photo could not be kept. Choose it again.")))), "image/jpeg", QUALITY);
  });

  /** A small picture of a canvas for lists, at most `edge` px long. */
  cx.thumbnail = (canvas, edge = 360) => {
    const scale = Math.min(1, edge / Math.max(canvas.width, canvas.height));
    const small = document.createElement("canvas");
    small.width = Math.round(canvas.width * scale);
    small.height = Math.round(canvas.height * scale);
    const paper = small.getContext("2d");
    paper.imageSmoothingQuality = "high";
    paper.drawImage(canvas, 0, 0, small.width, small.height);
    return small;
  };

  /** Blurs a disc of a canvas for good: squares of a fixed grid become their mean colour. */
  cx.blurAt = (canvas, x, y, radius) => {
    const paper = canvas.getContext("2d");
    const block = Math.max(8, Math.round(Math.max(canvas.width, canvas.height) / 36));
    const from = (v) => Math.max(0, Math.floor((v - radius) / block));
    for (let row = from(y); row * block < Math.min(canvas.height, y + radius); row += 1) {
      for (let column = from(x); column * block < Math.min(canvas.width, x + radius); column += 1) {
        const [left, top] = [column * block, row * block];
        const [width, height] = [Math.min(block, canvas.width - left), Math.min(block, canvas.height - top)];
        const nearest = Math.hypot(Math.max(left - x, 0, x - left - width), Math.max(top - y, 0, y - top - height));
        if (nearest > radius) continue;
        const { data } = paper.getImageData(left, top, width, height);
        const sum = [0, 0, 0];
        for (let i = 0; i < data.length; i += 4) for (let c = 0; c < 3; c += 1) sum[c] += data[i + c];
        paper.fillStyle = `rgb(${sum.map((v) => Math.round((4 * v) / data.length)).join(",")})`;
        paper.fillRect(left, top, width, height);
      }
    }
  };

  /* --- the blurring board --- */

  /** Opens the board on a canvas, which it changes; resolves when the person is done. */
  cx.blurBoard = (canvas) => new Promise((done) => {
    const dialog = document.getElementById("blur");
    const board = document.getElementById("blur-canvas");
    const ring = document.getElementById("blur-ring");
    const size = document.getElementById("blur-size");
    const before = [];
    const stop = new AbortController();
    const listen = (node, name, act) => node.addEventListener(name, act, { signal: stop.signal });
    const radius = () => (Math.max(canvas.width, canvas.height) * Number(size.value)) / 100;
    let at = { x: canvas.width / 2, y: canvas.height / 2 };
    let wiping = false;

    board.width = canvas.width;
    board.height = canvas.height;
    const show = () => board.getContext("2d").drawImage(canvas, 0, 0);
    const keep = () => {
      const copy = document.createElement("canvas");
      [copy.width, copy.height] = [canvas.width, canvas.height];
      copy.getContext("2d").drawImage(canvas, 0, 0);
      before.push(copy);
      if (before.length > STEPS_BACK) before.shift();
    };
    const wipe = () => {
      cx.blurAt(canvas, at.x, at.y, radius());
      show();
    };
    const placeRing = () => {
      const scale = board.clientWidth / canvas.width;
      ring.style.width = ring.style.height = `${2 * radius() * scale}px`;
      ring.style.left = `${board.offsetLeft + at.x * scale}px`;
      ring.style.top = `${board.offsetTop + at.y * scale}px`;
    };
    const follow = (event) => {
      const frame = board.getBoundingClientRect();
      at = { x: ((event.clientX - frame.left) / frame.width) * canvas.width, y: ((event.clientY - frame.top) / frame.height) * canvas.height };
      placeRing();
    };
    listen(board, "pointerdown", (event) => {
      event.preventDefault();
      board.setPointerCapture(event.pointerId);
      wiping = true;
      keep();
      follow(event);
      wipe();
    });
    listen(board, "pointermove", (event) => {
      follow(event);
      ring.hidden = false;
      if (wiping) wipe();
    });
    for (const name of ["pointerup", "pointercancel"]) listen(board, name, () => { wiping = false; });
    listen(board, "pointerleave", () => { if (document.activeElement !== board) ring.hidden = true; });
    listen(board, "focus", () => { ring.hidden = false; placeRing(); });
    listen(board, "blur", () => { ring.hidden = true; });
    listen(board, "keydown", (event) => {
      const step = radius() / 2;
      const move = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key];
      if (move) at = { x: Math.min(canvas.width, Math.max(0, at.x + move[0])), y: Math.min(canvas.height, Math.max(0, at.y + move[1])) };
      else if (event.key === " ") {
        keep();
        wipe();
      } else return;
      event.preventDefault();
      placeRing();
    });
    listen(size, "input", () => { ring.hidden = false; placeRing(); });
    listen(document.getElementById("blur-undo"), "click", () => {
      const last = before.pop();
      if (!last) return;
      canvas.getContext("2d").drawImage(last, 0, 0);
      show();
    });
    listen(document.getElementById("blur-done"), "click", () => dialog.close());
    listen(dialog, "close", () => {
      stop.abort();
      ring.hidden = true;
      done();
    });
    show();
    dialog.showModal();
  });
})();
