const stages = {
  accept: ['append.before', 'append.after'],
  intend: ['append.before', 'append.after'],
  settle: ['append.before', 'append.after'],
  defer: [],
  import: ['append.before', 'append.after'],
} as const

/**
 * Every place where a change of the job store can be made to fail or stop; items of a batch and steps of a
 * comparison go on counting.
 *
 * @remarks The ledger has points of its own, which begin with `ledger.`.
 */
export const jobFaultPointNames: readonly string[] = [
  ...Object.entries(stages).flatMap(([kind, more]) =>
    ['begin', 'item:1', 'beforeCommit', 'commitError', 'afterCommit', ...more].map(
      (stage) => `job.${kind}.${stage}`,
    ),
  ),
  ...['append.before', 'append.after', 'beforeCommit', 'afterCommit'].map(
    (stage) => `job.operate.${stage}`,
  ),
  'reconcile.begin',
  'reconcile.step:1',
]
