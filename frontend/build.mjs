// Bundle, minify, fingerprint and pre-compress; write a manifest for the templates and the licences of what is bundled.
// The fonts of invoices are only copied.
import { build } from "esbuild";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const outdir = "../src/tollkeeper/dashboard/static/dist";
const fontdir = "../src/tollkeeper/service/documents/fonts";
for (const folder of [outdir, fontdir]) rmSync(folder, { recursive: true, force: true });

const { metafile } = await build({
  entryPoints: ["src/app.js", "src/app.css", "src/favicon.svg"],
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  metafile: true,
  legalComments: "none", // THIRD-PARTY.txt carries them
  entryNames: "[name]-[hash]",
  assetNames: "[name]-[hash]",
  loader: { ".woff2": "file", ".svg": "copy" },
  outdir,
});

const manifest = {};
for (const path of Object.keys(metafile.outputs)) {
  const file = path.split("/").pop();
  manifest[file.replace(/-[A-Z0-9]{8}(\.\w+)$/, "$1")] = file;
}

const packages = new Set();
for (const path of Object.keys(metafile.inputs)) {
  const found = path.match(/^node_modules\/((?:@[^/]+\/)?[^/]+)/);
  if (found) packages.add(found[1]);
}
const notice = (name) => {
  const folder = `node_modules/${name}`;
  const { version, license } = JSON.parse(readFileSync(`${folder}/package.json`));
  const files = [folder, `${folder}/licenses`].filter(existsSync).flatMap((place) =>
    readdirSync(place, { withFileTypes: true })
      .filter((entry) => entry.isFile() && /^(licen[cs]e|notice)/i.test(entry.name))
      .map((entry) => `${place}/${entry.name}`));
  if (!files.length) throw new Error(`${name} ships no licence file: bundle something else, or add its licence here.`);
  const texts = files.map((file) => readFileSync(file, "utf8").trim());
  return `${name} ${version} (${license})\n\n${texts.join("\n\n")}\n`;
};
const rule = `\n${"-".repeat(78)}\n\n`;
const writeNotices = (folder, title, names) =>
  writeFileSync(`${folder}/THIRD-PARTY.txt`, `${title}\n${rule}${names.sort().map(notice).join(rule)}`);
writeNotices(outdir, "What the dashboard's assets contain of others' work.", [...packages]);

// Regular alone of the Japanese one: it is larger than all the others together.
const fonts = {
  inter: ["Inter_400Regular", "Inter_600SemiBold"],
  "noto-sans-arabic": ["NotoSansArabic_400Regular", "NotoSansArabic_600SemiBold"],
  "noto-sans-hebrew": ["NotoSansHebrew_400Regular", "NotoSansHebrew_600SemiBold"],
  "noto-sans-jp": ["NotoSansJP_400Regular"],
};
mkdirSync(fontdir);
for (const [name, faces] of Object.entries(fonts)) {
  for (const face of faces) {
    const place = `node_modules/@expo-google-fonts/${name}/${face.split("_")[1]}`;
    copyFileSync(`${place}/${face}.ttf`, `${fontdir}/${face}.ttf`);
  }
}
writeNotices(fontdir, "The fonts of invoices are others' work.", Object.keys(fonts).map((name) => `@expo-google-fonts/${name}`));

for (const file of readdirSync(outdir)) {
  if (!/\.(js|css|svg)$/.test(file)) continue;
  const body = readFileSync(`${outdir}/${file}`);
  writeFileSync(`${outdir}/${file}.gz`, gzipSync(body, { level: 9 }));
  writeFileSync(`${outdir}/${file}.br`, brotliCompressSync(body, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }));
}
// Last, because its age tells the build hook whether the assets are up to date.
writeFileSync(`${outdir}/manifest.json`, `${JSON.stringify(manifest, null, 2)}\n`);
