/** Where a library user may listen; Holdfast itself never prints. Fields are ids and counts, never secrets. */
export interface Logger {
  info(fields: Readonly<Record<string, unknown>>, message: string): void
  warn(fields: Readonly<Record<string, unknown>>, message: string): void
}

export const silent: Logger = { info: () => undefined, warn: () => undefined }
