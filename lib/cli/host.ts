/** The part of `process` that a command uses. */
export type Host = Pick<NodeJS.Process, 'stdout' | 'stderr' | 'on' | 'off' | 'exit'>
