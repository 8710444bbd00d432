/** The kinds of output that every node relays and every wallet can pay to. */
export type OutputKind = 'p2pkh' | 'p2sh' | 'p2wpkh' | 'p2wsh' | 'p2tr'

/** head | hash or key | tail. */
const forms: readonly {
  readonly kind: OutputKind
  readonly head: readonly number[]
  readonly bodyBytes: number
  readonly tail: readonly number[]
  readonly dustSats: bigint
}[] = [
  { kind: 'p2pkh', head: [0x76, 0xa9, 20], bodyBytes: 20, tail: [0x88, 0xac], dustSats: 546n },
  { kind: 'p2sh', head: [0xa9, 20], bodyBytes: 20, tail: [0x87], dustSats: 540n },
  { kind: 'p2wpkh', head: [0x00, 20], bodyBytes: 20, tail: [], dustSats: 294n },
  { kind: 'p2wsh', head: [0x00, 32], bodyBytes: 32, tail: [], dustSats: 330n },
  { kind: 'p2tr', head: [0x51, 32], bodyBytes: 32, tail: [], dustSats: 330n },
]

/**
 * What an output script pays to, and the smallest value that nodes relay for it.
 *
 * @returns `undefined` for a script that is not standard
 * @remarks Dust is three times what spending the output costs at 1 sat per virtual byte: Bitcoin Core's default.
 */
export function standardOutput(
  script: Uint8Array,
): { readonly kind: OutputKind; readonly dustSats: bigint } | undefined {
  return forms.find(({ head, bodyBytes, tail }) => {
    const tailAt = head.length + bodyBytes
    return (
      script.length === tailAt + tail.length &&
      head.every((byte, at) => script[at] === byte) &&
      tail.every((byte, at) => script[tailAt + at] === byte)
    )
  })
}
