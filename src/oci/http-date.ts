const MONTHS = 'Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec';
const DAY = '(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)';
const LONG_DAY = '(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day';
const TIME = '(?<time>[0-9]{2}:[0-9]{2}:[0-9]{2})';

/** The three forms of RFC 9110, section 5.6.7: all must be accepted, the first one is sent. */
const FORMS = [
  new RegExp(`^${DAY}, (?<day>[0-9]{2}) (?<month>${MONTHS}) (?<year>[0-9]{4}) ${TIME} GMT$`),
  new RegExp(`^${LONG_DAY}, (?<day>[0-9]{2})-(?<month>${MONTHS})-(?<year>[0-9]{2}) ${TIME} GMT$`),
  new RegExp(`^${DAY} (?<month>${MONTHS}) (?<day>[ 0-9][0-9]) ${TIME} (?<year>[0-9]{4})$`),
];

/** Formats a time in seconds since 1970 as an HTTP date. */
export function formatHttpDate(seconds: number): string {
  return new Date(seconds * 1000).toUTCString();
}

/** Parses an HTTP date: the seconds since 1970; undefined if it is none. */
export function parseHttpDate(text: string): number | undefined {
  const groups = FORMS.map((form) => form.exec(text)?.groups).find((found) => found !== undefined);
  if (groups === undefined) return undefined;
  const { day = '', month = '', year = '', time = '' } = groups;
  const iso = `${fullYear(year)}-${monthOf(month)}-${day.trim().padStart(2, '0')}T${time}.000Z`;
  const date = new Date(iso);
  // Node reads the 31st of February as the 3rd of March.
  const isValid = !Number.isNaN(date.getTime()) && date.toISOString() === iso;
  return isValid ? date.getTime() / 1000 : undefined;
}

function monthOf(name: string): string {
  return String(MONTHS.split('|').indexOf(name) + 1).padStart(2, '0');
}

/** Two digits are the last such year that is not more than 50 years in the future. */
function fullYear(digits: string): string {
  if (digits.length === 4) return digits;
  const latest = new Date().getUTCFullYear() + 50;
  const year = latest - (latest % 100) + Number(digits);
  return String(year > latest ? year - 100 : year);
}
