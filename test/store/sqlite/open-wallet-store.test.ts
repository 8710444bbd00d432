import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { acquireDirectory } from '../../../src/base/directory-lock.js'
import { openWalletStore } from '../../../src/store/sqlite/index.js'

const roots: string[] = []
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true, force: true })
})
function directory(): string {
  const root = mkdtempSync(join(tmpdir(), 'holdfast-test-'))
  roots.push(root)
  return join(root, 'data')
}

it('makes and locks the directory, refuses a second opening, and gives both back (case I11)', async () => {
  const dir = directory()
  const store = await openWalletStore(dir)
  await expect(openWalletStore(dir)).rejects.toMatchObject({ code: 'AlreadyOpen' })
  // The refused opening must not have released the lock that the first one holds.
  expect(await store.list()).toEqual([])
  await store.close()
  await store.close()
  const again = await openWalletStore(dir)
  await again.close()
  acquireDirectory(dir).release()
})
