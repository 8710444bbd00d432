import { createHash } from 'node:crypto'
import type { AfterError, Point } from './points.js'

/** Decides by name and seed, so that every run with one seed takes the same points whatever their order. */
export type Picker = {
  readonly job: (point: Point, afterError: AfterError) => boolean
  readonly image: (name: string) => boolean
}

/**
 * Takes a seeded share of everything, a death at every named point, and one call of each kind.
 *
 * @param share 0 to 1; 1 takes everything
 */
export function picker(seed: number, share: number): Picker {
  if (!(share > 0 && share <= 1)) throw new RangeError('--share: want a number above 0, at most 1')
  const kindsSeen = new Set<string>()
  const chosen = (name: string): boolean => share === 1 || fractionOf(`${seed} ${name}`) < share
  return {
    job(point, afterError) {
      if (point.kind === 'named') return isLandmark(point) || chosen(`${point.name} ${afterError}`)
      const kind = `${point.start.op} ${point.fault} ${point.call.name}`
      // Which call stands for its kind differs from seed to seed.
      const first = !kindsSeen.has(kind) && fractionOf(`${seed} kind ${point.name}`) < 0.3
      if (first) kindsSeen.add(kind)
      return first || chosen(`${point.name} ${afterError}`)
    },
    image: (name) => chosen(name),
  }
}

/** Between them these starts pass every named point; the others, and the later rows, are left to chance. */
function isLandmark(point: Extract<Point, { kind: 'named' }>): boolean {
  const row = Number(/^promote\.row:(\d+)$/.exec(point.point)?.[1] ?? 1)
  const passing = /^(warm|rollback|staged)\/secret$/.test(point.start.name)
  return point.action === 'die' && row === 1 && passing
}

/** An even number from 0 up to 1 that depends on the text alone. */
function fractionOf(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32BE(0) / 2 ** 32
}
