import { spawnSync } from 'node:child_process'
import { cpSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'
import { sampleChangeset } from '../../../src/testing/sample-changeset.js'
import { directoryWith, register, registerChild, temporaryDirectory, withStore } from './fixture.js'

const node = [process.execPath, '--single-threaded', '--no-opt', '--import', 'tsx']
const program = [...node, registerChild]
const readProgram = [...node, fileURLToPath(new URL('read-child.ts', import.meta.url))]
const spread = 8
const usable = spawnSync('strace', ['-f', '-o', '/dev/null', 'true']).status === 0
const traced = usable ? it : it.skip

beforeAll(() => {
  if (!usable) console.warn('SKIPPED: strace cannot trace here, real I/O errors are not injected')
})

type Run = { readonly answers: readonly string[]; readonly trace: readonly string[] }

/** Registers wallets in a traced child that dies at its end; wallet numbers start at 1. */
function runTraced(dir: string, wallets: number, ...inject: readonly string[]): Run {
  return trace([...program, dir, String(wallets)], inject)
}

function trace(command: readonly string[], inject: readonly string[]): Run {
  const log = join(temporaryDirectory(), 'trace.log')
  const calls = ['-e', 'trace=fsync,fdatasync,pread64,pwrite64,write']
  const options = ['-f', '-y', '-o', log, ...calls, ...inject.flatMap((rule) => ['-e', rule])]
  const child = spawnSync('strace', [...options, ...command], { encoding: 'utf8' })
  expect(child.stderr).toBe('')
  return {
    answers: child.stdout.trim().split('\n'),
    trace: readFileSync(log, 'utf8').split('\n'),
  }
}

/** Numbers, counted from 1, of the main thread's calls of this name on files of `dir` after a marker. */
function callsAfter(trace: readonly string[], name: string, dir: string, marker: string): number[] {
  const main = trace[0]?.split(/\s+/)[0]
  const numbers: number[] = []
  let count = 0
  let armed = false
  for (const line of trace) {
    const [thread, call = ''] = line.split(/\s+(.*)/)
    if (thread !== main) continue
    if (call.startsWith('write(1') && call.includes(marker)) armed = true
    if (!call.startsWith(`${name}(`)) continue
    count += 1
    if (armed && call.includes(dir)) numbers.push(count)
  }
  return numbers
}

describe('a registration on a real disk', () => {
  traced('syncs once for reserve, once for promote, once for the inventory', () => {
    const dir = temporaryDirectory()
    const { trace } = runTraced(dir, 3)
    const lines = trace.filter((line) => line.includes(dir) || line.includes(' write(1'))
    const from = lines.findIndex((line) => line.includes('reserve 2'))
    const to = lines.findIndex((line) => line.includes('promoted 2'))
    const synced = lines
      .slice(from, to)
      .filter((line) => / (fsync|fdatasync)\(/.test(line))
      .map((line) => /\/([^/>]+)>/.exec(line)?.[1])
    expect(synced).toEqual(['wallets.db-wal', 'wallets.db-wal', 'wallets.inventory'])
  })

  for (const [call, error] of [
    ['fsync', 'EIO'],
    ['pwrite64', 'ENOSPC'],
  ] as const) {
    traced(
      `answers the truth when any ${call} fails with ${error}`,
      async () => {
        const seed = await directoryWith(9)
        const dry = temporaryDirectory()
        cpSync(seed, dry, { recursive: true })
        const points = callsAfter(runTraced(dry, 1).trace, call, dry, 'reserve 1')
        expect(points.length).toBeGreaterThan(2)
        // The crash laboratory takes every one of them; here a spread is enough.
        const step = Math.ceil(points.length / spread)
        for (const point of points.filter((_, at) => at % step === 0)) {
          const dir = temporaryDirectory()
          cpSync(seed, dir, { recursive: true })
          const { answers } = runTraced(dir, 1, `inject=${call}:error=${error}:when=${point}`)
          await expectTruth(dir, answers)
        }
      },
      120_000,
    )
  }

  traced('answers unknown and refuses everything when the disk stays broken', async () => {
    const seed = await directoryWith(9)
    const dry = temporaryDirectory()
    cpSync(seed, dry, { recursive: true })
    const [first = 0] = callsAfter(runTraced(dry, 1).trace, 'fsync', dry, 'promote 1')
    expect(first).toBeGreaterThan(0)
    const dir = temporaryDirectory()
    cpSync(seed, dir, { recursive: true })
    const { answers } = runTraced(dir, 1, `inject=fsync:error=EIO:when=${first}+`)
    expect(answers).toContain('failed 1 persisterClosed unknown')
    expect(answers).toContain('store refuses')
    await withStore(dir, async (store) => {
      const { walletId } = sampleChangeset(1)
      const outcome = await store.read(walletId)
      expect(['wallet', 'absent']).toContain(outcome.kind)
      expect((await store.read(sampleChangeset(9).walletId)).kind).toBe('wallet')
    })
  })
})

describe('a read from a real disk', () => {
  traced(
    'never takes an I/O error for a damaged wallet',
    async () => {
      const dir = await directoryWith(1, 2)
      const command = [...readProgram, dir]
      const points = callsAfter(trace(command, []).trace, 'pread64', dir, 'read')
      expect(points.length).toBeGreaterThan(2)
      const answers = points.map((point) => {
        const run = trace(command, [`inject=pread64:error=EIO:when=${point}`])
        return run.answers.at(-1)
      })
      expect(answers).not.toContain('damaged')
      expect(answers.filter((answer) => !/^(wallet|failed transient)$/.test(answer ?? ''))).toEqual(
        [],
      )
    },
    60_000,
  )
})

describe('a full disk', () => {
  it('refuses a registration as transient, keeps what is there, and goes on once there is room', async () => {
    const dir = await directoryWith(99)
    // The size limit of a file stands in for a disk without room; blocks of 1024 bytes.
    const limited = ['-c', `ulimit -f 200; exec "$0" "$@"`, ...program, dir, '60']
    const child = spawnSync('bash', limited, { encoding: 'utf8' })
    const answers = child.stdout.trim().split('\n')
    const promoted = answers.filter((line) => line.startsWith('promoted')).length
    const failed = answers.filter((line) => line.startsWith('failed'))
    expect(failed.length).toBeGreaterThan(0)
    expect(failed.filter((line) => !/ transient notWritten| persisterClosed /.test(line))).toEqual(
      [],
    )
    await withStore(dir, async (store) => {
      expect(await store.lost()).toEqual([])
      const ids = await store.list()
      expect(ids.length).toBeGreaterThanOrEqual(promoted)
      for (const id of ids) expect((await store.read(id)).kind).toBe('wallet')
      await register(store, sampleChangeset(200))
    })
  })
})

/** What the child was told, against what the next opening finds. */
async function expectTruth(dir: string, answers: readonly string[]): Promise<void> {
  const { walletId } = sampleChangeset(1)
  await withStore(dir, async (store) => {
    expect((await store.read(sampleChangeset(9).walletId)).kind).toBe('wallet')
    expect(await store.lost()).toEqual([])
    const outcome = await store.read(walletId)
    if (answers.includes('promoted 1')) {
      expect(outcome.kind).toBe('wallet')
      return
    }
    const failure = answers.find((line) => line.startsWith('failed 1'))
    expect(failure, answers.join(' | ')).toBeDefined()
    if (failure?.endsWith('notWritten')) expect(outcome.kind).toBe('absent')
    if (outcome.kind === 'absent') await register(store, sampleChangeset(1))
    expect((await store.read(walletId)).kind).toBe('wallet')
  })
}
