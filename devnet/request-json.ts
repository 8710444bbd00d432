/** JSON as the compatible listener takes it: whole numbers of 64 bits stay whole, and what is undefined is left out. */
export function requestJson(value: unknown): string {
  if (typeof value === 'bigint') return value.toString()
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(requestJson).join(',')}]`
  const fields = value instanceof Map ? [...value] : Object.entries(value)
  const shown = fields.filter(([, field]) => field !== undefined)
  return `{${shown.map(([name, field]) => `${JSON.stringify(name)}:${requestJson(field)}`).join(',')}}`
}
