/** Runs work under a signal that follows its parent and fires when the time is over. */
export async function withWorkLimit<T>(
  parent: AbortSignal,
  limitMs: number,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const own = new AbortController()
  const follow = (): void => own.abort(parent.reason)
  if (parent.aborted) follow()
  else parent.addEventListener('abort', follow, { once: true })
  const timer = setTimeout(
    () => own.abort(new RangeError(`work limit: ${limitMs} ms are over`)),
    limitMs,
  )
  try {
    return await run(own.signal)
  } finally {
    clearTimeout(timer)
    parent.removeEventListener('abort', follow)
  }
}
