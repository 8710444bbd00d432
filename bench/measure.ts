/** One line of a report: what was measured, its bound, and whether it holds. */
export type Figure = {
  readonly what: string
  readonly value: number
  readonly unit: string
  readonly bound: { readonly kind: 'at most' | 'at least'; readonly value: number }
  readonly detail: string
}

/** What is measured together; every figure is told when it is there. */
export type Suite = (options: { readonly jobsMax: number }) => AsyncIterable<Figure>

/** Middle value; of two middle values the upper one. */
export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b)
  return sorted[sorted.length >> 1] ?? Number.NaN
}

/** Milliseconds that the work took. */
export async function timeMs(work: () => unknown): Promise<number> {
  const startedAt = performance.now()
  await work()
  return performance.now() - startedAt
}

/** Bytes that live objects hold after garbage collection; needs --expose-gc. */
export function heldBytes(): number {
  if (globalThis.gc === undefined) throw new Error('bench: run with --expose-gc')
  globalThis.gc()
  globalThis.gc()
  const { heapUsed, external, arrayBuffers } = process.memoryUsage()
  return heapUsed + Math.max(external, arrayBuffers)
}
