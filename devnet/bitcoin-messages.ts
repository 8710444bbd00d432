/** A transaction as the devnet's node has it; ids in display order, everything else hex. */
export type ChainTransaction = {
  readonly txid: string
  readonly raw: string
  readonly inputs: readonly { readonly txid: string; readonly vout: number }[]
  readonly outputs: readonly { readonly sats: number; readonly script: string }[]
}

export type ChainBlock = {
  readonly height: number
  readonly hash: string
  readonly header: string
  readonly transactions: readonly ChainTransaction[]
}

/** What the node's process can be told to do. */
export type ChildOrder =
  | { readonly op: 'tip' }
  | { readonly op: 'mine'; readonly count: number }
  | { readonly op: 'fund'; readonly script: string; readonly sats: number }
  | { readonly op: 'broadcast'; readonly raw: string }
  | { readonly op: 'blocks'; readonly from: number; readonly countMax: number }
  | { readonly op: 'mempool' }
  | { readonly op: 'rewind'; readonly height: number }
export type ChildRequest = ChildOrder & { readonly id: number }

export type ChildReply =
  | { readonly ready: true }
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: string }
