import { isHoldfastError } from '../base/errors.js'

/** One thing that was looked at; `detail` is for people. */
export type Check = { readonly name: string; readonly ok: boolean; readonly detail: string }

/** Looks at one thing; what the look throws becomes the detail of a failed check. */
export async function probe(name: string, look: () => Promise<string>): Promise<Check> {
  try {
    return { name, ok: true, detail: await look() }
  } catch (error) {
    return failed(name, error)
  }
}

/** The failed check that an error stands for. */
export function failed(name: string, error: unknown): Check {
  if (isHoldfastError(error)) {
    return { name, ok: false, detail: `${error.code}: ${error.message}. ${error.remedy}` }
  }
  return { name, ok: false, detail: error instanceof Error ? error.message : 'unknown failure' }
}
