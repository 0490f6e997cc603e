"use strict";
// Data are scripts that call received(): browsers refuse fetch() to pages opened from disk.

const arrived = new Map();

function received(name, value) {
  arrived.set(name, value);
}

/** Load data/<name>.js below a folder; the error is one sentence for the reader. */
function loadData(name, folder = "data") {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    const file = `${folder}/${name}.js`;
    const fail = (what) =>
      reject(new Error(`The file ${file} of this page ${what}; copy the whole folder again.`));
    script.src = file;
    script.onerror = () => fail("is missing");
    script.onload = () => {
      script.remove();
      if (!arrived.has(name)) return fail("is damaged");
      resolve(arrived.get(name));
      arrived.delete(name);
    };
    document.head.append(script);
  });
}

/** Bytes of base64 of zlib-compressed bytes. */
async function unpack(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(plain).arrayBuffer();
}

/** A number of a few digits, as a reader expects it. */
function shown(value, digits = 3) {
  if (value === null || Number.isNaN(value)) return "–";
  return Number(value.toPrecision(digits)).toString().replace("-", "−");
}

function find(id) {
  return document.getElementById(id);
}

/** An element with text and attributes; names only ever become text. */
function element(tag, text = "", attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
