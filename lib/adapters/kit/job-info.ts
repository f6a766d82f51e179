import type { JobInfo } from '../../../types/index.ts'

type Known = { readonly [Key in keyof JobInfo]: JobInfo[Key] | undefined }

/** A JobInfo has no property for what is not known of a job. `null` is a value: a task may return it. */
export function toJobInfo<Info extends JobInfo = JobInfo> (known: Known): Info {
  return Object.fromEntries(Object.entries(known).filter(([, value]) => value !== undefined)) as unknown as Info
}
