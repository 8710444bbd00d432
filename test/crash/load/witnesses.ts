import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import type { Site } from './daemon.js'
import type { Sent } from './round.js'

type Named = { readonly routeRequestId: string; readonly requestId: string }

/** Holds what was sent against both witnesses of a daemon that has ended; answers what went wrong. */
export function compareWitnesses(site: Site, sent: readonly Sent[]): readonly string[] {
  const wanted = new Map(sent.map(({ key, requestId }) => [key, requestId]))
  const ids = new Set(wanted.values())
  const violations = [
    ...compare('the database', rowsOf(site), wanted),
    ...compare('the ledger', linesOf(site), wanted),
    ...verify(site, 'ledger'),
    ...verify(site, 'store'),
  ]
  if (ids.size !== wanted.size) violations.push(`${wanted.size} keys have ${ids.size} ids`)
  return violations
}

/** Every key must have the id that was acknowledged and no other, and there must be no other key. */
function compare(
  witness: string,
  named: Iterable<Named>,
  wanted: ReadonlyMap<string, string | undefined>,
): readonly string[] {
  const violations: string[] = []
  const missing = new Set(wanted.keys())
  for (const { routeRequestId: key, requestId } of named) {
    missing.delete(key)
    if (wanted.get(key) === requestId) continue
    violations.push(`${key}: ${witness} has it as ${requestId}, want ${wanted.get(key)}`)
  }
  return [...violations, ...[...missing].map((key) => `${key}: ${witness} lacks it`)]
}

function rowsOf({ dataDir }: Site): readonly Named[] {
  const db = new Database(join(dataDir, 'jobs.db'), { readonly: true })
  const query = 'select route_request_id as routeRequestId, request_id as requestId from job'
  const rows = db.prepare<[], Named>(query).all()
  db.close()
  return rows
}

function* linesOf({ dataDir }: Site): Generator<Named> {
  const segments = readdirSync(dataDir).filter((name) => /^ledger(-\d+)?\.jsonl$/.test(name))
  for (const segment of segments) {
    const text = readFileSync(join(dataDir, segment), 'utf8')
    for (const line of text.split('\n'))
      if (line.includes('"kind":"accept"')) yield JSON.parse(line)
  }
}

/** Asks the product itself; its status is 0 when nothing is damaged. */
function verify(site: Site, what: 'ledger' | 'store'): readonly string[] {
  const program = join(site.dist, 'cli', 'main.js')
  const args = [program, what, 'verify', '--config', site.config]
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    env: { PATH: process.env.PATH ?? '' },
  })
  return status === 0 ? [] : [`${what} verify ended with ${status}: ${stdout}${stderr}`]
}
