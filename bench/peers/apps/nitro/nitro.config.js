import { defineNitroConfig } from 'nitro/config'

export default defineNitroConfig({ preset: 'node-server', serverDir: '.', compatibilityDate: '2026-11-01' })
