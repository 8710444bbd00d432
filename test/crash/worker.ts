import { type CheckRequest, check, type Reference, type Verdict } from './checker.js'
import { makeWhole, referenceOf } from './prepare.js'
import type { Start } from './starts.js'

/** What the lab asks of its resident helper process; one answer each. */
export type Request =
  | { readonly kind: 'check'; readonly request: CheckRequest }
  | {
      readonly kind: 'whole' | 'reference'
      readonly start: Start
      readonly dataDir: string
      readonly dist: string
    }

export type Answer =
  | { readonly ok: true; readonly value: Verdict | Reference | undefined }
  | { readonly ok: false; readonly problem: string }

async function answer(request: Request): Promise<Verdict | Reference | undefined> {
  switch (request.kind) {
    case 'check':
      return check(request.request)
    case 'whole':
      return void (await makeWhole(request.start, request.dataDir, request.dist))
    case 'reference':
      return referenceOf(request.start, request.dataDir, request.dist)
  }
}

process.on('message', (request: Request) => {
  answer(request).then(
    (value) => process.send?.({ ok: true, value } satisfies Answer),
    (error: unknown) => {
      const problem = error instanceof Error ? (error.stack ?? error.message) : String(error)
      process.send?.({ ok: false, problem } satisfies Answer)
    },
  )
})
// The lab is gone: nobody waits for answers any more.
process.on('disconnect', () => process.exit(0))
