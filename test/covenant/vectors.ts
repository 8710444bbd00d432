import { existsSync, readFileSync } from 'node:fs'
import type { Hex, Request } from '../../src/covenant/index.js'
import { decodeRequest } from '../../src/covenant/index.js'

export type WorkedExample = {
  readonly request: Record<string, unknown>
  readonly canonicalRequestJson: string
  readonly requestDigest: string
  readonly approvalDigest: string
  readonly structHash: string
  readonly certificateDigest?: string
}

type WorkedExamples = {
  readonly constants: Record<string, string>
  readonly domainSeparators: readonly { chainId: number; salt: Hex; separator: string }[]
  readonly examples: Record<string, WorkedExample>
}

export const workedExamples: WorkedExamples = readVector('covenant_v2_worked_examples.json')

/** A worked example that must be there. */
export function example(name: string): WorkedExample {
  const found = workedExamples.examples[name]
  if (found === undefined) throw new RangeError(`no worked example ${name}`)
  return found
}

/** A file of test/vectors. */
export function readVector<T>(file: string): T {
  return JSON.parse(readFileSync(new URL(`../vectors/${file}`, import.meta.url), 'utf8')) as T
}

/**
 * A file that may not be copied into the repository: undefined, with a printed note, when it does not
 * stand beside it.
 */
export function readSharedVector<T>(file: string): T | undefined {
  const url = new URL(`../../../shared/vectors/${file}`, import.meta.url)
  if (existsSync(url)) return JSON.parse(readFileSync(url, 'utf8')) as T
  console.warn(`note: ../shared/vectors/${file} is not there; the tests that need it do not run`)
  return undefined
}

/** Decodes a request given as a JavaScript value without large integers. */
export function requestFrom(value: unknown): Request {
  return decodeRequest(new TextEncoder().encode(JSON.stringify(value)))
}
