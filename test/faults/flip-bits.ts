import { join } from 'node:path'
import { bitIn, placesOf } from './places.js'
import { type Product, randomFrom } from './product.js'
import { makeSeed } from './seed-store.js'
import { measureUsual, type Trial, tryBit } from './trial.js'

/**
 * Flips bits one after the other, each in a fresh copy of one seed, in all places equally often.
 *
 * @param run.only runs the flip of that number alone, as it was run among the others
 * @param run.place takes places alone whose name holds this text
 */
export async function flipBits(run: {
  readonly product: Product
  /** An empty directory. */
  readonly dir: string
  readonly jobs: number
  readonly count: number
  readonly seed: number
  readonly only?: number | undefined
  readonly place?: string | undefined
  readonly note?: (trial: Trial, n: number, done: number) => void
}): Promise<readonly Trial[]> {
  const { product, dir, note = () => undefined } = run
  const made = await makeSeed(product, join(dir, 'seed'), run.jobs)
  const places = placesOf(made).filter(({ name }) => name.includes(run.place ?? ''))
  if (places.length === 0) throw new RangeError(`flips: no such place, ${run.place}`)
  const settings = await measureUsual(product, made, join(dir, 'usual'))
  const trials: Trial[] = []
  for (let n = 0; n < run.count || n === run.only; n += 1) {
    const place = places[n % places.length]
    if (place === undefined || (run.only !== undefined && n !== run.only)) continue
    const bit = bitIn(place, randomFrom(run.seed * 1_000_003 + n))
    const trial = await tryBit(settings[place.files], bit, join(dir, 'trial'))
    trials.push(trial)
    note(trial, n, trials.length)
  }
  return trials
}
