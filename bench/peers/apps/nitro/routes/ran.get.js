import { defineHandler } from 'nitro/h3'
import { ran } from '../../scenarios.js'

export default defineHandler(() => ran)
