// Takes orders on standard input, one a line, and answers each with one line: the tests run it as a process.
import { createInterface } from 'node:readline'
import { acquireDirectory, type DirectoryLock } from '../../src/base/directory-lock.js'

const [path = ''] = process.argv.slice(2)
let lock: DirectoryLock | undefined

function obey(order: string): string {
  try {
    if (order === 'acquire') lock = acquireDirectory(path)
    if (order === 'check') lock?.assertHeld()
    if (order === 'release') lock?.release()
    return 'ok'
  } catch (error) {
    return error instanceof Error ? error.name : 'unknown'
  }
}

process.stdout.write('ready\n')
for await (const order of createInterface({ input: process.stdin })) {
  process.stdout.write(`${obey(order)}\n`)
}
