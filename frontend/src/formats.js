const HOUR = 3600;
const DAY = 24 * HOUR;
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });
const day = new Intl.DateTimeFormat("en", { month: "short", day: "numeric", timeZone: "UTC" });
const weekday = new Intl.DateTimeFormat("en", { weekday: "short", month: "short", day: "numeric", timeZone: "UTC" });
const clock = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: "UTC" });

/** How to write values of a chart's unit, short on an "axis" or "full" in a tooltip. */
export function formatter({ unit, currency, digits }, where) {
  if (unit === "percent") return (value) => `${fine.format(value)}%`;
  if (unit === "ms") return milliseconds;
  if (unit === "bytes") return bytes;
  if (unit === "money" && where === "full") return money(currency, digits);
  return where === "axis" ? compact.format : whole.format;
}

function money(currency, digits) {
  const exact = new Intl.NumberFormat("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return (value) => `${exact.format(value)} ${currency}`;
}

function milliseconds(value) {
  return value >= 1000 ? `${fine.format(value / 1000)} s` : `${value < 10 ? fine.format(value) : whole.format(value)} ms`;
}

function bytes(value) {
  const units = ["B", "KB", "MB", "GB", "TB", "PB"];
  const power = value < 1 ? 0 : Math.min(Math.floor(Math.log10(value) / 3), units.length - 1);
  return `${fine.format(value / 1000 ** power)} ${units[power]}`;
}

/** A tick of the time axis: the time of day where ticks are closer than a day, but the date at midnight. */
export function tickLabel(seconds, tick) {
  const date = new Date(seconds * 1000);
  return tick >= DAY || seconds % DAY === 0 ? day.format(date) : clock.format(date);
}

/** The span of a bucket, as the head of a tooltip. */
export function spanLabel(seconds, step) {
  const [start, end] = [new Date(seconds * 1000), new Date((seconds + step) * 1000)];
  if (step === DAY) return weekday.format(start);
  if (step > DAY) return `${day.format(start)} – ${day.format(new Date(end - 1))}`;
  return `${weekday.format(start)}, ${clock.format(start)} – ${clock.format(end)} UTC`;
}
