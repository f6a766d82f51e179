export { default, default as backgroundTasks } from './plugin.ts'
export { defineTask } from './task.ts'
export type * from '../types/index.ts'
