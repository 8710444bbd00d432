import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { temporaryDirectory } from './fixture.js'
import { type FlipTarget, flipOnce, jobsMax, makeSeed, randomFrom } from './jobs-flips.js'

/** Flips per file; a longer run takes other seeds. */
const trials = { 'jobs.db': 150, 'jobs.db-wal': 80, 'ledger.jsonl': 80 } as const

describe('one flipped bit', () => {
  for (const [target, count] of Object.entries(trials) as [FlipTarget, number][]) {
    it(`in ${target} makes no second job and no second sighash, and hides no job`, async () => {
      const [dir, seed] = [temporaryDirectory(), join(temporaryDirectory(), 'seed')]
      await makeSeed(dir, seed, target)
      const [reports, copies] = [[], temporaryDirectory()] as [
        Awaited<ReturnType<typeof flipOnce>>[],
        string,
      ]
      for (let n = 0; n < count; n += 1) {
        reports.push(await flipOnce(seed, join(copies, 'trial'), target, randomFrom(n)))
      }
      expect(reports.filter(({ violations }) => violations.length > 0)).toEqual([])
      const open = reports.filter(({ stopped }) => !stopped)
      expect(open.length).toBeGreaterThan(0.9 * count)
      expect(open.filter(({ refusesNewKeys }) => refusesNewKeys)).toEqual([])
      if (target === 'ledger.jsonl') {
        expect(open.filter(({ fenced }) => fenced > 0)).toEqual([])
      } else {
        // Something was hit, and what was hit heals, but for pages that cannot be written to any more.
        expect(open.some(({ fenced }) => fenced > 0)).toBe(true)
        const whole = open.filter(({ unhealed }) => unhealed === 0)
        expect(whole.length).toBeGreaterThan(0.9 * open.length)
        expect(open.every(({ unhealed }) => unhealed < jobsMax / 2)).toBe(true)
      }
    }, 240_000)
  }
})
