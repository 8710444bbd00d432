import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'
import { temporaryDirectory } from './fixture.js'

const child = fileURLToPath(new URL('jobs-child.ts', import.meta.url))
const usable = spawnSync('strace', ['-f', '-o', '/dev/null', 'true']).status === 0
const traced = usable ? it : it.skip

beforeAll(() => {
  if (!usable) console.warn('SKIPPED: strace cannot trace here, syncs are not counted')
})

type Call = { readonly name: string; readonly file: string }

/** System calls of a child that accepts jobs, from its first mark to its last. */
function callsOf(count: number, inFlight: number): readonly Call[] {
  const dir = temporaryDirectory()
  const log = join(temporaryDirectory(), 'trace.log')
  const calls = 'trace=fsync,fdatasync,pwrite64,write'
  const program = [process.execPath, '--import', 'tsx', child, dir, String(count), String(inFlight)]
  const run = spawnSync('strace', ['-f', '-y', '-o', log, '-e', calls, ...program])
  expect(String(run.stderr)).toBe('')
  const lines = readFileSync(log, 'utf8').split('\n')
  const [begin, end] = ['BEGIN', 'END'].map((mark) =>
    lines.findIndex((line) => line.includes(`"${mark}`)),
  )
  return lines.slice(begin, end).flatMap((line) => {
    const [, name, file] = /(fsync|fdatasync|pwrite64|write)\(\d+<([^>]*)>/.exec(line) ?? []
    return name !== undefined && file?.startsWith(dir)
      ? [{ name, file: file.slice(dir.length + 1) }]
      : []
  })
}

const isSync = ({ name }: Call): boolean => name.endsWith('sync')

describe('syncs of durable accepts', () => {
  traced(
    'one at a time: at most 1.1 for each, and each line follows its own sync',
    () => {
      const calls = callsOf(200, 1)
      expect(calls.filter(isSync).length).toBeGreaterThanOrEqual(200)
      expect(calls.filter(isSync).length).toBeLessThanOrEqual(220)
      // Between two lines there is a sync of the database's log, so no line runs ahead of its row.
      let synced = false
      let lines = 0
      for (const call of calls) {
        if (isSync(call) && call.file === 'jobs.db-wal') synced = true
        if (call.name !== 'pwrite64' || call.file !== 'ledger.jsonl') continue
        lines += 1
        expect(synced, `line ${lines}`).toBe(true)
        synced = false
      }
      expect(lines).toBe(200)
    },
    60_000,
  )

  traced(
    'with 100 in flight: at most 0.05 for each',
    () => {
      const count = 2000
      expect(callsOf(count, 100).filter(isSync).length).toBeLessThanOrEqual(0.05 * count)
    },
    60_000,
  )
})
