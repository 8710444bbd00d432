import { spawnSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { persistenceKindOf } from '../../src/base/persistence.js'
import { faultPointNames, scriptedFaults } from '../../src/testing/faults.js'

describe('scripted faults', () => {
  it('let every point pass that the script does not name, and remember it', async () => {
    const faults = scriptedFaults({ point: 'promote.begin', action: 'transient' })
    faults.reach('publish.after')
    await faults.pause('restore.read')
    expect(faults.reached).toEqual(['publish.after', 'restore.read'])
  })

  for (const kind of ['transient', 'constraint', 'fatal'] as const) {
    it(`throw an error of kind ${kind} at a point, in a block and in a wait`, async () => {
      const faults = scriptedFaults([{ point: 'a', action: kind }])
      const thrown = await faults.pause('a').catch((error: unknown) => error)
      expect(persistenceKindOf(thrown)).toBe(kind)
      expect(() => faults.reach('a')).toThrow(`fault injected at a (${kind})`)
    })
  }

  it('act at the nth time only when the script counts', () => {
    const faults = scriptedFaults([{ point: 'a', nth: 2, action: 'fatal' }])
    faults.reach('a')
    faults.reach('b')
    expect(() => faults.reach('a')).toThrow()
    faults.reach('a')
    expect(faults.reached).toEqual(['a', 'b', 'a', 'a'])
  })

  it('hold a wait until it is released', async () => {
    const faults = scriptedFaults({ point: 'a', action: 'hang' })
    let passed = false
    const waiting = faults.pause('a').then(() => {
      passed = true
    })
    await faults.hanging('a')
    expect(passed).toBe(false)
    faults.release('a')
    await waiting
    expect(passed).toBe(true)
    await faults.pause('a')
  })

  it('refuse to hang where nothing may wait', () => {
    const faults = scriptedFaults({ point: 'a', action: 'hang' })
    expect(() => faults.reach('a')).toThrow(RangeError)
  })

  for (const [action, signal] of [
    ['kill', 'SIGKILL'],
    ['stop', null],
  ] as const) {
    it(`${action} the process at a point`, () => {
      const module = new URL('../../src/testing/faults.ts', import.meta.url).href
      const program = `
        const { scriptedFaults } = await import(${JSON.stringify(module)})
        process.stdout.write('before')
        scriptedFaults({ point: 'a', action: ${JSON.stringify(action)} }).reach('a')
        process.stdout.write('after')`
      const command = ['--import', 'tsx', '--input-type=module', '-e', program]
      // A stopped child is seen as such by its parent, which then lets it go on.
      const shell = `set -m; "$0" "$@" & pid=$!; wait $pid; code=$?; kill -CONT $pid; while kill -0 $pid 2>/dev/null; do wait $pid; done; exit $code`
      const child =
        action === 'kill'
          ? spawnSync(process.execPath, command, { encoding: 'utf8' })
          : spawnSync('bash', ['-c', shell, process.execPath, ...command], { encoding: 'utf8' })
      expect(child.signal).toBe(signal)
      expect(child.stdout).toBe(action === 'kill' ? 'before' : 'beforeafter')
      // 128 and the number of SIGSTOP.
      if (action === 'stop') expect(child.status).toBe(128 + 19)
    })
  }

  it('have a list of points without doubles', () => {
    expect(new Set(faultPointNames).size).toBe(faultPointNames.length)
    expect(faultPointNames).toContain('promote.commitError')
  })
})
