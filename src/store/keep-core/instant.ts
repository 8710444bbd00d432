const form =
  /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:[.,](\d+))?(?:Z|([+-])(\d{2}):(\d{2}))$/

/**
 * Nanoseconds since 1970 of an RFC 3339 time, `undefined` for any other text.
 *
 * @remarks Digits behind the ninth are dropped, as the reference does.
 */
export function parseInstant(text: string): bigint | undefined {
  const match = form.exec(text)
  if (match === null) return undefined
  const numbers = match.slice(1, 7).map(Number)
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = numbers
  if (hour > 23 || minute > 59 || second > 59) return undefined
  // Date.UTC would take the years 0 to 99 for 1900 to 1999.
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined
  date.setUTCHours(hour, minute, second)
  const [fraction = '', sign = '+', hours = '0', minutes = '0'] = match.slice(7)
  if (Number(hours) > 24 || Number(minutes) > 59) return undefined
  const offsetMs = (Number(hours) * 60 + Number(minutes)) * 60_000 * (sign === '-' ? -1 : 1)
  const nanoseconds = BigInt(fraction.slice(0, 9).padEnd(9, '0'))
  return BigInt(date.getTime() - offsetMs) * 1_000_000n + nanoseconds
}
