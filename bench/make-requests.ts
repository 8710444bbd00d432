// A process with clients of the HTTP bench, told what to do by it: make-requests.ts

import { idIn, sendAll } from '../test/crash/load/clients.js'
import { requestBytes } from '../test/daemon/raw-http.js'
import { obeyOrders } from './covenant-child.js'
import { makeBodies } from './covenant-jobs.js'
import { timeMs } from './measure.js'

/** What the process is told; it answers with milliseconds. */
export type ClientOrder =
  | { readonly kind: 'prepare'; readonly count: number }
  /** Posts what was prepared; every answer must be a job. */
  | { readonly kind: 'post'; readonly port: number; readonly inFlight: number }
  | { readonly kind: 'close' }

const path = '/v1/self_v1/signer/requests'
let requests: readonly Buffer[] = []
let made = 0

obeyOrders<ClientOrder>('make-requests', async (order) => {
  if (order.kind === 'prepare') {
    const bodies = makeBodies('self_v1', 'posted', made, order.count)
    made += order.count
    requests = bodies.map((body) => requestBytes({ path, body }))
    return 0
  }
  if (order.kind === 'close') return 0
  const address = { host: '127.0.0.1', port: order.port }
  return timeMs(() =>
    sendAll(address, requests, order.inFlight, {
      prepare: (bytes) => bytes,
      onAnswer: (_, answer) => {
        if (idIn(answer) === undefined) throw new RangeError(`answered ${answer?.status}`)
      },
    }),
  )
})
